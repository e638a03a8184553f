"""Small worlds of raw files: rows as a tenant would send them, written in every format, and a curator of a directory.

Plain values and files; nothing is faked. The tests of curation use them.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa

from gata_assets.curation.curated.curator import CuratedPartition
from gata_assets.curation.files.formats import parse_format
from gata_assets.curation.landing import Landing
from gata_assets.curation.policy import CurationRules
from gata_assets.curation.reports import Report
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.tables import INTERACTIONS, ITEMS, TABLES
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.tables.columns.column_spec import ReferenceMode
from gata_assets.tables.manifests import plain_name

Row = Mapping[str, str | None]

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)
RULES = CurationRules(datetime(2020, 1, 1, tzinfo=UTC), timedelta(hours=24))
STRICT = CurationRules(datetime(2020, 1, 1, tzinfo=UTC), timedelta(hours=24), {ITEMS: ReferenceMode.REJECT})
ENDINGS = [f"{kind}{pack}" for kind in ("csv", "jsonl", "parquet") for pack in ("", ".gz", ".zst")]


def interaction(**values: str | None) -> dict[str, str | None]:
    """A valid row, but for the values given."""
    row: dict[str, str | None] = dict.fromkeys(column.name for column in TABLES[INTERACTIONS].raw_columns)
    row |= {"user_id": "u1", "item_id": "i1", "interaction_type": "view", "timestamp": "2026-01-02T03:04:05Z"}
    return row | values


def item(**values: str | None) -> dict[str, str | None]:
    """A valid row of an item, but for the values given."""
    row: dict[str, str | None] = dict.fromkeys(column.name for column in TABLES[ITEMS].raw_columns)
    return row | {"item_id": "i1", "title": "A thing", "price": "9.50"} | values


def encode(rows: Sequence[Row], ending: str) -> bytes:
    """A raw file of rows (at least one) in the format that an ending names."""
    kind, _, pack = ending.partition(".")
    if kind == "csv":
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        content = text.getvalue().encode()
    elif kind == "jsonl":
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    else:
        buffer = io.BytesIO()
        pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String)).write_parquet(buffer)
        content = buffer.getvalue()
    if pack == "gz":
        return gzip.compress(content, mtime=0)
    return pa.compress(content, codec="zstd", asbytes=True) if pack == "zst" else content


def curator_of(
    store: ObjectStore | Path, tenant: str = "acme", rules: CurationRules = RULES, now: datetime = NOW
) -> Curator:
    """The curator of a tenant, of a store or a directory."""
    store = LocalStoreResource(directory=str(store)) if isinstance(store, Path) else store
    return Curator(store, tenant, rules, now)


def send(
    curator: Curator,
    rows: Sequence[Row] | bytes,
    directory: Path,
    *,
    data: str = INTERACTIONS,
    name: str = "file.csv",
    replaces: Sequence[str] = (),
) -> Report:
    """Land a file of rows or bytes, as `gata ingest` does."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_bytes(rows if isinstance(rows, bytes) else encode(rows, name.partition(".")[2]))
    return Landing(curator).land(data, name, path, parse_format(name), replaces=replaces).report


def validate_new(curator: Curator) -> list[Report]:
    """Validate what others put there as a run does: items first, and the catalog before interactions."""
    reports = curator.validate_new(ITEMS)
    curator.refresh(ITEMS)
    return reports + curator.validate_new(INTERACTIONS)


def curate_day(curator: Curator, day: date) -> CuratedPartition:
    """Curate one day."""
    (made,) = curator.curate(INTERACTIONS, [day])
    return made


def curated_bytes(curator: Curator) -> dict[str, bytes]:
    """The curated files of all days by their keys without tokens, but for the manifests, which name parts."""
    keys = curator.store.list_keys(curator.places.curated("interactions"))
    return {plain_name(key): curator.store.read(key) for key in keys if key.endswith(".parquet")}


def curated_rows(curator: Curator) -> pl.DataFrame:
    """The curated interactions of all days."""
    files = [content for key, content in curated_bytes(curator).items() if key.endswith("interactions.parquet")]
    return pl.concat([pl.read_parquet(io.BytesIO(content)) for content in files])


def quarantined(curator: Curator, report: Report) -> pl.DataFrame:
    """The quarantine table of a file."""
    assert report.quarantine
    return pl.read_parquet(io.BytesIO(curator.store.read(report.quarantine.key)))
