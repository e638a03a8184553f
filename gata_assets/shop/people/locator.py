"""The sources of a shop as places of people's data: raw files, curated tables, and tables for analysts.

Curated tables lose the rows of theirs, and nothing else about them changes. Tables for analysts are built from what is
left, as after any change, so that no sum counts the people any more; superseded files of theirs are not kept for
queries that have begun. Dead letters of events have no row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from gata_assets.curation.erasure.changes import ChangesEraser
from gata_assets.curation.erasure.exporting import TableExporter, rows_of_any
from gata_assets.curation.erasure.leftovers import delete_leftovers, named_by_manifests
from gata_assets.curation.erasure.owned_rows import find_owned_rows
from gata_assets.curation.erasure.stored_rows import CURATED as CURATED_ROWS
from gata_assets.governance.privacy.locators import Cleared, Erasure, Exported, People
from gata_assets.shop.places import OWNER
from gata_assets.shop.prod.states import STATES
from gata_assets.tables.manifests import MANIFEST_FILE
from gata_assets.tables.people.owners import owners

if TYPE_CHECKING:
    from gata_assets.shop.engine import ShopEngine


_ANALYSTS = "tables for analysts"


class ShopLocator:
    """The raw files and tables of a shop's sources, which commands name `shop/NAME`."""

    def __init__(self, engine: Callable[[], ShopEngine]) -> None:
        """`engine` opens the shop when it is needed."""
        self._engine = engine

    def erase(self, erasure: Erasure) -> Iterator[Cleared]:
        """See Locator; while other commands curate or build the same source, they are waited for."""
        source, engine = erasure.tenant.removeprefix(OWNER), self._engine()
        with engine.lease(source).held(lambda: False):
            found = ChangesEraser(engine.curator(source), erasure.mentions, erasure.request).erase()
        for table, files in found.files.items():
            counts = {
                "records": sum(removed.records for removed in files),
                "rows": sum(removed.valid for removed in files),
                "rejected_rows": sum(removed.rejected for removed in files),
            }
            yield Cleared(f"{table}: raw files, staged and rejected rows", len(files), counts)
        yield Cleared("curated tables", found.partitions)
        yield Cleared("what nothing names any more", found.leftovers, {"objects": found.leftovers})
        yield self._erase_prod(engine, source, erasure)

    def export(self, people: People) -> Iterator[Exported]:
        """See Locator."""
        source, engine = people.tenant.removeprefix(OWNER), self._engine()
        curator, store = engine.curator(source), engine.store
        named = find_owned_rows(curator, people.ids)
        exporter = TableExporter(curator, named, people.mentions)
        tables = [curator.tables[table] for table in owners(curator.tables)]
        for spec in tables:
            for kind, key, rows in exporter.rows(spec):
                # Those of several tables are together there.
                theirs = rows_of_any(store, key, tables, named) if kind == CURATED_ROWS else rows
                yield Exported(f"{spec.table}: {kind}", key, theirs)
        for key in store.list_keys(engine.prod_folder(source)):
            yield Exported(_ANALYSTS, key, rows_of_any(store, key, tables, named))

    def _erase_prod(self, engine: ShopEngine, source: str, erasure: Erasure) -> Cleared:
        store, folder, place = engine.store, engine.prod_folder(source), _ANALYSTS
        there = set(store.list_keys(folder))
        if not any(key.endswith(MANIFEST_FILE) for key in there):
            return Cleared(place, 0)
        report = engine.build_without(source, erasure.request)
        states = {key for key in there if key.startswith(folder + STATES)}
        present = set(store.list_keys(folder + STATES))
        unnamed = (states & present) - named_by_manifests(store, present)
        subjects = [spec for spec in engine.tables.values() if spec.subject_columns]
        deleted = delete_leftovers(store, unnamed, subjects, engine.curator(source).erased(), erasure.mentions)
        changed = sum(report.built.values()) + sum(report.removed.values())
        remains = (
            f"{report.files_left:,} superseded files below {store.uri(folder)}: this role may not delete them, so ask "
            "for the same request with one that may."
            if report.files_left
            else ""
        )
        return Cleared(place, changed, {"objects": deleted}, remains)
