"""What domains register: where data of people is, and how it is removed and exported there, each asked in turn.

A locator finds and removes all that it has, however often it is asked, and however far whoever was killed had come.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from gata_assets.curation.erasure.raw_records import NumberedRow
from gata_assets.curation.erasure.raw_rewriting import Mentions
from gata_assets.tables.people.erased_people import ErasedPeople


@dataclass(frozen=True)
class People:
    """Whom a request is about.

    Attributes:
        tenant: whose people.
        ids: who, as tables name them, by tokens of their ids too; in memory alone.
        columns: the names, in lower case, that columns of people have; none if they are not known.
    """

    tenant: str
    ids: tuple[str, ...] = field(repr=False)
    columns: frozenset[str] = field(default=frozenset(), kw_only=True)

    @cached_property
    def mentions(self) -> Mentions:
        """Whether a text contains one of the ids as a word."""
        return Mentions(self.ids)


@dataclass(frozen=True)
class Erasure(People):
    """What is to be erased.

    Attributes:
        request: names the erasure.
        erased: who was erased up to now, by their tombstones.
    """

    request: str
    erased: ErasedPeople


@dataclass(frozen=True)
class Cleared:
    """What was removed at a place.

    Attributes:
        place: such as `interactions: raw files`.
        objects: how many objects, or partitions, had something of theirs.
        removed: rows, records or keys, by kind.
        remains: what is not removed here, why, and until when; empty if nothing remains.
        note: what to know besides, which leaves nothing undone.
    """

    place: str
    objects: int
    removed: Mapping[str, int] = field(default_factory=dict)
    remains: str = ""
    note: str = ""


@dataclass(frozen=True)
class Exported:
    """What one object, or another unit of a place, has of people.

    Attributes:
        place: such as `interactions: raw files`.
        key: the object's key in the target, or what names the unit elsewhere.
        rows: what it has of them, as JSON has it or nearly (instants, bytes), with the number of the record where there
            is one; read once, at once. May be none.
    """

    place: str
    key: str
    rows: Iterable[NumberedRow | Mapping[str, Any]] = field(repr=False)


class Locator(Protocol):
    """Where data of people is."""

    def erase(self, erasure: Erasure) -> Iterator[Cleared]:
        """Remove it, place by place; raises StoreError, or another error of the project."""

    def export(self, people: People) -> Iterator[Exported]:
        """What is there of people, place by place: all that exists, also what no reader gets any more.

        Raises StoreError, or another error of the project, also while rows are read.
        """
