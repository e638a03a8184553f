"""Flat exports of a helpdesk, a ticket in each row, as raw files of the lake. Pure.

The columns of the ticket table are known by their names there, so that one file fills a ticket table or the lake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from gata_assets.errors import MappingError
from gata_assets.lake.tables import RAW_TICKETS
from gata_assets.tables.raw_mapping import RawMapping, merge_mappings

_Value = TypeVar("_Value")
SUBJECT, DESCRIPTION, LABEL, CLOSED_AT = "subject", "description", "label", "closed_at"
TEXTS = (DESCRIPTION, *(f"{DESCRIPTION}_{number}" for number in (2, 3, 4)))
_CREATED_AT = "created_at"
# The columns of the ticket table, by what they are called in the lake.
_OF_TICKET_TABLE = {
    "processed_data": DESCRIPTION,
    **{f"processed_data_{number}": f"{DESCRIPTION}_{number}" for number in (2, 3, 4)},
    "closed": CLOSED_AT,
    "closed_group_id_mapped": LABEL,
    "via_channel": "channel",
    "created": _CREATED_AT,
}
_NUMBERS = (LABEL, "group_id", "initial_group_id", "organization_id", "requester_id", "assignee_id", "submitter_id")
# Without a time of creation that of closing counts. Programs without nullable integers write them as decimals.
# The names that files may give columns that they may lack.
_OPTIONAL = {name: RAW_TICKETS.names_of(RAW_TICKETS.column(name)) for name in RAW_TICKETS.optional}
FLAT = RawMapping(substitutes={_CREATED_AT: CLOSED_AT}, whole_numbers=_NUMBERS)

_BESIDE = ("group", "requester", "assignee", "submitter", "comments", "metric_set")
# The table as flat exports have it, for proposals: a `group` is a name there.
FLAT_TICKETS = replace(
    RAW_TICKETS, columns=tuple(column for column in RAW_TICKETS.columns if column.name not in _BESIDE), pages=None
)


def text_mapping(names: Sequence[str], subjects: Sequence[str]) -> dict[str, str]:
    """By column of the lake, the name of a file's column of texts, which are joined in this order.

    A first one of two that is called as `subjects` are, in lower case without anything but letters and digits, is the
    subject. Raises MappingError for more than there are columns.
    """
    if len(names) > len(TEXTS):
        raise MappingError(f"the lake takes {len(TEXTS)} columns of texts, and these are {len(names)}.")
    has_subject = len(names) == 2 and "".join(filter(str.isalnum, names[0].lower())) in subjects
    columns = (SUBJECT, DESCRIPTION) if has_subject else TEXTS
    return dict(zip(columns, names, strict=False))


def flat_mapping(mapping: RawMapping) -> RawMapping:
    """What a flat export is read by, with a mapping that may name the columns of the ticket table.

    A name that the mapping gives one column is no other's: `group` may be the label.
    """
    found = in_lake(mapping)
    taken = {name for names in found.columns.values() for name in names}
    others = [column for column, names in _OPTIONAL.items() if column not in found.columns and taken & {*names}]
    free = {column: tuple(name for name in _OPTIONAL[column] if name not in taken) for column in others}
    return merge_mappings(FLAT, replace(found, columns={**found.columns, **free}))


def in_lake(mapping: RawMapping) -> RawMapping:
    """A mapping with the lake's columns in place of those of the ticket table."""

    def renamed(found: Mapping[str, _Value]) -> dict[str, _Value]:
        return {_OF_TICKET_TABLE.get(name, name): value for name, value in found.items()}

    return replace(
        mapping,
        columns=renamed(mapping.columns),
        constants=renamed(mapping.constants),
        substitutes={name: _OF_TICKET_TABLE.get(to, to) for name, to in renamed(mapping.substitutes).items()},
        words=renamed(mapping.words),
        instants=renamed(mapping.instants),
        whole_numbers=tuple(_OF_TICKET_TABLE.get(name, name) for name in mapping.whole_numbers),
        scales=renamed(mapping.scales),
    )
