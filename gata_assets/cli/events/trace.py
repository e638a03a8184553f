"""`gata trace`: from a record of a raw file of events to where it came from."""

from __future__ import annotations

import json
from dataclasses import asdict

from gata_assets.cli.raw_files.outcomes import open_curator
from gata_assets.cli.terminal import text_console
from gata_assets.curation.files.formats import file_id, printable
from gata_assets.curation.validator import FileValidator
from gata_assets.errors import DataRuleError
from gata_assets.ingestion.segments.trace import trace
from gata_assets.settings.model import Settings


def show(settings: Settings, tenant: str, file: str, record: int, *, as_table: bool) -> None:
    """Print the origin of a record; raises DataRuleError for an unknown file or record, or StoreError."""
    curator = open_curator(settings, tenant)
    table, key = _find(curator, file)
    origin = trace(curator.store, tenant, table, key, record)
    if not as_table:
        print(json.dumps({"event": "RECORD_TRACED", "table": table, "raw": key, **asdict(origin)}, default=str))
        return
    console = text_console()
    console.print(f"Record {record:,} of {key}:", markup=False)
    facts = [("stream", origin.stream), ("offset", origin.offset), ("source", origin.source)]
    facts += [("request", origin.request_id or "none"), ("received at", origin.received_at), ("as", origin.form)]
    for name, value in facts:
        console.print(f"  {name}: {value}", markup=False)


def _find(curator: FileValidator, file: str) -> tuple[str, str]:
    """The table and key of a raw file, by its id, its name or its key."""
    for table in curator.tables:
        for key in curator.raw_keys(table):
            if file in (key, key.rpartition("/")[2]) or file == file_id(curator.places, table, key):
                return table, key
    raise DataRuleError(
        f"There is no raw file {printable(file)} of {curator.places.tenant}: `gata files` lists ids, and "
        "`gata quarantine rows` names of files."
    )
