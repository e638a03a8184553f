"""What the ticket table must look like, and messages about a table that differs: pure functions over names and types.

Sources read the names, types and extreme values of a table; a foreign table is checked here before it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from gata_assets.errors import SourceError

# The columns that are read, with what they contain; docs/own-tickets.md has the same table.
NUMBER, TEXT = "a whole number", "a text"
COLUMNS: Mapping[str, str] = {
    "id": NUMBER,
    "processed_data": TEXT,
    "via_channel": TEXT,
    "routed_by": TEXT,
    "initial_group_id": NUMBER,
    "closed": NUMBER,
    "closed_group_id_mapped": NUMBER,
}
# The columns' types by the names that PostgreSQL gives them; an enum is a text.
_TYPES = {
    NUMBER: frozenset({"smallint", "integer", "bigint"}),
    TEXT: frozenset({"text", "character varying", "character", "name", "citext", "enum"}),
}
# PostgreSQL: the columns of the table that the search path finds; the type of an enum is `enum`, a domain
# has its base type.
LAYOUT_SQL = (
    "SELECT a.attname AS name, CASE WHEN COALESCE(b.typtype, t.typtype) = 'e' THEN 'enum' "
    "ELSE format_type(COALESCE(b.oid, t.oid), NULL) END AS type "
    "FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = NULLIF(t.typbasetype, 0) "
    "WHERE a.attrelid = to_regclass('ticket') AND a.attnum > 0 AND NOT a.attisdropped"
)

_DOCUMENTED = 'The page "Your own tickets" of the documentation describes the table; a view named ticket will do.'

# `closed` in seconds is between these for every helpdesk: 1973 and 5138.
_FIRST_PLAUSIBLE, LAST_PLAUSIBLE = 10**8, 10**11
_LARGER_UNITS = (
    (10**17, "nanoseconds", 10**9),
    (10**14, "microseconds", 10**6),
    (LAST_PLAUSIBLE, "milliseconds", 1_000),
)


class TableLayoutError(SourceError):
    """The table or one of its columns does not exist, or has another type than the documented one."""


def describe_faults(types: Mapping[str, str], place: str) -> str | None:
    """All differences between a table's columns (names and types) and the documented ones; None if there are none.

    `types` is empty for a missing table; an empty type is not checked.
    """
    if not types:
        return f"{place} has no table ticket that this user can see. {_DOCUMENTED}"
    missing = [f"{name} ({kind})" for name, kind in COLUMNS.items() if name not in types]
    wrong = [
        f"{name} is {types[name]} where {kind} is needed"
        for name, kind in COLUMNS.items()
        if types.get(name) and types[name] not in _TYPES[kind]
    ]
    faults = [f"lacks {', '.join(missing)}"] if missing else []
    faults += [f"has columns of other types: {', '.join(wrong)}"] if wrong else []
    return f"Table ticket {', and '.join(faults)}. {_DOCUMENTED}" if faults else None


def require_seconds(first_closed: object, last_closed: object) -> None:
    """Check that `closed` contains whole seconds since 1970; raises SourceError otherwise.

    Args:
        first_closed: The least value above 0, None without one.
        last_closed: The greatest value.
    """
    if last_closed is None:
        return
    for value in (first_closed, last_closed):
        if not isinstance(value, int):
            raise SourceError(f"Table ticket: closed contains values of type {type(value).__name__}. {_SECONDS}")
    assert isinstance(last_closed, int)  # noqa: S101 - for the type checker
    if larger := _larger_unit(last_closed):
        unit, factor = larger
        raise SourceError(f"Table ticket: closed looks like {unit}. {_SECONDS} Divide it by {factor:,} in a view.")
    if last_closed < _FIRST_PLAUSIBLE:
        day = datetime.fromtimestamp(last_closed, UTC)
        raise SourceError(f"Table ticket: closed reaches to {day:%Y-%m-%d} at most: it is not in seconds. {_SECONDS}")


def require_no_odd(odd: int, greatest: object) -> None:
    """Check that no ticket has a `closed` that cannot be in seconds: it would be in no window, without a word.

    `odd` is the number of those that have, `greatest` their greatest value.
    """
    if odd:
        unit = _larger_unit(greatest) if isinstance(greatest, int) else None
        looks = f"looks like {unit[0]}" if unit else "is not in whole seconds"
        raise SourceError(f"Table ticket: closed {looks} in {odd:,} rows. {_SECONDS}")


def _larger_unit(closed: int) -> tuple[str, int] | None:
    return next(((unit, factor) for least, unit, factor in _LARGER_UNITS if closed >= least), None)


_SECONDS = "Whole seconds since 1970 (UTC) are needed, and 0 or null while a ticket is open."
