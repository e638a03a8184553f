"""`gata doctor`: can a batch be prepared with these settings, and if not, what fixes it?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import starmap

from gata_assets.batches import Window
from gata_assets.cli.lake.examination import examine_lakes
from gata_assets.cli.landed.quarantine import say_outdated
from gata_assets.cli.terminal import text_console
from gata_assets.curation.backlog import find_waiting
from gata_assets.curation.files.raw_objects import require_listed
from gata_assets.curation.layout import ITEMS_FILE
from gata_assets.definitions import open_source
from gata_assets.definitions.stores import build_store
from gata_assets.definitions.tracking import find_server
from gata_assets.errors import ConflictError, DeleteDeniedError, GataError, SettingsError, TrackingError
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.tables import ITEMS, TABLES
from gata_assets.lake.tables import TICKETS
from gata_assets.settings.model import Settings
from gata_assets.settings.table_specs import all_tables, curation_rules, own_tables
from gata_assets.settings.tenants import tenants_prepared
from gata_assets.settings.values import EngineKind, SourceKind
from gata_assets.storage.datasets import find_manifest
from gata_assets.storage.objects import ABSENT, ObjectStore, Version
from gata_assets.ticket_contract.source import SourceReport
from gata_assets.tickets.rules import TextNormalization
from gata_assets.tickets.sources.data_api_pages import LARGEST_TEXT, say_too_large
from gata_assets.tickets.sources.table_layout import WHOLE_NUMBERS
from gata_assets.tickets.sources.ticket_table import OPTIONAL

# A fixed key that is overwritten every time: if the role may not delete, at most this object remains.
PROBE_KEY = "intermediate/doctor/probe"
_PROBE = b"written by gata doctor; may be deleted\n"


@dataclass(frozen=True)
class Finding:
    """What was checked, whether it is in order (None: undecided, see the text), and what was found."""

    subject: str
    is_well: bool | None
    found: str


def run(settings: Settings, *, only: str | None = None, as_json: bool = False) -> bool:
    """Check everything, or what one pipeline needs, show each finding as it occurs, and return whether a batch can be
    prepared.
    """
    console = text_console()
    marks = {True: "[green]ok  [/green]", False: "[red]BAD [/red]", None: "[yellow]note[/yellow]"}
    is_well = True
    for finding in examine(settings, only=only):
        is_well = is_well and finding.is_well is not False
        if as_json:
            print(json.dumps({"event": "FINDING", **asdict(finding)}))
            continue
        console.print(f"{marks[finding.is_well]} {finding.subject}: ", end="")
        console.print(finding.found, markup=False)
    if as_json:
        print(json.dumps({"event": "EXAMINED", "can_prepare": is_well}))
        return is_well
    console.print("A batch can be prepared." if is_well else "A batch cannot be prepared as things are.")
    return is_well


def examine(settings: Settings, *, only: str | None = None) -> Iterator[Finding]:
    """Check everything that a run of all pipelines, or of the one named, needs; yields a finding per check."""
    target = (
        settings.target.place
        if settings.target.bucket
        else f"directory {settings.target.place} (TARGET_BUCKET is unset)"
    )
    yield Finding("settings", True, f"{settings.tickets.source_kind.value} tickets; target {target}")
    if only in (None, "tickets"):
        yield from _ended_by_error("tickets", _examine_source(settings))
    store = build_store(settings)
    yield from _ended_by_error("target", _examine_store(store))
    yield from _ended_by_error("mlflow", _examine_mlflow(settings))
    if only == "tickets":
        return
    if settings.online.url is not None:
        yield from _ended_by_error("online", _examine_online(settings))
    yield from _ended_by_error("lakes", starmap(Finding, examine_lakes(settings, store)))
    try:
        tenants = tenants_prepared(settings, store)
    except GataError as error:
        yield Finding("tenants", False, str(error))
        return
    yield _describe_tenants(settings, tenants)
    if tenants:
        yield from _ended_by_error("engine", _examine_engine(settings))
    yield from _ended_by_error("tables", _examine_tables(settings, tenants, store))


def _ended_by_error(subject: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings of a check; an error that ends it is the last of them."""
    try:
        yield from findings
    except GataError as error:
        yield Finding(subject, False, str(error))


def _examine_online(settings: Settings) -> Iterator[Finding]:
    try:
        from gata_assets.cli.online.examination import examine_online
    except ModuleNotFoundError as error:
        yield Finding("online", False, f"{error.name} is not installed: pip install 'gata-assets[online]'")
        return
    for found in examine_online(settings):
        yield Finding(*found)


def _examine_source(settings: Settings) -> Iterator[Finding]:
    source = open_source(settings)
    report = source.probe()
    if not report.last_closed:
        is_lake = settings.tickets.source_kind is SourceKind.LAKE
        why = "Are its days up to date?" if is_lake else "Is it the right database?"
        yield Finding("tickets", False, f"{report.description} has no closed ticket. {why}")
        return
    # The same statements as in a batch, for the last second in which tickets closed.
    last = datetime.fromtimestamp(report.last_closed, UTC)
    source.read_tickets(Window(last, last + timedelta(seconds=1)))
    first = datetime.fromtimestamp(report.first_closed or 0, UTC)
    span = f"{first:%Y-%m-%d %H:%M} UTC to {last:%Y-%m-%d %H:%M} UTC"
    yield Finding("tickets", True, f"{report.description}: {report.closed_tickets:,} closed tickets, {span}")
    is_normalized = settings.tickets.text_normalization is TextNormalization.NORMALIZE
    yield from _examine_columns(report, is_normalized=is_normalized)
    limit = settings.tickets.max_ticket_bytes
    if settings.tickets.source_kind is SourceKind.DATA_API and report.largest_text > LARGEST_TEXT:
        is_left_out = limit is not None and limit <= LARGEST_TEXT
        found = f"texts of up to {report.largest_text:,} bytes are left out, counted (MAX_TICKET_BYTES={limit})"
        yield Finding(
            "tickets, size", is_left_out or None, found if is_left_out else say_too_large(report.largest_text)
        )


def _examine_columns(report: SourceReport, *, is_normalized: bool) -> Iterator[Finding]:
    """What the columns of tickets mean for datasets, where they differ from the documented ones."""
    if report.absent_columns:
        # In their order, each once.
        effects = dict.fromkeys(OPTIONAL[name] for name in report.absent_columns)
        found = f"TICKETS_QUERY gives no {', '.join(report.absent_columns)}: {', and '.join(effects)}"
        yield Finding("tickets, columns", None, found)
    if report.names_look == WHOLE_NUMBERS:
        found = (
            "closed_group_id_mapped has whole numbers in a column of texts: they are names of labels. To have the "
            "numbers themselves: CAST(closed_group_id_mapped AS bigint) in TICKETS_QUERY or a view"
        )
        yield Finding("tickets, labels", None, found)
    elif report.names_look is not None:
        yield Finding("tickets, labels", True, "closed_group_id_mapped has names: they become ids through a label map")
    if report.texts_not_normalized:
        share = report.texts_not_normalized / report.texts_sampled
        found = (
            f"{report.texts_not_normalized:,} of {report.texts_sampled:,} sampled texts ({share:.0%}) have other "
            "characters than [a-z0-9?.! ]: "
        )
        found += "TEXT_NORMALIZATION reduces them" if is_normalized else "set TEXT_NORMALIZATION=normalize"
        yield Finding("tickets, texts", is_normalized or None, found)


def _examine_store(store: ObjectStore) -> Iterator[Finding]:
    place = store.uri(PROBE_KEY)
    try:
        store.write(PROBE_KEY, _PROBE)
        yield Finding("target, write", True, place)
        if store.read(PROBE_KEY) != _PROBE:
            yield Finding("target, read", False, f"{place} does not contain what was just written to it.")
            return
        yield Finding("target, read", True, place)
        yield _examine_conditions(store)
        # Every batch looks up keys that do not exist, and a role needs a separate permission for that.
        store.exists(f"{PROBE_KEY}-that-is-never-written")
        yield Finding("target, look", True, "what is missing is reported as missing")
        store.delete(PROBE_KEY)
        is_gone = not store.exists(PROBE_KEY)
        yield Finding("target, delete", is_gone, place if is_gone else f"{place} still exists after a delete.")
    except DeleteDeniedError as error:
        yield Finding("target, delete", None, f"{error} {_WITHOUT_DELETING}")


def _examine_conditions(store: ObjectStore) -> Finding:
    """Whether the store refuses the second of two concurrent writes of the same object."""
    if not store.has_conditions:
        return Finding(_CONDITIONS, None, f"CONDITIONAL_WRITES=no. {_WITHOUT_CONDITIONS}")
    for expected in (ABSENT, Version('"0123456789abcdef0123456789abcdef"')):
        with suppress(ConflictError):
            store.write(PROBE_KEY, _PROBE, expected=expected)
            header = "If-None-Match" if expected == ABSENT else "If-Match"
            advice = f"set CONDITIONAL_WRITES=no. {_WITHOUT_CONDITIONS}"
            return Finding(_CONDITIONS, False, f"the endpoint ignores {header}: {advice}")
    return Finding(_CONDITIONS, True, "of two commands that write the same at once, one is refused")


def _examine_mlflow(settings: Settings) -> Iterator[Finding]:
    """Whether the tracking server lets us in, where there is one; a batch can be prepared without it."""
    server = find_server(settings)
    if server is None:
        return
    try:
        found = f"{server.uri} is MLflow {server.probe()}; datasets are logged to experiment {server.experiment}"
        yield Finding("mlflow", True, found)
    except (SettingsError, TrackingError) as error:
        yield Finding("mlflow", None, f"{error} Until then no dataset is logged; batches can be prepared.")


_WITHOUT_DELETING = (
    "Batches can be prepared without it; only a batch that is run again and then has no low-volume dataset any more "
    "fails, because the earlier one's files must go."
)
_CONDITIONS = "target, conditions"
_WITHOUT_CONDITIONS = (
    "Then two commands at once can leave training files of one with the manifest of the other, replace a dataset or a "
    "day by an older one, and lose what one noted in a report: run one command at a time, and one run."
)


def _describe_tenants(settings: Settings, tenants: Sequence[str]) -> Finding:
    """Whose interactions are prepared, and why."""
    if settings.interactions.tenants is not None:
        others = [name for name in settings.interactions.tenants if name not in tenants]
        alone = f"; {', '.join(others)} with tickets alone" if others else ""
        return Finding("tenants", True, f"{', '.join(tenants) or 'nobody'}, as TENANTS says{alone}")
    if not tenants:
        found = "none has raw files in the target but of lakes (TENANTS is unset); `gata ingest` lands some"
        return Finding("tenants", None, found)
    loaded = "Dagster lists them when it loads the code location: reload it after a tenant's first file"
    return Finding("tenants", True, f"{', '.join(tenants)}: those with raw files (TENANTS is unset). {loaded}")


def _examine_engine(settings: Settings) -> Iterator[Finding]:
    """Whether the engine can be loaded and its host responds; the capacity of a cluster is not checked."""
    from gata_assets.definitions.interactions import build_engine

    kind = settings.interactions.engine.value
    try:
        build_engine(settings)
        if settings.interactions.engine is EngineKind.SPARK:
            from gata_assets.interactions.engines.spark.session import require_answer

            require_answer(settings.interactions.spark_remote or settings.interactions.spark_master or "")
    except ModuleNotFoundError as error:
        yield Finding("engine", False, f"{error.name} is not installed: pip install 'gata-assets[{kind}]'")
    else:
        yield Finding("engine", True, f"{kind} builds features and training data of interactions")


def _examine_tables(settings: Settings, tenants: Sequence[str], store: ObjectStore) -> Iterator[Finding]:
    """The files of each tenant's interactions and items, and of each own table."""
    tables = all_tables(settings)
    own = list(own_tables(settings))
    if own and not tenants:
        yield Finding("tables", None, f"{', '.join(own)}: there is no tenant, so they are not curated")
    for tenant in tenants:
        curator = Curator(store, tenant, curation_rules(settings), datetime.now(UTC), tables)
        subjects = {f"interactions of {tenant}": list(TABLES)} | {f"table {name} of {tenant}": [name] for name in own}
        if TICKETS not in own and curator.raw_keys(TICKETS):
            subjects[f"tickets of {tenant}"] = [TICKETS]
        for subject, names in subjects.items():
            yield from _ended_by_error(subject, _examine_files(curator, subject, names))


def _examine_files(curator: Curator, subject: str, tables: Sequence[str]) -> Iterator[Finding]:
    """The state of a tenant's files of some tables; without any, nothing is curated, which is no fault."""
    tenant = curator.places.tenant
    found_waiting = find_waiting(curator.places, curator.store, tables)
    for key in found_waiting:
        require_listed(curator.store, key)
    waiting = len(found_waiting)
    for key in [key for table in tables for key in curator.raw_keys(table)[:1]]:
        # A role may list files that it may not read.
        curator.store.read_part(key, 0, 1)
    reports = [curator.reports(table) for table in tables]
    validated = sum(map(len, reports))
    if not waiting and not validated:
        yield Finding(subject, None, "there is no file yet; `gata ingest` lands some")
        return
    found = f"{validated:,} {'file' if validated == 1 else 'files'} validated, {waiting:,} waiting"
    items = _count_items(curator) if ITEMS in tables else None
    if items is not None:
        found += f"; a catalog of {items:,} items"
    if items == 0:
        found += ". Batches with positives fail without one: gata ingest items"
    if outdated := sum(len(curator.outdated(of_table)) for of_table in reports):
        found += f". {say_outdated(outdated)} To validate them again: gata quarantine --tenant {tenant} --replay"
    yield Finding(subject, None if items == 0 or waiting or outdated else True, found)


def _count_items(curator: Curator) -> int:
    manifest = find_manifest(curator.store, curator.places.curated(ITEMS)).manifest
    found = manifest.find(ITEMS_FILE) if manifest else None
    return found[1].rows if found else 0
