"""What domains register: where data of people is, and how it is removed there. `erasing` asks each of them in turn.

A locator finds and removes all that it has, however often it is asked, and however far whoever was killed had come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from gata_assets.curation.erasure.raw_rewriting import Mentions
from gata_assets.tables.people.erased_people import ErasedPeople


@dataclass(frozen=True)
class Erasure:
    """What is to be erased.

    Attributes:
        tenant: whose people.
        request: names the erasure.
        people: who was erased up to now, by their tombstones.
        ids: the ids of the request, which are in memory alone.
    """

    tenant: str
    request: str
    people: ErasedPeople
    ids: tuple[str, ...] = field(repr=False)

    @cached_property
    def mentions(self) -> Mentions:
        """Whether a text contains an id of the request as a word."""
        return Mentions(self.ids)


@dataclass(frozen=True)
class Cleared:
    """What was removed at a place.

    Attributes:
        place: such as `interactions: raw files`.
        objects: how many objects, or partitions, had something of theirs.
        removed: rows, records or keys, by kind.
        remains: what is not removed here, why, and until when; empty if nothing remains.
    """

    place: str
    objects: int
    removed: Mapping[str, int] = field(default_factory=dict)
    remains: str = ""


class Locator(Protocol):
    """Where data of people is."""

    def erase(self, erasure: Erasure) -> Iterator[Cleared]:
        """Remove it, place by place; raises StoreError, or another error of the project."""
