"""What stands for people in offline tickets, as LAKE_PEOPLE says: a token, the helpdesk's id, or nothing.

A person has one token, whether they asked, answered or wrote a ticket down. Without a key all tokens are `***`.
"""

from __future__ import annotations

import polars as pl

from gata_assets.lake.offline.nested import PEOPLE_FIELDS, NestedReader, without_people
from gata_assets.lake.offline.rules import PERSON, OfflineRules, People

_KINDS = {"requester": PERSON, "assignee": PERSON, "submitter": PERSON, "organization_id": "organization"}
_SOURCES = {"requester": "requester_id", "assignee": "assignee_id", "submitter": "submitter_id"}


def people_columns(rows: pl.DataFrame, rules: OfflineRules) -> dict[str, pl.Series]:
    """The columns of people and of their organization, of rows of bronze."""
    found = {}
    for name, kind in _KINDS.items():
        ids = rows[_SOURCES.get(name, name)]
        if rules.people is People.LEFT_OUT:
            found[name] = pl.Series([None], dtype=pl.String).new_from_index(0, len(ids))
        else:
            found[name] = ids if rules.people is People.AS_IS else rules.tokens.tokens(kind, ids)
    return found


def other_fields(rows: pl.DataFrame, rules: OfflineRules, reader: NestedReader) -> pl.Series:
    """The fields without a column, of rows of bronze: without people, unless they are left as they are."""
    more = rows["more"]
    if rules.people is People.AS_IS:
        return more
    named = more.str.contains_any([f'"{name}"' for name in PEOPLE_FIELDS]).fill_null(value=False).arg_true()
    if not len(named):
        return more
    kept = reader.read(more.gather(named), without_people, None, named)
    return more.clone().scatter(named, kept.column())
