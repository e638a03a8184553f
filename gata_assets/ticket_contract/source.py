"""The interface of ticket sources, and the conversion of what they read.

A source reads the `ticket` table and returns `Tickets` columns, with the counts of the tickets that it leaves out; it
validates no row and writes nothing. `sql` has the statements.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from gata_assets.batches import Window
from gata_assets.errors import SourceError
from gata_assets.ticket_contract.accounting import HourlyCounts
from gata_assets.ticket_contract.census import DayCensus

TICKETS_ARROW_SCHEMA = pa.schema(
    [("id", pa.int64()), ("closed", pa.int64()), ("label", pa.int64()), ("text", pa.large_string())]
)

_NAMED_SCHEMA = TICKETS_ARROW_SCHEMA.set(2, pa.field("label", pa.large_string()))
# A group's number, or its name where the source has names.
Label = int | str

# A sensor tick may take a minute in total; a slower census is left to the next tick.
CENSUS_TIMEOUT_SECONDS = 40


@dataclass(frozen=True)
class SourceReport:
    """What a source contains.

    Its description; the number of closed tickets, the first and last `closed` in epoch seconds, the size of the largest
    text in bytes; what labels that are names look like (`table_layout.describe_look`), None if they are numbers; the
    documented columns that a query does not give; and of a sample of `texts_sampled` tickets those whose text has other
    characters than `[a-z0-9?.! ]`.
    """

    description: str
    closed_tickets: int
    first_closed: int | None
    last_closed: int | None
    largest_text: int
    names_look: str | None = None
    absent_columns: tuple[str, ...] = ()
    texts_sampled: int = 0
    texts_not_normalized: int = 0


@dataclass(frozen=True)
class LabelVolume:
    """A label's tickets in a window, the bytes of their texts and of the largest text. The label may be null."""

    label: Label | None
    tickets: int
    text_bytes: int
    largest_text: int = 0


@dataclass(frozen=True)
class WindowRead:
    """A window as it was in one snapshot: the tickets that train (`Tickets` columns), and the counts of all tickets in
    the window by hour and reason, whatever their labels.

    `label` is `Int64`, or `string[pyarrow]` from a source whose labels are names.
    """

    tickets: pd.DataFrame
    counts: HourlyCounts


class TicketSource(dg.ConfigurableResource, ABC):  # type: ignore[type-arg]
    """Closed training tickets from a database."""

    @abstractmethod
    def read_window(self, window: Window, labels: Sequence[Label] | None = None) -> WindowRead:
        """Read the training tickets that were closed inside the window, in a consistent snapshot, and count all others.

        Args:
            window: The range of `closed`.
            labels: Keep these labels only; an empty sequence returns no rows.

        Returns:
            The tickets ordered by (`closed`, `id`). Labels may be null; the checks report that.

        Raises:
            SourceError: If the database cannot be read.
        """

    def read_tickets(self, window: Window, labels: Sequence[Label] | None = None) -> pd.DataFrame:
        """The tickets of `read_window`."""
        return self.read_window(window, labels).tickets

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
    def measure(self, window: Window, labels: Sequence[Label] | None = None) -> tuple[LabelVolume, ...]:
        """Measure what `read_tickets` would read, by label, in one statement; raises SourceError."""

    def find_tickets(self, people: Sequence[str]) -> frozenset[int] | None:  # noqa: ARG002 (who knows it uses them)
        """The ids of the tickets that people asked, closed or not; None where nothing says who asked.

        Raises SourceError, or StoreError.
        """
        return None

    def read_by_id(self, ids: Iterable[int]) -> Iterator[Mapping[str, Any]]:  # noqa: ARG002 (who knows it uses them)
        """These tickets (`Tickets` columns), closed or not, where nothing else exports them; raises SourceError."""
        yield from ()

    @abstractmethod
    def probe(self) -> SourceReport:
        """Check that the database is reachable and the table readable; raises SourceError otherwise."""


def arrow_schema(*, has_names: bool) -> pa.Schema:
    """The schema of tickets whose labels are numbers or names."""
    return _NAMED_SCHEMA if has_names else TICKETS_ARROW_SCHEMA


def tickets_from_arrow(table: pa.Table, *, has_names: bool = False) -> pd.DataFrame:
    """Convert an Arrow table with `Tickets` columns, of any integer and string types, to pandas.

    Raises:
        SourceError: If a column has another type.
    """
    schema = arrow_schema(has_names=has_names)
    try:
        conformed = table.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError):
        raise SourceError(wrong_types(str(table.schema.types), has_names=has_names)) from None
    types = {pa.int64(): pd.Int64Dtype(), pa.large_string(): pd.StringDtype("pyarrow")}
    frame: pd.DataFrame = conformed.to_pandas(types_mapper=types.get, split_blocks=True, self_destruct=True)
    return frame


def arrow_from_columns(columns: Sequence[Sequence[object]], *, has_names: bool = False) -> pa.RecordBatch:
    """Convert columns of Python values, in the order of `Tickets`, to Arrow, without rounding or decoding.

    Raises:
        SourceError: If a column has values other than integers (texts and names: strings) and nulls.
    """
    schema = arrow_schema(has_names=has_names)
    arrays = []
    for column, field in zip(columns, schema, strict=True):
        expected = str if pa.types.is_large_string(field.type) else int
        found = {type(value) for value in column} - {expected, type(None)}
        if found:
            kinds = ", ".join(sorted(kind.__name__ for kind in found))
            raise SourceError(wrong_types(kinds, has_names=has_names))
        arrays.append(pa.array(column, type=field.type))
    return pa.record_batch(arrays, schema=schema)


def no_tickets(*, has_names: bool = False) -> pd.DataFrame:
    """An empty `Tickets` frame."""
    return tickets_from_arrow(arrow_schema(has_names=has_names).empty_table(), has_names=has_names)


def wrong_types(found: str, *, has_names: bool) -> str:
    """The message about columns whose types differ from the documented ones."""
    required = "two integers, a name and a text" if has_names else "three integers and a text"
    return (
        f"Table ticket: the columns id, closed, closed_group_id_mapped and processed_data contain {found}; {required} "
        "are required. Compare the table with the documented one."
    )
