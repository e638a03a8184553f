"""The statements of ticket sources that speak SQL, and the single definition of which tickets train.

The parts are PostgreSQL's here, direct and through the Data API; a subclass replaces what differs in its database.
`:name` is a parameter, `:labels` is a PostgreSQL array literal. Windows, labels and sizes are bound parameters only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from pydantic import PrivateAttr

from gata_assets.batches import Window
from gata_assets.tickets import accounting
from gata_assets.tickets.accounting import SECONDS_PER_HOUR
from gata_assets.tickets.arrivals.census import SECONDS_PER_DAY, DayCensus
from gata_assets.tickets.sources.base import LabelVolume, SourceReport, TicketSource, WindowRead
from gata_assets.tickets.sources.table_layout import (
    COLUMNS,
    LAST_PLAUSIBLE,
    TableLayoutError,
    describe_faults,
    require_seconds,
)

Parameters = Mapping[str, int | str]
Result = TypeVar("Result")


class SqlTicketSource(TicketSource, ABC):
    """A ticket source over SQL.

    `largest_text` excludes tickets with a longer text, in bytes.
    """

    largest_text: int | None = None
    _has_right_types: bool = PrivateAttr(default=False)

    closed_sql: ClassVar[str] = "closed"
    # Values of `closed` that are in no window and yet no sign of an open ticket.
    odd_closed_sql: ClassVar[str] = f"closed >= {LAST_PLAUSIBLE}"
    label_sql: ClassVar[str] = "closed_group_id_mapped"
    has_label_sql: ClassVar[str] = "closed_group_id_mapped = ANY (CAST(:labels AS bigint[]))"
    # A group of 0 or null is none.
    has_group_sql: ClassVar[str] = "COALESCE(initial_group_id, 0) <> 0"
    text_bytes_sql: ClassVar[str] = "OCTET_LENGTH(processed_data)"
    # `arrivals.census` is the same in Python.
    fingerprint_sql: ClassVar[str] = (
        "CAST(SUM(CAST(CAST('x' || SUBSTR(MD5(CONCAT_WS(' ', id, closed, closed_group_id_mapped, processed_data)), "
        "1, 15) AS bit(60)) AS bigint)) AS text)"
    )

    def read_window(self, window: Window, labels: Sequence[int] | None = None) -> WindowRead:
        """See TicketSource."""
        return self._explained(lambda: self._read(window, labels))

    @abstractmethod
    def _read(self, window: Window, labels: Sequence[int] | None) -> WindowRead:
        """Read a window, as `read_window`."""

    @abstractmethod
    def fetch(self, sql: str, parameters: Parameters, *, is_polling: bool = False) -> list[dict[str, Any]]:
        """Run a statement that returns few rows; `is_polling` as in `take_census`.

        Raises TableLayoutError if the table or a column does not exist or has another type.
        """

    @abstractmethod
    def describe(self) -> str:
        """What the database is, after it was read."""

    @abstractmethod
    def read_layout(self) -> dict[str, str]:
        """The table's columns and their types (`table_layout`); none if there is no table."""

    def window_sql(self) -> str:
        """The condition for all tickets closed in a window."""
        return "closed >= :start AND closed < :end"

    def reason_sql(self) -> str:
        """Why a ticket is excluded from training, null for one that trains.

        Two kinds of tickets do not train: those created through the API with a group, since their creator routed them,
        and those that the router routed by a mapping, since their group is not informative. A missing value excludes
        nothing.
        """
        too_large = f" WHEN {self.text_bytes_sql} > :largest_text THEN '{accounting.TOO_LARGE}'"
        return (
            f"CASE WHEN CAST(via_channel AS text) = 'api' AND {self.has_group_sql} THEN '{accounting.ROUTED_BY_API}' "
            f"WHEN CAST(routed_by AS text) = 'gata-mapped' THEN '{accounting.ROUTED_BY_MAPPING}'"
            f"{'' if self.largest_text is None else too_large} END"
        )

    def select(self, window: Window, labels: Sequence[int] | None) -> tuple[str, dict[str, int | str]]:
        """The condition for a window's training tickets with these labels, and its parameters."""
        where, parameters = f"{self.window_sql()} AND ({self.reason_sql()}) IS NULL", self._parameters(window)
        if labels is None:
            return where, parameters
        listed = ",".join(str(int(label)) for label in labels)
        return f"{where} AND {self.has_label_sql}", {**parameters, "labels": f"{{{listed}}}"}

    def tickets_sql(self, where: str) -> str:
        """The statement that reads the selected tickets, without an order."""
        columns = f"id, closed, {self.label_sql} AS label, processed_data AS text"
        return f"SELECT {columns} FROM ticket WHERE {where}"

    def odd_sql(self) -> str:
        """The statement that counts tickets whose `closed` cannot be in seconds."""
        return f"SELECT COUNT(*) AS odd, MAX(closed) AS greatest FROM ticket WHERE {self.odd_closed_sql}"

    def counts_sql(self, window: Window) -> tuple[str, Parameters]:
        """The statement that counts a window's tickets by hour and reason, for `HourlyCounts`, and its parameters."""
        sql = (
            f"SELECT closed / {SECONDS_PER_HOUR} AS hour, {self.reason_sql()} AS reason, COUNT(*) AS tickets "
            f"FROM ticket WHERE {self.window_sql()} GROUP BY 1, 2 ORDER BY 1, 2"
        )
        return sql, self._parameters(window)

    def census_sql(self, where: str, *more_columns: str) -> str:
        """The statement that counts and fingerprints the selected tickets by day."""
        columns = (
            f"closed / {SECONDS_PER_DAY} AS day",
            "COUNT(*) AS tickets",
            f"{self.fingerprint_sql} AS fingerprint",
        )
        return f"SELECT {', '.join(columns + more_columns)} FROM ticket WHERE {where} GROUP BY 1 ORDER BY 1"

    def take_census(self, window: Window) -> tuple[DayCensus, ...]:
        """See TicketSource; one statement."""

        def run() -> tuple[DayCensus, ...]:
            where, parameters = self.select(window, None)
            return tuple(DayCensus(**row) for row in self.fetch(self.census_sql(where), parameters, is_polling=True))

        # Without a look at the table first: a tick has one call.
        return self._explained(run, is_checked=False)

    def measure(self, window: Window, labels: Sequence[int] | None = None) -> tuple[LabelVolume, ...]:
        """See TicketSource."""

        def run() -> tuple[LabelVolume, ...]:
            where, parameters = self.select(window, labels)
            size = self.text_bytes_sql
            sql = (
                f"SELECT {self.label_sql} AS label, COUNT(*) AS tickets, COALESCE(SUM({size}), 0) AS text_bytes, "
                f"COALESCE(MAX({size}), 0) AS largest_text FROM ticket WHERE {where} GROUP BY 1 ORDER BY 1"
            )
            return tuple(LabelVolume(**row) for row in self.fetch(sql, parameters))

        return self._explained(run)

    def probe(self) -> SourceReport:
        """See TicketSource; one statement, which names every column that is read."""
        sql = (
            f"SELECT COUNT(*) AS closed_tickets, MIN({self.closed_sql}) AS first_closed, "
            f"MAX({self.closed_sql}) AS last_closed, COALESCE(MAX({self.text_bytes_sql}), 0) AS largest_text "
            f"FROM (SELECT {', '.join(COLUMNS)} FROM ticket) AS ticket WHERE {self.closed_sql} > 0"
        )
        [row] = self._explained(lambda: self.fetch(sql, {}))
        require_seconds(row["first_closed"], row["last_closed"])
        return SourceReport(self.describe(), **row)

    def _parameters(self, window: Window) -> dict[str, int | str]:
        size: dict[str, int | str] = {} if self.largest_text is None else {"largest_text": self.largest_text}
        return {"start": window.start, "end": window.end, **size}

    def _explained(self, run: Callable[[], Result], *, is_checked: bool = True) -> Result:
        """Run statements; a table that differs from the documented one is explained by all of its differences.

        It is looked at before (`is_checked`): a number of another type than an integer would be read as other values,
        by each source in its own way.
        """
        if is_checked and not self._has_right_types:
            self._require_layout()
            self._has_right_types = True
        try:
            return run()
        except TableLayoutError as error:
            self._require_layout()
            raise error from None

    def _require_layout(self) -> None:
        if faults := describe_faults(self.read_layout(), self.describe()):
            raise TableLayoutError(faults)
