"""`gata tenants` and `gata files`: which raw files there are, and what became of each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from rich.table import Table

from gata_assets.cli.raw_files.outcomes import open_curator
from gata_assets.cli.terminal import table_console, text_console
from gata_assets.curation.files.tenants import find_tenants
from gata_assets.curation.reports import Report
from gata_assets.curation.superseding import replaced_files
from gata_assets.errors import RawFileError
from gata_assets.interactions.curated.curator import Curator
from gata_assets.settings.model import Settings
from gata_assets.settings.tenants import is_named, named_tenants
from gata_assets.storage.objects import ObjectStore

# A file's rows count, or another one superseded it, it cannot be read, or it waits to be validated.
COUNTS, SUPERSEDED, REFUSED, WAITING, OUTDATED = "counts", "superseded", "refused", "waiting", "outdated"


@dataclass(frozen=True)
class ListedFile:
    """A raw file: its state (`outdated` counts, by other rules than those of now), its rows, and why it was refused or
    which file superseded it.
    """

    tenant: str
    table: str
    key: str
    state: str
    file_id: str | None = None
    landed_at: str | None = None
    rows: int = 0
    valid: int = 0
    rejected: int = 0
    mapping: str | None = None
    why: str | None = None


def list_files(settings: Settings, tenant: str, *, table: str | None, state: str | None, as_table: bool) -> None:
    """List the raw files of a tenant; raises RawFileError for an unknown table, StoreError or DamagedTableError."""
    from gata_assets.definitions.stores import build_store

    curator = open_curator(settings, tenant)
    if table is not None and table not in curator.tables:
        raise RawFileError(f"{table} is no table: there are {', '.join(sorted(curator.tables))}.")
    files = [
        file
        for name in ([table] if table else curator.tables)
        for file in find_files(curator, name)
        if state in (None, file.state)
    ]
    if as_table:
        _print_files(files, tenant, build_store(settings))
        return
    for file in files:
        print(json.dumps({"event": "FILE", **asdict(file)}))
    print(json.dumps({"event": "FILES_LISTED", "tenant": tenant, "files": len(files)}))


def find_files(curator: Curator, table: str) -> Iterator[ListedFile]:
    """The raw files of a table, by key; then those that were removed after they were validated."""
    reports = curator.reports(table)
    replaced = replaced_files(reports)
    of_key = {report.raw_key: report for report in reports}
    waiting = set(curator.unvalidated([table]))
    tenant = curator.places.tenant
    for key in sorted({*of_key, *waiting}):
        report = of_key.get(key)
        if report is None:
            yield ListedFile(tenant, table, key, WAITING)
            continue
        state, why = _state(curator, report, replaced, is_waiting=key in waiting)
        landed_at = f"{report.landed_at:%Y-%m-%dT%H:%M:%SZ}"
        mapping = report.mapping_name or ("of its own" if report.mapping else None)
        counts = (report.rows, report.valid, report.rejected)
        yield ListedFile(tenant, table, key, state, report.file_id, landed_at, *counts, mapping, why)


def _state(curator: Curator, report: Report, replaced: dict[str, str], *, is_waiting: bool) -> tuple[str, str | None]:
    if report.file_id in replaced:
        return SUPERSEDED, f"by {replaced[report.file_id]}"
    if is_waiting:
        return WAITING, "it changed, or is to be tried again"
    if report.refused:
        return REFUSED, report.refused
    if report.rows and not report.valid:
        return REFUSED, "no row is valid"
    return (OUTDATED if curator.is_outdated(report) else COUNTS), None


def list_tenants(settings: Settings, *, as_table: bool) -> None:
    """List tenants with raw files, and those of TENANTS; raises StoreError or DamagedTableError."""
    from gata_assets.definitions.stores import build_store

    named = named_tenants(settings)
    found = find_tenants(build_store(settings))
    names = sorted({*found, *(named or ())})
    rows = [row for name in names for row in _tenant_rows(settings, name)]
    if not as_table:
        for row in rows:
            print(json.dumps({"event": "TENANT", **row}))
        print(json.dumps({"event": "TENANTS_LISTED", "tenants": len(names)}))
        return
    console = table_console()
    if not names:
        console.print("There is no tenant: `gata ingest` lands the first file of one.")
        return
    table = Table("tenant", "prepared", "table")
    columns = ("files", "valid", "rejected", "refused", "waiting")
    for column in columns:
        table.add_column(column, justify="right")
    last: tuple[str, str] | None = None
    for row in rows:
        tenant, prepared = str(row["tenant"]), "yes" if row["is_prepared"] else "no"
        is_new = last is None or tenant != last[0]
        first = (tenant if is_new else "", prepared if is_new or (tenant, prepared) != last else "")
        last = (tenant, prepared)
        table.add_row(*first, str(row["table"]), *(f"{row[column]:,}" for column in columns))
    console.print(table)
    if named is not None and (left := sorted(set(found) - set(named))):
        console.print(f"Not prepared, since TENANTS does not name them: {', '.join(left)}.", markup=False)


def _tenant_rows(settings: Settings, tenant: str) -> Iterator[dict[str, object]]:
    # Without the warning of commands that write: this one shows who is prepared.
    curator = open_curator(settings, tenant, is_quiet=True)
    for name in curator.tables:
        files = list(find_files(curator, name))
        counting = [file for file in files if file.state in (COUNTS, OUTDATED)]
        yield {
            "tenant": tenant,
            "is_prepared": is_named(settings, tenant, name),
            "table": name,
            "files": len(files),
            "valid": sum(file.valid for file in counting),
            "rejected": sum(file.rejected for file in counting),
            "refused": sum(file.state == REFUSED for file in files),
            "waiting": sum(file.state == WAITING for file in files),
        }


def _print_files(files: Sequence[ListedFile], tenant: str, store: ObjectStore) -> None:
    console = text_console()
    if not files:
        console.print(f"There is no such file of {tenant}.", markup=False)
    for file in files:
        # IDs and paths on lines of their own: they can be copied, however narrow the terminal.
        console.print(file.file_id or f"{file.table}: no ID before it is validated", markup=False)
        counts = f", {file.rows:,} rows, {file.valid:,} valid, {file.rejected:,} rejected" if file.file_id else ""
        mapping = f", mapping {file.mapping}" if file.mapping else ""
        console.print(f"  {file.table}: {file.state}{counts}{mapping}", markup=False)
        if file.why:
            console.print(f"  {file.state} {file.why}", markup=False)
        console.print(f"  {store.uri(file.key)}", markup=False)
