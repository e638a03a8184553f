"""What raw files of tickets may have, and what their valid rows are in the ticket table. Pure.

The columns are those of the ticket table; texts may be in several columns. Texts are kept as they came: they are
normalized when batches are prepared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Annotated

import pandera.polars as pa
import polars as pl

from gata_assets.tables.declaration import row_rule, spec_of
from gata_assets.tables.raw_mapping import RawMapping
from gata_assets.tables.spec import FrameRule, TableSpec
from gata_assets.tickets.sources.table_layout import FIRST_PLAUSIBLE, LAST_PLAUSIBLE
from gata_assets.tickets.sources.ticket_table import CHANNELS, ROUTERS, TICKET_COLUMNS

Instant = Annotated[pl.Datetime, "us", "UTC"]

TEXT_COLUMN, LABEL_COLUMN, CLOSED_COLUMN = "processed_data", "closed_group_id_mapped", "closed"
# The columns that a file must have, though single rows may lack a value.
REQUIRED = (CLOSED_COLUMN, LABEL_COLUMN)
# What a ticket without such a column, or without a value in it, gets: no one of them excludes it.
NEUTRAL_CHANNEL, NEUTRAL_ROUTER, NEUTRAL_PROBABILITY = "import", "external", 0.0

_GROUPS = ("initial_group_id", "initial_group_id_mapped", "closed_group_id")
_BETWEEN_TEXTS = "\n\n"
_EPOCH = pl.col(CLOSED_COLUMN).dt.epoch("s")
_IS_CLOSED = _EPOCH.fill_null(0) != 0
_LABEL = pl.col(LABEL_COLUMN).str.strip_chars()
# SQLite would store other numbers than whole ones without leading zeros as numbers that read otherwise.
_IS_WHOLE = _LABEL.str.contains(r"^(?:0|[1-9][0-9]{0,17})$")
_IS_NUMBER = _LABEL.str.contains(r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$")


def _is_given(column: str) -> pl.Expr:
    return pl.col(column).str.contains(r"\S").fill_null(value=False)


def _text_is_given(columns: tuple[str, ...]) -> pl.Expr:
    return pl.any_horizontal([_is_given(name) for name in columns]) | ~_IS_CLOSED


class RawTickets(pa.DataFrameModel):
    """Tickets of a helpdesk, a row each; the last row of an id counts, also over several files. A file must have the
    columns of texts, labels and closing times too; a ticket that is not closed yet needs no value in them.
    """

    id: pl.Int64 = pa.Field(description="The ticket's number, unique.", metadata={"aliases": ("ticket_id",)})
    processed_data: str = pa.Field(
        nullable=True,
        description="Subject and body, as they are; `--text-column` joins several columns.",
        metadata={"aliases": ("text",), "personal": True},
    )
    closed: Instant = pa.Field(
        nullable=True,
        description="When it was closed; nothing, or 0, while it is open.",
        metadata={"aliases": ("closed_at",), "instants": ("iso8601", "epoch_s")},
    )
    closed_group_id_mapped: str = pa.Field(
        nullable=True, description="The label: a group's number or name.", metadata={"aliases": ("label",)}
    )
    via_channel: str = pa.Field(
        nullable=True, isin=CHANNELS, description=f"How it came in; without it `{NEUTRAL_CHANNEL}`."
    )
    routed_by: str = pa.Field(
        nullable=True, isin=ROUTERS, description=f"What routed it; without it `{NEUTRAL_ROUTER}`."
    )
    initial_group_id: str = pa.Field(nullable=True, description="The number of the group that it was first given.")
    probability: pl.Float64 = pa.Field(nullable=True, ge=0, le=1, description="How sure the router was; without it 0.")
    created: Instant = pa.Field(
        nullable=True,
        description="When it was created; without it when it was closed.",
        metadata={"instants": ("iso8601", "epoch_s")},
    )
    initial_group_id_mapped: str = pa.Field(nullable=True, description="That group, after the operator's mapping.")
    closed_group_id: str = pa.Field(nullable=True, description="The number of the group that it was closed in.")

    text_is_given = row_rule("text_is_given", _text_is_given((TEXT_COLUMN,)))
    label_is_given = row_rule("label_is_given", _is_given(LABEL_COLUMN) | ~_IS_CLOSED)
    label_is_a_whole_number_or_a_name = row_rule("label_is_a_whole_number_or_a_name", _IS_WHOLE | ~_IS_NUMBER)
    closed_is_within_reason = row_rule(
        "closed_is_within_reason", ~_IS_CLOSED | _EPOCH.is_between(FIRST_PLAUSIBLE, LAST_PLAUSIBLE, closed="left")
    )
    groups_are_whole_numbers = row_rule(
        "groups_are_whole_numbers",
        pl.all_horizontal(
            [pl.col(name).str.contains(r"^\s*[0-9]{0,18}\s*$").fill_null(value=True) for name in _GROUPS]
        ),
    )

    class Config:
        """The table's name in commands."""

        name = "tickets"
        metadata = {"table": "tickets", "key": ["id"], "repetitions": "latest"}  # noqa: RUF012


# Programs that have no nullable integers write them as decimals.
DECIMALS = RawMapping(whole_numbers=(LABEL_COLUMN, *_GROUPS))


# What helpdesks call the columns in their exports, in lower case without anything but letters and digits.
SUBJECTS = ("subject", "title", "summary", "shortdescription", "ticketsubject")
_BODIES = (
    *("description", "body", "text", "message", "content", "comment", "firstcomment", "ticketdescription", "details"),
    *("question", "request", "processeddata"),
)
_NAMES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "ticketid", "ticketnumber", "number", "ticket", "caseid", "casenumber", "issueid", "requestid", "key"),
    CLOSED_COLUMN: (
        *(
            "closed",
            "closedat",
            "solvedat",
            "solved",
            "resolvedat",
            "resolved",
            "closeddate",
            "closedate",
            "dateclosed",
        ),
        *("resolutiondate", "solveddate", "completedat", "closedtime", "solvedatms", "closedms"),
    ),
    LABEL_COLUMN: (
        *("closedgroupidmapped", "label", "group", "groupname", "groupid", "team", "queue", "assignedgroup"),
        *("assignmentgroup", "assigneegroup", "department", "category", "topic"),
    ),
    "via_channel": ("viachannel", "channel", "via", "source"),
    "created": ("created", "createdat", "opened", "openedat", "createddate", "creationdate"),
}


def known_names(names: Iterable[str]) -> tuple[int, dict[str, tuple[str, ...]]]:
    """For a file with columns of these names (letters and digits in lower case): how many of them are texts, a subject
    and a body or one of both, and by column what it may be called.
    """
    found = {*names}
    if found & {*SUBJECTS} and found & {*_BODIES}:
        first, second = text_columns(2)
        return 2, {**_NAMES, first: SUBJECTS, second: _BODIES}
    return 1, {**_NAMES, TEXT_COLUMN: (*_BODIES, *SUBJECTS)}


def text_columns(texts: int) -> tuple[str, ...]:
    """The names of the columns of texts, in the order in which they are joined."""
    return (TEXT_COLUMN, *(f"{TEXT_COLUMN}_{number}" for number in range(2, texts + 1)))


@cache
def raw_ticket_table(texts: int = 1) -> TableSpec:
    """The table of raw files whose texts are in so many columns."""
    spec = spec_of(RawTickets)
    names = text_columns(texts)
    text, others = spec.column(TEXT_COLUMN), [column for column in spec.columns if column.name != TEXT_COLUMN]
    more = [replace(text, name=name, aliases=()) for name in names[1:]]
    rules = [rule for rule in spec.frame_rules if rule.name != "text_is_given"]
    return replace(
        spec,
        columns=(others[0], text, *more, *others[1:]),
        frame_rules=(FrameRule("text_is_given", _text_is_given(names)), *rules),
    )


def with_required_columns(spec: TableSpec) -> TableSpec:
    """The table as far as it says which columns a file must have: also those in which rows may lack a value."""

    def change(name: str) -> bool:
        return name in REQUIRED or name.startswith(TEXT_COLUMN)

    columns = [replace(column, nullable=column.nullable and not change(column.name)) for column in spec.columns]
    return replace(spec, columns=tuple(columns))


def to_ticket_rows(valid: pl.DataFrame, texts: int) -> pl.DataFrame:
    """Valid rows as rows of the ticket table (`TICKET_COLUMNS`): instants in epoch seconds, texts joined by a blank
    line, and neutral values where nothing is given. Groups and labels are texts; numbers in them are numbers in SQLite.
    """
    parts = [pl.when(_is_given(name)).then(pl.col(name)) for name in text_columns(texts)]
    closed = _EPOCH.fill_null(0)
    groups = [pl.col(name).str.strip_chars() for name in (*_GROUPS, LABEL_COLUMN)]
    return valid.select(
        "id",
        pl.concat_str(parts, separator=_BETWEEN_TEXTS, ignore_nulls=True).alias(TEXT_COLUMN),
        pl.col("via_channel").fill_null(NEUTRAL_CHANNEL),
        pl.col("routed_by").fill_null(NEUTRAL_ROUTER),
        pl.col("probability").fill_null(NEUTRAL_PROBABILITY),
        pl.col("created").dt.epoch("s").fill_null(closed),
        closed.alias(CLOSED_COLUMN),
        *[pl.when(group != "").then(group) for group in groups],
    ).select(TICKET_COLUMNS)
