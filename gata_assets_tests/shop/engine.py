"""The engine on worlds: raw files of a world in a store, curated, and what is stored then.

Real: files, the curator, the store. Raw files are Parquet as AWS DMS writes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from typing import Any

import polars as pl

from gata_assets.curation.changes.curator import ChangesCurator
from gata_assets.curation.changes.encoding import decode
from gata_assets.curation.policy import CurationRules
from gata_assets.shop.places import ShopLayout
from gata_assets.shop.schema import MODELS
from gata_assets.storage.datasets import find_manifest
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.declaration import spec_of, tables_by_name
from gata_assets.tables.manifests import plain_name
from gata_assets_tests.shop.oracle import KEYS, QUARANTINED, REJECTED, VALID, Outcome
from gata_assets_tests.shop.worlds import RawFile

TABLES = tables_by_name(map(spec_of, MODELS))
SOURCE = "store"
PLACES = ShopLayout(SOURCE)
RULES = CurationRules(datetime(2000, 1, 1, tzinfo=UTC), timedelta(days=400))


class Curator(ChangesCurator):
    layout = ShopLayout
    tables = TABLES


def curator(store: ObjectStore, now: datetime, parked_days: int = 7) -> Curator:
    found = Curator(store, SOURCE, RULES, now)
    found.parked = timedelta(days=parked_days)
    return found


def parquet_of(file: RawFile) -> bytes:
    """A raw file as DMS writes it; a delete has null for what it does not carry."""
    spec = TABLES[file.table]
    schema = {"Op": pl.String(), "dms_timestamp": pl.String(), **spec.curated_schema}
    rows = [
        {"Op": row.op, "dms_timestamp": f"{row.committed_at:%Y-%m-%d %H:%M:%S.%f}"}
        | {name: row.values.get(name) for name in spec.curated_schema}
        for row in file.rows
    ]
    content = BytesIO()
    pl.DataFrame(rows, schema=schema).write_parquet(content)
    return content.getvalue()


def deliver(store: ObjectStore, file: RawFile) -> None:
    store.write(f"{PLACES.raw(file.table)}{file.name}.parquet", parquet_of(file))


def run(store: ObjectStore, now: datetime, parked_days: int) -> int:
    """Validate and curate what was delivered; returns how many tables and partitions were written."""
    found = curator(store, now, parked_days)
    for table in TABLES:
        for report in found.validate_new(table):
            assert report.refused is None, report.refused
    return len(list(found.curate()))


def curated_bytes(store: ObjectStore, places: ShopLayout = PLACES) -> dict[str, bytes]:
    """The curated data files, without progress and manifests, by key without tokens."""
    found = {}
    for key in store.list_keys(f"{places.root}curated/"):
        folder, _, name = key.rpartition("/")
        # A run that failed may leave files in a folder without one.
        manifest = find_manifest(store, f"{folder}/").manifest
        if (
            manifest
            and name in manifest.files
            and manifest.files[name].rows
            and "flips" not in name
            and "other_changes" not in name
            and name != "missing.parquet"
        ):
            found[f"{folder}/{plain_name(name)}"] = store.read(key)
    return found


def stored_rows(store: ObjectStore, table: str, ending: str = "") -> list[dict[str, Any]]:
    """The rows of a table's visible (or other) files, with their partition's folder."""
    name = f"{table}{ending}.parquet"
    return [
        {**row, "folder": key.split("/")[-2]}
        for key, content in curated_bytes(store).items()
        if key.endswith(f"/{name}")
        for row in decode(content).to_dicts()
    ]


def assert_as_the_oracle_says(store: ObjectStore, outcome: Outcome) -> None:
    for table, key in KEYS.items():
        of_unit = table in ("orders", "order_items", "payments")
        visible = sorted(
            (
                tuple(row[name] for name in key),
                date.fromisoformat(row["folder"]) if of_unit else None,
                _plain(row, table),
            )
            for row in stored_rows(store, table)
        )
        expected = sorted((row.key, row.day, _plain(row.values, table)) for row in outcome.visible[table])
        assert visible == expected, table
        waiting = sorted(
            (tuple(row[name] for name in key), row["verdict"], tuple(row["rules"]))
            for row in stored_rows(store, table, "_waiting")
        )
        waits = [verdict for verdict in outcome.verdicts[table] if verdict.verdict != VALID]
        assert waiting == sorted(
            (found.key, QUARANTINED if found.verdict == REJECTED else found.verdict, found.reasons) for found in waits
        ), table


def _plain(values: Any, table: str) -> list[tuple[str, str]]:
    kinds = TABLES[table].curated_schema
    given = {name: values.get(name) for name in kinds if values.get(name) is not None}
    return sorted(
        (name, f"{value:.2f}" if isinstance(kinds[name], pl.Decimal) else str(value)) for name, value in given.items()
    )


def run_all(store: ObjectStore, files: Sequence[RawFile], now: datetime, parked_days: int) -> None:
    for file in files:
        deliver(store, file)
    run(store, now, parked_days)
