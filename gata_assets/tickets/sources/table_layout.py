"""What a ticket table or query must look like, and messages about one that differs: pure functions over names, types
and the looks of values.

Sources read the names, types, samples and extreme values; a foreign table is checked here before it is used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gata_assets.errors import SourceError
from gata_assets.tickets.sources.ticket_table import COLUMNS, OPTIONAL, TEXT, TYPES

TABLE, QUERY = "Table ticket", "TICKETS_QUERY"
LABEL_COLUMN = "closed_group_id_mapped"

# PostgreSQL: the type of an enum is `enum`, a domain has its base type.
_TYPE_SQL = (
    "CASE WHEN COALESCE(b.typtype, t.typtype) = 'e' THEN 'enum' ELSE format_type(COALESCE(b.oid, t.oid), NULL) END"
)
_BASE_TYPE_SQL = "LEFT JOIN pg_type b ON b.oid = NULLIF(t.typbasetype, 0)"
# The columns of the table that the search path finds.
LAYOUT_SQL = (
    f"SELECT a.attname AS name, {_TYPE_SQL} AS type FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
    f"{_BASE_TYPE_SQL} WHERE a.attrelid = to_regclass('ticket') AND a.attnum > 0 AND NOT a.attisdropped"
)
# A type that no column of a query has.
_NO_COLUMN = "pg_lsn"


def query_layout_sql(relation: str) -> str:
    """PostgreSQL: the columns that a query gives, of those that are read, and their types, whether it has rows or not.

    A name that the query does not give is that of the statement around it, where its type says so.
    """
    typed = f"SELECT ticket.* FROM (VALUES (1)) AS one LEFT JOIN (SELECT * FROM {relation} LIMIT 0) AS ticket ON TRUE"
    absent = ", ".join(f"CAST(NULL AS {_NO_COLUMN}) AS {name}" for name in COLUMNS)
    found = " UNION ALL ".join(
        f"SELECT '{name}' AS name, (SELECT CAST(pg_typeof({name}) AS oid) FROM typed) AS oid FROM absent"
        for name in COLUMNS
    )
    return (
        f"WITH typed AS ({typed}), absent AS (SELECT {absent}) SELECT found.name, {_TYPE_SQL} AS type "
        f"FROM ({found}) AS found JOIN pg_type t ON t.oid = found.oid {_BASE_TYPE_SQL} "
        f"WHERE found.oid <> CAST('{_NO_COLUMN}' AS regtype)"
    )


# `closed` in seconds is between these for every helpdesk: 1973 and 5138.
FIRST_PLAUSIBLE, LAST_PLAUSIBLE = 10**8, 10**11
_LARGER_UNITS = (
    (10**17, "nanoseconds", 10**9),
    (10**14, "microseconds", 10**6),
    (LAST_PLAUSIBLE, "milliseconds", 1_000),
)
_SECONDS = "Whole seconds since 1970 (UTC) are needed, and 0 or null while a ticket is open."


class TableLayoutError(SourceError):
    """The table or one of its columns does not exist, or has another type than the documented one."""


@dataclass(frozen=True)
class Layout:
    """The columns of a table or query with their types, none if there is no table; an empty type is not checked."""

    types: Mapping[str, str] = field(default_factory=dict)

    @property
    def absent(self) -> tuple[str, ...]:
        """The columns that are read and not there, in the table's order."""
        return tuple(name for name in COLUMNS if name not in self.types)

    @property
    def has_names(self) -> bool:
        """Whether the labels are names."""
        return self.types.get(LABEL_COLUMN) in TYPES[TEXT]

    def mistyped(self) -> dict[str, str]:
        """The columns of other types than those that are read, with their types."""
        found = {name: self.types.get(name, "") for name in COLUMNS}
        return {name: kind for name, kind in found.items() if kind and kind not in TYPES[COLUMNS[name]]}


def describe_faults(layout: Layout, what: str, place: str, looks: Mapping[str, str] | None = None) -> str | None:
    """All differences between a table or query and the documented table; None if there are none.

    Args:
        layout: What is there.
        what: TABLE or QUERY: a query may leave out the optional columns.
        place: The database.
        looks: What the values of columns look like, where that is known (`describe_look`).
    """
    if not layout.types and what == TABLE:
        return f"{place} has no table ticket that this user can see. {_DOCUMENTED}"
    looks = looks or {}
    missing = [f"{name} ({COLUMNS[name]})" for name in layout.absent if what == TABLE or name not in OPTIONAL]
    wrong = [
        f"{name} is {kind}{f' ({looks[name]})' if name in looks else ''} where {COLUMNS[name]} is needed"
        f"{_remedy(name, kind, looks.get(name, ''))}"
        for name, kind in layout.mistyped().items()
    ]
    faults = [f"lacks {', '.join(missing)}"] if missing else []
    faults += [f"has columns of other types: {', '.join(wrong)}"] if wrong else []
    if faults and "closed" not in layout.mistyped() and looks.get("closed") in {unit for _, unit, _ in _LARGER_UNITS}:
        faults.append(f"has a closed that looks like {looks['closed']}")
    return f"{what} {', and '.join(faults)}. {_DOCUMENTED}" if faults else None


_DOCUMENTED = (
    'The page "Your own tickets" of the documentation describes the table; a view named ticket, or TICKETS_QUERY, will '
    "do."
)


def _remedy(name: str, kind: str, look: str) -> str:
    """What gives the values as they are needed, as SQL; empty if it cannot be said."""
    if COLUMNS[name] == TEXT:
        return f": CAST({name} AS text)"
    if kind.startswith(("timestamp", "date")):
        return f": CAST(EXTRACT(EPOCH FROM {name}) AS bigint)"
    if kind in ("numeric", "double precision", "real"):
        return f": CAST({name} AS bigint)"
    factors = {unit: f" / {factor}" for _, unit, factor in _LARGER_UNITS} | {WHOLE_NUMBERS: ""}
    return f": CAST({name} AS bigint){factors[look]}" if look in factors else ""


WHOLE_NUMBERS, DECIMALS, INSTANTS = "whole numbers", "decimals", "ISO 8601 instants"
_LOOKS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (WHOLE_NUMBERS, re.compile(r"[+-]?\d+")),
    (DECIMALS, re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?|[+-]?\d+(\.\d*)?[eE][+-]?\d+|[+-]?\d+\.")),
    (INSTANTS, re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?")),
)


def describe_look(values: Sequence[str], *, are_times: bool = False) -> str:
    """What a sample of one column's values, as texts, looks like; says nothing of what they are.

    Of times, whole numbers in another unit than seconds are that unit: milliseconds, microseconds, nanoseconds.
    """
    found = {next((look for look, pattern in _LOOKS if pattern.fullmatch(text.strip())), "texts") for text in values}
    if found == {WHOLE_NUMBERS} and are_times:
        unit = _larger_unit(max(int(text) for text in values))
        return unit[0] if unit else WHOLE_NUMBERS
    return " and ".join(sorted(found))


def require_seconds(first_closed: object, last_closed: object, what: str = TABLE) -> None:
    """Check that `closed` contains whole seconds since 1970; raises SourceError otherwise.

    Args:
        first_closed: The least value above 0, None without one.
        last_closed: The greatest value.
        what: TABLE or QUERY.
    """
    if last_closed is None:
        return
    for value in (first_closed, last_closed):
        if not isinstance(value, int):
            raise SourceError(f"{what}: closed contains values of type {type(value).__name__}. {_SECONDS}")
    assert isinstance(last_closed, int)  # noqa: S101 - for the type checker
    if larger := _larger_unit(last_closed):
        unit, factor = larger
        where = "there" if what == QUERY else "in a view, or in TICKETS_QUERY"
        raise SourceError(f"{what}: closed looks like {unit}. {_SECONDS} Divide it by {factor:,} {where}.")
    if last_closed < FIRST_PLAUSIBLE:
        day = datetime.fromtimestamp(last_closed, UTC)
        raise SourceError(f"{what}: closed reaches to {day:%Y-%m-%d} at most: it is not in seconds. {_SECONDS}")


def require_no_odd(odd: int, greatest: object, what: str = TABLE) -> None:
    """Check that no ticket has a `closed` that cannot be in seconds: it would be in no window, without a word.

    `odd` is the number of those that have, `greatest` their greatest value.
    """
    if odd:
        unit = _larger_unit(greatest) if isinstance(greatest, int) else None
        looks = f"looks like {unit[0]}" if unit else "is not in whole seconds"
        raise SourceError(f"{what}: closed {looks} in {odd:,} rows. {_SECONDS}")


def _larger_unit(closed: int) -> tuple[str, int] | None:
    return next(((unit, factor) for least, unit, factor in _LARGER_UNITS if closed >= least), None)
