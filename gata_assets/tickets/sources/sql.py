"""The statements of ticket sources that speak SQL, and the single definition of which tickets train.

The parts are PostgreSQL's here, direct and through the Data API; a subclass replaces what differs in its database.
`:name` is a parameter, `:labels` is a PostgreSQL array literal. Windows, labels and sizes are bound parameters only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from json import dumps
from typing import Any, ClassVar, TypeVar

from pydantic import PrivateAttr

from gata_assets.batches import Window
from gata_assets.ticket_contract import accounting
from gata_assets.ticket_contract.accounting import SECONDS_PER_HOUR
from gata_assets.ticket_contract.census import SECONDS_PER_DAY, DayCensus
from gata_assets.ticket_contract.source import Label, LabelVolume, SourceReport, TicketSource, WindowRead
from gata_assets.tickets.sources.table_layout import (
    LABEL_COLUMN,
    LAST_PLAUSIBLE,
    QUERY,
    TABLE,
    Layout,
    TableLayoutError,
    describe_faults,
    describe_look,
    require_no_odd,
    require_seconds,
)
from gata_assets.tickets.sources.ticket_table import COLUMNS

Parameters = Mapping[str, int | str]
Result = TypeVar("Result")

# What the values of a mistyped column, and the texts, look like is found in as many tickets.
_TICKETS_SAMPLED = 1_000
# Of those whom tickets are looked for by, and of the ids that come with a response.
_PEOPLE_AT_ONCE, _IDS_AT_ONCE, _BEFORE_ALL = 1_000, 10_000, -(2**63)
# The columns of types that hide what their values are.
_TYPES_SAMPLED = frozenset({"text", "character varying", "character", "integer", "bigint", "numeric", "real"})


class SqlTicketSource(TicketSource, ABC):
    """A ticket source over SQL.

    `query` is a SELECT statement (`sql_text.parse_query`) that gives the columns of the table `ticket`, in place of it.
    `largest_text` excludes tickets with a longer text, in bytes. `requester_column` has the id of who asked, if set.
    """

    query: str | None = None
    largest_text: int | None = None
    requester_column: str | None = None
    _layout: Layout | None = PrivateAttr(default=None)

    closed_sql: ClassVar[str] = "closed"
    # Values of `closed` that are in no window and yet no sign of an open ticket.
    odd_closed_sql: ClassVar[str] = f"closed >= {LAST_PLAUSIBLE}"
    # A label that is a number, and one that is a name; a name of blanks is none.
    label_sql: ClassVar[str] = LABEL_COLUMN
    name_sql: ClassVar[str] = (
        f"CASE WHEN TRIM(CAST({LABEL_COLUMN} AS text)) <> '' THEN CAST({LABEL_COLUMN} AS text) END"
    )
    has_label_sql: ClassVar[str] = f"{LABEL_COLUMN} = ANY (CAST(:labels AS bigint[]))"
    texts_sql: ClassVar[str] = "SELECT json_array_elements_text(CAST(:texts AS json))"
    # A group of 0 or null is none.
    has_group_sql: ClassVar[str] = "COALESCE(initial_group_id, 0) <> 0"
    # How many tickets are read by their ids at once.
    tickets_at_once: ClassVar[int] = 1_000
    text_bytes_sql: ClassVar[str] = "OCTET_LENGTH(processed_data)"
    # White space is no fault.
    is_not_normalized_sql: ClassVar[str] = "processed_data ~ '[^a-z0-9.?![:space:]]'"
    # `arrivals.census` is the same in Python, where the text of a number is that of a name.
    fingerprint_sql: ClassVar[str] = (
        f"CAST(SUM(CAST(CAST('x' || SUBSTR(MD5(CONCAT_WS(' ', id, closed, {name_sql}, processed_data)), "
        "1, 15) AS bit(60)) AS bigint)) AS text)"
    )

    @property
    def relation(self) -> str:
        """What statements select from."""
        return "ticket" if self.query is None else f"({self.query}) AS ticket"

    @property
    def what(self) -> str:
        """What messages call it."""
        return TABLE if self.query is None else QUERY

    @property
    def has_names(self) -> bool:
        """Whether labels are names, as the layout that was read says."""
        return self._layout is not None and self._layout.has_names

    def read_window(self, window: Window, labels: Sequence[Label] | None = None) -> WindowRead:
        """See TicketSource."""
        return self._explained(lambda: self._read(window, labels))

    @abstractmethod
    def _read(self, window: Window, labels: Sequence[Label] | None) -> WindowRead:
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
    def read_layout(self, *, is_polling: bool) -> dict[str, str]:
        """The columns of the table or query and their types (`table_layout`); none if there is no table."""

    def window_sql(self) -> str:
        """The condition for all tickets closed in a window."""
        return "closed >= :start AND closed < :end"

    def reason_sql(self) -> str:
        """Why a ticket is excluded from training, null for one that trains.

        Two kinds of tickets do not train: those created through the API with a group, since their creator routed them,
        and those that the router routed by a mapping, since their group is not informative. A missing value excludes
        nothing.
        """
        absent = self._layout.absent if self._layout else ()
        cases = [
            (f"WHEN CAST(via_channel AS text) = 'api' AND {self.has_group_sql}", accounting.ROUTED_BY_API),
            ("WHEN CAST(routed_by AS text) = 'gata-mapped'", accounting.ROUTED_BY_MAPPING),
            (f"WHEN {self.text_bytes_sql} > :largest_text", accounting.TOO_LARGE),
        ]
        if self.largest_text is None:
            cases.pop()
        given = [f"{case} THEN '{reason}'" for case, reason in cases if not any(name in case for name in absent)]
        return f"CASE {' '.join(given)} END" if given else "CAST(NULL AS text)"

    def select(self, window: Window, labels: Sequence[Label] | None) -> tuple[str, dict[str, int | str]]:
        """The condition for a window's training tickets with these labels, and its parameters."""
        where, parameters = f"{self.window_sql()} AND ({self.reason_sql()}) IS NULL", self._parameters(window)
        if labels is None:
            return where, parameters
        if self.has_names:
            return f"{where} AND {self.name_sql} IN ({self.texts_sql})", {**parameters, **_texts(labels)}
        listed = ",".join(str(int(label)) for label in labels)
        return f"{where} AND {self.has_label_sql}", {**parameters, "labels": f"{{{listed}}}"}

    @property
    def label(self) -> str:
        """The label that is read, as SQL."""
        return self.name_sql if self.has_names else self.label_sql

    def tickets_sql(self, where: str) -> str:
        """The statement that reads the selected tickets, without an order."""
        columns = f"id, closed, {self.label} AS label, processed_data AS text"
        return f"SELECT {columns} FROM {self.relation} WHERE {where}"

    def odd_sql(self) -> str:
        """The statement that counts tickets whose `closed` cannot be in seconds."""
        return f"SELECT COUNT(*) AS odd, MAX(closed) AS greatest FROM {self.relation} WHERE {self.odd_closed_sql}"

    def counts_sql(self, window: Window) -> tuple[str, Parameters]:
        """The statement that counts a window's tickets by hour and reason, for `HourlyCounts`, and its parameters."""
        sql = (
            f"SELECT closed / {SECONDS_PER_HOUR} AS hour, {self.reason_sql()} AS reason, COUNT(*) AS tickets "
            f"FROM {self.relation} WHERE {self.window_sql()} GROUP BY 1, 2 ORDER BY 1, 2"
        )
        return sql, self._parameters(window)

    def census_sql(self, where: str, *more_columns: str) -> str:
        """The statement that counts and fingerprints the selected tickets by day."""
        columns = (f"closed / {SECONDS_PER_DAY} AS day, COUNT(*) AS tickets, {self.fingerprint_sql} AS fingerprint",)
        return f"SELECT {', '.join(columns + more_columns)} FROM {self.relation} WHERE {where} GROUP BY 1 ORDER BY 1"

    def take_census(self, window: Window) -> tuple[DayCensus, ...]:
        """See TicketSource; one statement."""

        def run() -> tuple[DayCensus, ...]:
            where, parameters = self.select(window, None)
            return tuple(DayCensus(**row) for row in self.fetch(self.census_sql(where), parameters, is_polling=True))

        # Without a look at a table first: a tick has one call. Of a query, what it leaves out must be known.
        return self._explained(run, is_checked=self.query is not None, is_polling=True)

    def measure(self, window: Window, labels: Sequence[Label] | None = None) -> tuple[LabelVolume, ...]:
        """See TicketSource."""

        def run() -> tuple[LabelVolume, ...]:
            where, parameters = self.select(window, labels)
            size = self.text_bytes_sql
            sql = (
                f"SELECT {self.label} AS label, COUNT(*) AS tickets, COALESCE(SUM({size}), 0) AS text_bytes, "
                f"COALESCE(MAX({size}), 0) AS largest_text FROM {self.relation} WHERE {where} GROUP BY 1 ORDER BY 1"
            )
            return tuple(LabelVolume(**row) for row in self.fetch(sql, parameters))

        return self._explained(run)

    def find_tickets(self, people: Sequence[str]) -> frozenset[int] | None:
        """See TicketSource; by `requester_column`, page by page."""
        if self.requester_column is None:
            return None
        # Qualified: SQLite takes a quoted name of no column for a text.
        asked = f'CAST(ticket."{self.requester_column}" AS text) IN ({self.texts_sql})'
        sql = f"SELECT id FROM {self.relation} WHERE {asked} AND id > :after ORDER BY id LIMIT {_IDS_AT_ONCE}"
        found: set[int] = set()
        for start in range(0, len(people), _PEOPLE_AT_ONCE):
            asked_for, after = _texts(people[start : start + _PEOPLE_AT_ONCE]), _BEFORE_ALL
            while page := self._explained(partial(self.fetch, sql, {**asked_for, "after": after})):
                after = page[-1]["id"]
                found.update(row["id"] for row in page)
        return frozenset(found)

    def read_by_id(self, ids: Iterable[int]) -> Iterator[Mapping[str, Any]]:
        """See TicketSource."""
        asked_for = sorted(ids)
        for start in range(0, len(asked_for), self.tickets_at_once):
            yield from self._explained(partial(self._read_by_id, asked_for[start : start + self.tickets_at_once]))

    def _read_by_id(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        sql = f"{self.tickets_sql(f'CAST(id AS text) IN ({self.texts_sql})')} ORDER BY id"
        return self.fetch(sql, _texts(ids))

    def probe(self) -> SourceReport:
        """See TicketSource; two statements, which name every column that is read."""
        return self._explained(self._probe)

    def _probe(self) -> SourceReport:
        layout = self._layout or Layout(dict.fromkeys(COLUMNS, ""))
        given = ", ".join(name for name in COLUMNS if name not in layout.absent)
        sql = (
            f"SELECT COUNT(*) AS closed_tickets, MIN({self.closed_sql}) AS first_closed, "
            f"MAX({self.closed_sql}) AS last_closed, COALESCE(MAX({self.text_bytes_sql}), 0) AS largest_text "
            f"FROM (SELECT {given} FROM {self.relation}) AS ticket WHERE {self.closed_sql} > 0"
        )
        [row] = self.fetch(sql, {})
        require_seconds(row["first_closed"], row["last_closed"], self.what)
        sql = (
            f"SELECT COUNT(*) AS texts_sampled, COUNT(CASE WHEN {self.is_not_normalized_sql} THEN 1 END) AS "
            f"texts_not_normalized FROM (SELECT processed_data FROM {self.relation} WHERE {self.closed_sql} > 0 "
            f"LIMIT {_TICKETS_SAMPLED}) AS ticket"
        )
        [sampled] = self.fetch(sql, {})
        look = self._look(LABEL_COLUMN) if layout.has_names else None
        return SourceReport(self.describe(), **row, **sampled, names_look=look, absent_columns=layout.absent)

    def require_no_odd(self, odd: int, greatest: object) -> None:
        """Check the result of `odd_sql`; raises SourceError."""
        require_no_odd(odd, greatest, self.what)

    def _parameters(self, window: Window) -> dict[str, int | str]:
        size: dict[str, int | str] = {} if self.largest_text is None else {"largest_text": self.largest_text}
        return {"start": window.start, "end": window.end, **size}

    def _explained(self, run: Callable[[], Result], *, is_checked: bool = True, is_polling: bool = False) -> Result:
        """Run statements; a table that differs from the documented one is explained by all of its differences.

        It is looked at before (`is_checked`): a number of another type than an integer would be read as other values,
        by each source in its own way.
        """
        if is_checked and self._layout is None:
            self._layout = self._require_layout(is_polling=is_polling)
        try:
            return run()
        except TableLayoutError as error:
            self._require_layout(is_polling=is_polling)
            raise error from None

    def _require_layout(self, *, is_polling: bool) -> Layout:
        layout = Layout(self.read_layout(is_polling=is_polling))
        if describe_faults(layout, self.what, self.describe()):
            raise TableLayoutError(describe_faults(layout, self.what, self.describe(), self._looks(layout)))
        return layout

    def _looks(self, layout: Layout) -> dict[str, str]:
        """What the values of mistyped columns look like, and those of `closed` in any case."""
        types = layout.mistyped() | {name: layout.types[name] for name in ("closed",) if name in layout.types}
        looks = {name: self._look(name) for name, kind in types.items() if kind in _TYPES_SAMPLED}
        return {name: look for name, look in looks.items() if look}

    def _look(self, column: str) -> str:
        """What a sample of a column's values looks like; empty without values."""
        sql = (
            f"SELECT SUBSTR(CAST({column} AS text), 1, 40) AS value FROM {self.relation} "
            f"WHERE {column} IS NOT NULL LIMIT {_TICKETS_SAMPLED}"
        )
        values = [row["value"] for row in self.fetch(sql, {})]
        return describe_look(values, are_times=column == "closed")


def _texts(values: Iterable[object]) -> dict[str, str]:
    """The parameter of `texts_sql`."""
    return {"texts": dumps(list(map(str, values)), ensure_ascii=False)}
