"""`gata trace --table`: from a curated row to its raw files and records, and to where those came from.

Places only: what was asked for is in no line of the output, and in no error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import click
import polars as pl

from gata_assets.cli.landed.quarantine import open_validator
from gata_assets.cli.terminal import text_console
from gata_assets.curation.changes.curator import ChangesCurator
from gata_assets.curation.curated.curator import TableCurator
from gata_assets.curation.files.formats import is_of_events, printable
from gata_assets.curation.tracing.absence import explain_absence
from gata_assets.curation.tracing.key_values import key_values
from gata_assets.curation.tracing.places import Place, TracedRows, trace_rows
from gata_assets.curation.validator import FileValidator
from gata_assets.errors import DataRuleError
from gata_assets.ingestion.segments.trace import Origin, origin_of, read_origins
from gata_assets.lake.tables import TICKETS, is_of_lake
from gata_assets.settings.model import Settings
from gata_assets.storage.objects import ObjectStore

_OF_EVENTS = ("stream", "offset", "topic", "partition", "source", "received_at", "form")


def show(settings: Settings, tenant: str, table: str, key: Iterable[str], *, as_table: bool) -> None:
    """Print the places of each curated row with a key (`column=value`).

    Raises DataRuleError if there is none, and says what has the key instead; DamagedTableError or StoreError.
    """
    curator = _open(settings, tenant, table)
    if not isinstance(curator, TableCurator | ChangesCurator):
        raise TypeError(f"{type(curator).__name__} curates no tables")
    if table not in curator.tables:
        raise click.BadParameter(f"there are: {', '.join(sorted(curator.tables))}.", param_hint="--table")
    identity = curator.identities.get(table) if isinstance(curator, TableCurator) else None
    asked = key_values(curator.tables[table], _divided(key), identity.unchanged if identity else None)
    origins = _Origins(curator.store, curator.places.tenant, table)
    rows = records = waiting = 0
    is_current = True
    for found in trace_rows(curator, asked):
        rows, records = rows + found.count, records + sum(place.record is not None for place in found.places)
        is_current, waiting = is_current and found.is_current, waiting + found.waiting
        for place in found.places:
            fields = _fields(found, place, origins)
            _print_place(fields) if as_table else print(json.dumps({"event": "ROW_TRACED", "table": table, **fields}))
    if not rows:
        raise DataRuleError(f"No curated row of {table} has this: {explain_absence(curator, asked)}.")
    if not as_table:
        last = {"table": table, "rows": rows, "records": records, "is_current": is_current, "waiting": waiting}
        print(json.dumps({"event": "ROWS_TRACED", **last}))
        return
    late = "" if is_current else " Files have come, changed or gone since it was curated: curate it again."
    wait = f" {waiting:,} changes of it wait for other rows (`gata quarantine waiting`)." if waiting else ""
    text_console().print(f"{rows:,} curated rows, of {records:,} records.{late}{wait}", markup=False)


def _open(settings: Settings, tenant: str, table: str) -> FileValidator:
    """The curator of a tenant's table; of the lake's tickets the lake's own, which says how rows become them."""
    curator = open_validator(settings, tenant)
    if table != TICKETS or table not in curator.tables or not is_of_lake(curator.tables[table]):
        return curator
    from gata_assets.definitions.lake import open_lake_curator

    return open_lake_curator(settings, tenant, curator.store)


class _Origins:
    """The origins of records; keeps those of the file that was asked for last."""

    def __init__(self, store: ObjectStore, tenant: str, table: str) -> None:
        @lru_cache(maxsize=1)
        def read(key: str) -> pl.DataFrame:
            return read_origins(store, tenant, table, key)

        self._read = read

    def find(self, place: Place) -> Origin | None:
        """Where a record came from; None of a file of many rows."""
        key = place.report.raw_key
        return origin_of(self._read(key), place.record) if place.record is not None and is_of_events(key) else None


def _divided(key: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in key:
        name, mark, value = text.partition("=")
        # The text itself may be a value.
        if not mark:
            raise click.BadParameter("each is COLUMN=VALUE.", param_hint="--key")
        if name in found:
            raise click.BadParameter("a column is given twice.", param_hint="--key")
        found[name] = value
    return found


def _fields(found: TracedRows, place: Place, origins: _Origins) -> dict[str, Any]:
    report, origin = place.report, origins.find(place)
    own = asdict(origin) | {"topic": origin.topic, "partition": origin.partition} if origin else {}
    request = (origin.request_id or None) if origin else report.request_id
    return {
        "row": place.row,
        "curated_partition": found.partition,
        "counts": place.counts,
        "raw": report.raw_key,
        "record": place.record,
        "file_id": report.file_id,
        "landed_at": report.landed_at.isoformat(),
        "mapping": report.mapping_name,
        "request_id": request,
        **{name: own.get(name) for name in _OF_EVENTS},
        "received_at": origin.received_at.isoformat() if origin else None,
        "problem": place.problem,
    }


def _print_place(fields: dict[str, Any]) -> None:
    console = text_console()
    partition = f" of {fields['curated_partition']}" if fields["curated_partition"] else ""
    if fields["problem"]:
        console.print(
            f"A file has, or may have, the key, and no record can be named: {fields['problem']}.", markup=False
        )
    else:
        counts = "counts" if fields["counts"] else "repeats, or is earlier than, the record that counts"
        console.print(f"Row {fields['row']:,}{partition}: record {fields['record']:,} {counts}", markup=False)
    left_out = ("row", "curated_partition", "counts", "record", "problem")
    for name, value in fields.items():
        if value is not None and name not in left_out:
            console.print(f"  {name.replace('_', ' ')}: {printable(str(value))}", markup=False)
