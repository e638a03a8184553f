"""The interface of ticket sources, and the single definition of which tickets are used for training.

A source reads the `ticket` table and returns `Tickets` columns; it validates no row and writes nothing. Windows, labels
and all other input reach the database as bound parameters only. `SqlTicketSource` has the statements that all databases
share.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import dagster as dg
import pandas as pd
import pyarrow as pa

from gata_assets.batches import Window
from gata_assets.errors import SourceError
from gata_assets.tickets.arrivals.census import SECONDS_PER_DAY, DayCensus

TICKETS_ARROW_SCHEMA = pa.schema(
    [("id", pa.int64()), ("closed", pa.int64()), ("label", pa.int64()), ("text", pa.large_string())]
)
TICKET_COLUMNS_SQL = "id, closed, closed_group_id_mapped AS label, processed_data AS text"

# Two kinds of tickets are excluded from training: those created through the API with a group, since their creator
# routed them, and those that the router routed by a mapping, since their group is not informative. A null group counts
# as no group.
TRAINING_FILTER_SQL = "NOT (via_channel = 'api' AND COALESCE(initial_group_id, 0) <> 0) AND routed_by <> 'gata-mapped'"

# A sensor tick may take a minute in total; a slower census is left to the next tick.
CENSUS_TIMEOUT_SECONDS = 40

# The columns read from the `ticket` table.
COLUMNS_READ = "id, processed_data, via_channel, routed_by, initial_group_id, closed, closed_group_id_mapped"

Parameters = Mapping[str, int | str]


@dataclass(frozen=True)
class SourceReport:
    """A source's description, its number of closed tickets, and the first and last `closed` in epoch seconds."""

    description: str
    closed_tickets: int
    first_closed: int | None
    last_closed: int | None


@dataclass(frozen=True)
class LabelVolume:
    """A label's tickets in a window, and the bytes of their texts. The label may be null."""

    label: int | None
    tickets: int
    text_bytes: int


class TicketSource(dg.ConfigurableResource, ABC):  # type: ignore[type-arg]
    """Closed training tickets from a database."""

    @abstractmethod
    def read_tickets(self, window: Window, labels: Sequence[int] | None = None) -> pd.DataFrame:
        """Read the training tickets that were closed inside the window, in a consistent snapshot.

        Args:
            window: The range of `closed`.
            labels: Keep these labels only; an empty sequence returns no rows.

        Returns:
            `Tickets` columns ordered by (`closed`, `id`). Labels may be null; the checks report that.

        Raises:
            SourceError: If the database cannot be read.
        """

    @abstractmethod
    def take_census(self, window: Window) -> tuple[DayCensus, ...]:
        """Count and fingerprint training tickets by day, ascending, in a consistent snapshot.

        Meant for frequent polling: it takes about CENSUS_TIMEOUT_SECONDS at most, and neither retries nor waits for a
        paused database.

        Raises:
            DatabaseResumingError: Immediately, if the database is resuming from a pause.
            SourceError: For all other faults.
        """

    @abstractmethod
    def measure(self, window: Window, labels: Sequence[int] | None = None) -> tuple[LabelVolume, ...]:
        """Measure what `read_tickets` would read, by label, in one statement; raises SourceError."""

    @abstractmethod
    def probe(self) -> SourceReport:
        """Check that the database is reachable and the table readable; raises SourceError otherwise."""


class SqlTicketSource(TicketSource, ABC):
    """The statements of a ticket source, and their parts that differ from database to database.

    The parts are PostgreSQL's here, direct and through the Data API. `:name` is a parameter, `:labels` is a PostgreSQL
    array literal.
    """

    in_window_sql: ClassVar[str] = f"closed >= :start AND closed < :end AND {TRAINING_FILTER_SQL}"
    has_label_sql: ClassVar[str] = "closed_group_id_mapped = ANY (CAST(:labels AS bigint[]))"
    text_bytes_sql: ClassVar[str] = "OCTET_LENGTH(processed_data)"
    # `arrivals.census` is the same in Python.
    fingerprint_sql: ClassVar[str] = (
        "CAST(SUM(CAST(CAST('x' || SUBSTR(MD5(CONCAT_WS(' ', id, closed, closed_group_id_mapped, processed_data)), "
        "1, 15) AS bit(60)) AS bigint)) AS text)"
    )

    @abstractmethod
    def fetch(self, sql: str, parameters: Parameters, *, is_polling: bool = False) -> list[dict[str, Any]]:
        """Run a statement that returns few rows; `is_polling` as in `take_census`."""

    @abstractmethod
    def describe(self) -> str:
        """What the database is, after it was read."""

    @classmethod
    def select(cls, window: Window, labels: Sequence[int] | None) -> tuple[str, dict[str, int | str]]:
        """The condition for a window's training tickets with these labels, and its parameters."""
        parameters: dict[str, int | str] = {"start": window.start, "end": window.end}
        if labels is None:
            return cls.in_window_sql, parameters
        listed = ",".join(str(int(label)) for label in labels)
        return f"{cls.in_window_sql} AND {cls.has_label_sql}", {**parameters, "labels": f"{{{listed}}}"}

    @classmethod
    def census_sql(cls, where: str, *more_columns: str) -> str:
        """The statement that counts and fingerprints the selected tickets by day."""
        columns = (f"closed / {SECONDS_PER_DAY} AS day", "COUNT(*) AS tickets", f"{cls.fingerprint_sql} AS fingerprint")
        return f"SELECT {', '.join(columns + more_columns)} FROM ticket WHERE {where} GROUP BY 1 ORDER BY 1"

    def take_census(self, window: Window) -> tuple[DayCensus, ...]:
        """See TicketSource; one statement."""
        where, parameters = self.select(window, None)
        return tuple(DayCensus(**row) for row in self.fetch(self.census_sql(where), parameters, is_polling=True))

    def measure(self, window: Window, labels: Sequence[int] | None = None) -> tuple[LabelVolume, ...]:
        """See TicketSource."""
        where, parameters = self.select(window, labels)
        sql = (
            "SELECT closed_group_id_mapped AS label, COUNT(*) AS tickets, "
            f"COALESCE(SUM({self.text_bytes_sql}), 0) AS text_bytes FROM ticket WHERE {where} GROUP BY 1 ORDER BY 1"
        )
        return tuple(LabelVolume(**row) for row in self.fetch(sql, parameters))

    def probe(self) -> SourceReport:
        """See TicketSource; one statement, which names every column that is read."""
        sql = (
            "SELECT COUNT(*) AS closed_tickets, MIN(closed) AS first_closed, MAX(closed) AS last_closed "
            f"FROM (SELECT {COLUMNS_READ} FROM ticket) AS ticket WHERE closed > 0"
        )
        [row] = self.fetch(sql, {})
        return SourceReport(self.describe(), **row)


def tickets_from_arrow(table: pa.Table) -> pd.DataFrame:
    """Convert an Arrow table with `Tickets` columns, of any integer and string types, to pandas.

    Raises:
        SourceError: If a column has another type.
    """
    try:
        conformed = table.select(TICKETS_ARROW_SCHEMA.names).cast(TICKETS_ARROW_SCHEMA)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError):
        raise SourceError(wrong_types(str(table.schema.types))) from None
    types = {pa.int64(): pd.Int64Dtype(), pa.large_string(): pd.StringDtype("pyarrow")}
    frame: pd.DataFrame = conformed.to_pandas(types_mapper=types.get, split_blocks=True, self_destruct=True)
    return frame


def arrow_from_columns(columns: Sequence[Sequence[object]]) -> pa.RecordBatch:
    """Convert columns of Python values, in the order of `Tickets`, to Arrow, without rounding or decoding.

    Raises:
        SourceError: If a column has values other than integers (the text: strings) and nulls.
    """
    arrays = []
    for column, field in zip(columns, TICKETS_ARROW_SCHEMA, strict=True):
        expected = str if pa.types.is_large_string(field.type) else int
        found = {type(value) for value in column} - {expected, type(None)}
        if found:
            raise SourceError(wrong_types(", ".join(sorted(kind.__name__ for kind in found))))
        arrays.append(pa.array(column, type=field.type))
    return pa.record_batch(arrays, schema=TICKETS_ARROW_SCHEMA)


def no_tickets() -> pd.DataFrame:
    """An empty `Tickets` frame."""
    return tickets_from_arrow(TICKETS_ARROW_SCHEMA.empty_table())


def wrong_types(found: str) -> str:
    """The message about columns whose types differ from the documented ones."""
    return (
        f"Table ticket: the columns id, closed, closed_group_id_mapped and processed_data contain {found}; three "
        "integers and a text are required. Compare the table with the documented one."
    )
