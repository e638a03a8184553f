"""Stand-ins for what cannot be had on demand: sources, stores and channels that refuse or break.

They are injected, never patched in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import Any

import pandas as pd
import pyarrow as pa

from gata_assets.batches import Window
from gata_assets.errors import AlertError, DeleteDeniedError, SourceError, StoreError
from gata_assets.interactions.engines.base import WITH_FEATURES, BuiltTables, CuratedWindow, FeatureParts
from gata_assets.interactions.engines.polars import ArrowTables, PolarsEngine
from gata_assets.interactions.rules import SamplingRules
from gata_assets.orchestration.alerting.channels import SnsAlerts
from gata_assets.orchestration.alerting.message import Alert
from gata_assets.storage.objects import ObjectStore, Version
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.tables.outcomes import Outcome
from gata_assets.ticket_contract.accounting import SECONDS_PER_HOUR, HourlyCounts
from gata_assets.ticket_contract.census import DayCensus
from gata_assets.ticket_contract.source import WindowRead
from gata_assets.tickets.sources.sqlite import SqliteTickets


def window_read(tickets: pd.DataFrame, window: Window, labels: Sequence[int] | None) -> WindowRead:
    """What a source reads of a window whose tickets (`Tickets` columns) all train."""
    inside = tickets[tickets["closed"].between(window.start, window.end, inclusive="left")]
    hours = (inside["closed"] // SECONDS_PER_HOUR).value_counts().sort_index()
    rows = [{"hour": int(hour), "reason": None, "tickets": int(count)} for hour, count in hours.items()]
    selected = inside if labels is None else inside[inside["label"].isin(labels)]
    return WindowRead(selected.sort_values(["closed", "id"], ignore_index=True), HourlyCounts.of(rows))


class RecordingTickets(SqliteTickets):
    """The tickets of a SQLite file, and a file beside it that says what was asked for, a line a read."""

    def read_window(self, window: Window, labels: Sequence[int] | None = None) -> WindowRead:
        """Record, then read."""
        with Path(f"{self.path}.reads").open("a") as reads:
            reads.write(f"{window} {labels}\n")
        return super().read_window(window, labels)


class TicketsOfAnotherTime(SqliteTickets):
    """The tickets of a SQLite file, of five days too many on each side of the window that is asked for."""

    def read_window(self, window: Window, labels: Sequence[int] | None = None) -> WindowRead:
        """Read too much."""
        more = timedelta(days=5)
        return super().read_window(Window(window.start_at - more, window.end_at + more), labels)


class StoreWithoutDelete(LocalStoreResource):
    """A local store whose role may not delete, as that of the existing workflow."""

    def delete(self, key: str, **_: object) -> None:
        """Refuse."""
        raise DeleteDeniedError(f"{self.uri(key)} may not be deleted: the role needs s3:DeleteObject on it.")


class StoreWithPages(LocalStoreResource):
    """A directory whose objects a browser is shown by a server that is not there."""

    def page(self, key: str) -> str:
        """An address that nobody asks."""
        return f"https://pages.example/{key}"


_COUNTING = Lock()


class StoreThatBreaks(LocalStoreResource):
    """A local store whose n-th call that changes something fails, before it has changed it."""

    breaks_at: int

    def write(self, key: str, content: bytes, **conditions: Any) -> Version:
        """Write, unless it is this call's turn to fail."""
        self._count()
        return super().write(key, content, **conditions)

    def write_file(self, key: str, path: Path, **more: Any) -> None:
        """Write, unless it is this call's turn to fail."""
        self._count()
        super().write_file(key, path, **more)

    def delete(self, key: str, **conditions: Any) -> None:
        """Delete, unless it is this call's turn to fail."""
        self._count()
        super().delete(key, **conditions)

    def _count(self) -> None:
        # In a file, since Dagster makes a store of its own for every IO manager that has one; under a lock, since
        # threads write the files of a table at once.
        counter = Path(f"{self.directory}.changes")
        with _COUNTING:
            changes = int(counter.read_text()) + 1 if counter.exists() else 1
            counter.write_text(str(changes))
        if changes == self.breaks_at:
            raise StoreError("the store broke")


class StoreThatIsNotListed(LocalStoreResource):
    """A local store whose keys cannot be listed below a prefix."""

    prefix: str

    def list_keys(self, prefix: str) -> Iterator[str]:
        """List, but for that prefix."""
        if prefix.startswith(self.prefix):
            raise StoreError("the folder cannot be listed")
        return super().list_keys(prefix)

    def list_delivered(self, prefix: str) -> Iterator[str]:
        """As `list_keys`."""
        return self.list_keys(prefix)


class TicketsThatBreak(SqliteTickets):
    """A source of which no census can be taken, and says why; without a message it breaks as nobody foresaw."""

    path: str = "none.sqlite"
    message: str

    def take_census(self, window: Window) -> tuple[DayCensus, ...]:
        """Refuse."""
        if not self.message:
            raise RuntimeError("nobody foresaw this")
        raise SourceError(self.message)


class AlertsThatBreak(SnsAlerts):
    """A topic whose n-th alert and all after it are not taken; `sent` is a file that counts."""

    sent: str
    breaks_at: int

    def send(self, alert: Alert) -> None:
        """Send, until it is this call's turn to fail."""
        with Path(self.sent).open("a") as file:
            file.write("x")
        if Path(self.sent).stat().st_size >= self.breaks_at:
            raise AlertError("the channel broke")
        super().send(alert)


class EngineThatBreaksARule(PolarsEngine):
    """The engine of one machine, of whose tables one breaks a rule in one batch: `check` of `table` fails there."""

    table: str
    check: str
    batch_at: str

    def make_features(self, curated: CuratedWindow, store: ObjectStore) -> BuiltTables:
        """Make them, and spoil what a check says."""
        return self._spoil(super().make_features(curated, store), curated)

    def make_training_data(
        self, curated: CuratedWindow, rules: SamplingRules, store: ObjectStore, *, features: FeatureParts
    ) -> BuiltTables:
        """Make them, and spoil what a check says."""
        return self._spoil(super().make_training_data(curated, rules, store, features=features), curated)

    def _spoil(self, made: BuiltTables, curated: CuratedWindow) -> BuiltTables:
        if self.table in made.outcomes and curated.window.end_at.isoformat() == self.batch_at:
            of_table = {**made.outcomes[self.table], self.check: [Outcome("a rule", 1, 2, "Mend it")]}
            made.outcomes = {**made.outcomes, self.table: of_table}
        return made


class EngineThatMixesRows(PolarsEngine):
    """The engine of one machine, of whose joined rows those of each group are written from the last to the first."""

    def make_training_data(
        self, curated: CuratedWindow, rules: SamplingRules, store: ObjectStore, *, features: FeatureParts
    ) -> BuiltTables:
        """Make them, and turn them around."""
        made = super().make_training_data(curated, rules, store, features=features)
        assert isinstance(made, ArrowTables)
        joined = made.sources[WITH_FEATURES]

        def take(first: int, last: int) -> pa.Table:
            table = joined.take(first, last)
            return table.take(list(reversed(range(len(table))))).combine_chunks()

        sources = {**made.sources, WITH_FEATURES: replace(joined, take=take)}
        return ArrowTables(store, sources, made.numbers, made.outcomes, 1)
