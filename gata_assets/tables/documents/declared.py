"""How JSON documents contain a table's rows: as a list, with lists beside it whose records the rows take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Beside:
    """A list beside the rows: a row takes the record whose `key` is what the row has in its field `of`.

    Attributes:
        list: the field of the document that has the list.
        key: the field of its records that says which row takes one.
        of: the field of the row that has the same value.
        column: the table's column that keeps the record, as JSON.
        many: whether a row takes all such records, as a JSON array, and not the last one.
    """

    list: str
    key: str
    of: str
    column: str
    many: bool = False


@dataclass(frozen=True)
class Pages:
    """A document whose field `rows` is a list of rows, as interfaces of the web answer page by page."""

    rows: str
    beside: tuple[Beside, ...] = ()


def pages_of(declared: Mapping[str, Any]) -> Pages:
    """The value of a declaration: `{"rows": "tickets", "beside": [{"list": …, "key": …, "of": …, "column": …}]}`.

    Raises TypeError for other keys.
    """
    given = dict(declared)
    beside = tuple(Beside(**one) for one in given.pop("beside", ()))
    return Pages(**given, beside=beside)
