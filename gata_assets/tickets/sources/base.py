"""What every ticket source offers, and the one place that says which tickets train.

A source reads the `ticket` table and gives `Tickets` columns; it judges no row and writes nothing. Windows, labels
and everything else that comes from outside reaches the database as bound parameters only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

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

# A ticket that came in through the API with a group was routed by whoever created it, and one that the router
# routed by a mapping tells nothing of where it belongs: neither trains. A missing group is no group.
TRAINS_SQL = "NOT (via_channel = 'api' AND COALESCE(initial_group_id, 0) <> 0) AND routed_by <> 'gata-mapped'"

# The parts of a census that PostgreSQL takes, directly and behind the Data API; `core.census` says it in Python.
DAY_SQL = f"closed / {SECONDS_PER_DAY}"
FINGERPRINT_SQL = (
    "CAST(SUM(CAST(CAST('x' || SUBSTR(MD5(CONCAT_WS(' ', id, closed, closed_group_id_mapped, processed_data)), "
    "1, 15) AS bit(60)) AS bigint)) AS text)"
)
# A sensor's tick may take a minute in all; what is not there by then is for the next one.
CENSUS_TIMEOUT_SECONDS = 40

# What `measure` asks for; how bytes are counted is each database's own.
VOLUME_SQL = "closed_group_id_mapped AS label, COUNT(*) AS tickets, COALESCE(SUM({text_bytes}), 0) AS text_bytes"

# The columns of the `ticket` table that are read.
COLUMNS_READ = (
    "id",
    "processed_data",
    "via_channel",
    "routed_by",
    "initial_group_id",
    "closed",
    "closed_group_id_mapped",
)


@dataclass(frozen=True)
class SourceReport:
    """What a look at a source found: what it is, how many closed tickets it holds and since when until when."""

    description: str
    closed_tickets: int
    first_closed: int | None
    last_closed: int | None


@dataclass(frozen=True)
class LabelVolume:
    """How much there is of a label in a window: tickets, and bytes of their texts. The label may be missing."""

    label: int | None
    tickets: int
    text_bytes: int


class TicketSource(dg.ConfigurableResource, ABC):  # type: ignore[type-arg]
    """Closed tickets that train, from some database."""

    @abstractmethod
    def read_tickets(self, window: Window, labels: Sequence[int] | None = None) -> pd.DataFrame:
        """The tickets that train and were closed inside the window, as of one instant.

        Gives `Tickets` columns ordered by (`closed`, `id`); `labels` keeps those labels only (none of them gives
        no rows). A label may be missing: it is for the checks to say so. Raises SourceError.
        """

    @abstractmethod
    def take_census(self, window: Window) -> tuple[DayCensus, ...]:
        """The days of the window on which tickets that train were closed, in order, as of one instant.

        For whoever asks often and has little time: it takes at most CENSUS_TIMEOUT_SECONDS or so, tries nothing
        twice and waits for no database. Raises DatabaseResumingError at once, and SourceError for all else.
        """

    @abstractmethod
    def measure(self, window: Window, labels: Sequence[int] | None = None) -> tuple[LabelVolume, ...]:
        """How much `read_tickets` would read, by label, in one statement; raises SourceError."""

    @abstractmethod
    def look(self) -> SourceReport:
        """Whether the database can be reached and the table read; raises SourceError where not."""


def tickets_from_arrow(table: pa.Table) -> pd.DataFrame:
    """An Arrow table with the columns of `Tickets`, in whatever integer and string types, as the frame of them.

    Raises SourceError when a column holds another type.
    """
    try:
        conformed = table.select(TICKETS_ARROW_SCHEMA.names).cast(TICKETS_ARROW_SCHEMA)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError):
        raise SourceError(wrong_types(str(table.schema.types))) from None
    types = {pa.int64(): pd.Int64Dtype(), pa.large_string(): pd.StringDtype("pyarrow")}
    frame: pd.DataFrame = conformed.to_pandas(types_mapper=types.get, split_blocks=True, self_destruct=True)
    return frame


def arrow_from_columns(columns: Sequence[Sequence[object]]) -> pa.RecordBatch:
    """Columns of Python values, in the order of `Tickets`, as Arrow.

    Raises SourceError for a column that holds anything but whole numbers (the text: strings) and missing values;
    nothing is rounded or decoded.
    """
    arrays = []
    for column, field in zip(columns, TICKETS_ARROW_SCHEMA, strict=True):
        wanted = str if pa.types.is_large_string(field.type) else int
        found = {type(value) for value in column} - {wanted, type(None)}
        if found:
            raise SourceError(wrong_types(", ".join(sorted(kind.__name__ for kind in found))))
        arrays.append(pa.array(column, type=field.type))
    return pa.record_batch(arrays, schema=TICKETS_ARROW_SCHEMA)


def no_tickets() -> pd.DataFrame:
    """The frame of no tickets."""
    return tickets_from_arrow(TICKETS_ARROW_SCHEMA.empty_table())


def wrong_types(found: str) -> str:
    """The message about columns of other types than documented."""
    return (
        f"Table ticket: among id, closed, closed_group_id_mapped and processed_data there is {found}; three whole "
        "numbers and a text are needed. Compare the table with the documented one."
    )
