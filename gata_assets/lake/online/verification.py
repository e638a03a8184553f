"""Whether Redis has the tickets that it should: the published version held against given ones, in numbers.

No number tells whose tickets differ; `ids` of a report does, and is for a terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec
from redis import Redis

from gata_assets.lake.online.tickets import OnlineTicket
from gata_assets.online.info import DocumentFormat
from gata_assets.online.keys import OnlineKeys
from gata_assets.online.reader import OnlineReader

_BLOCK = 500
# Of each kind of difference.
_MOST_IDS = 20
_PUBLISH = "publish the slice again"


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        version: that is published.
        published_at: when it was.
        expected: how many tickets were given.
        listed: how many the version lists.
        described: how many it says that it has.
        differences: how many tickets are missing, extra, different, without a document, or
            at another instant or place in the order.
        ids: some of them, for a terminal only.
    """

    version: str
    published_at: datetime
    expected: int
    listed: int
    described: int
    differences: dict[str, int]
    ids: dict[str, list[int]] = field(repr=False)

    @property
    def is_well(self) -> bool:
        """Whether the version has exactly what was given, in its order."""
        return not any(self.differences.values()) and self.expected == self.listed == self.described

    def describe(self) -> str:
        """The numbers, without an id."""
        if self.is_well:
            return f"version {self.version} has the {self.expected:,} tickets that it should, in their order"
        found = [f"{count:,} {kind}" for kind, count in self.differences.items() if count]
        if self.listed != self.expected:
            found.append(f"{self.listed:,} listed in place of {self.expected:,}")
        if self.described != self.listed:
            found.append(f"its description says {self.described:,}, and it lists {self.listed:,}")
        return f"version {self.version} differs: {'; '.join(found)}. To correct it: {_PUBLISH}"


def verify(client: Redis, keys: OnlineKeys, expected: Iterable[OnlineTicket]) -> Verification:
    """Hold the published version against the tickets that it should have, newest first.

    Args:
        client: A client of redis.
        keys: Whose tickets.
        expected: The tickets in the order of `newest_first`; read once, a block at a time. Ids are kept in memory.

    Raises NotPublishedError if there is no version, and VersionGoneError if it is superseded meanwhile.
    """
    version = OnlineReader(client, keys.tenant, decode=bytes, prefix=keys.prefix).pinned()
    listed = version.listed()
    instants = dict(listed)
    is_exact = version.info.format is DocumentFormat.STRINGS
    found: dict[str, list[int]] = {
        kind: []
        for kind in ("missing", "extra", "different", "without a document", "at another instant", "not in their place")
    }
    wanted: list[int] = []
    for block in _blocks(expected):
        documents = version.get_many(ticket.id for ticket in block)
        for ticket in block:
            wanted.append(ticket.id)
            if ticket.id not in instants:
                found["missing"].append(ticket.id)
                continue
            if instants[ticket.id] != ticket.version_at:
                found["at another instant"].append(ticket.id)
            if ticket.id not in documents:
                found["without a document"].append(ticket.id)
            elif not _is_same(documents[ticket.id], ticket.document, is_exact=is_exact):
                found["different"].append(ticket.id)
    given = set(wanted)
    found["extra"] = [ticket_id for ticket_id in instants if ticket_id not in given]
    # Of those that both have, so that a missing ticket doesn't put all behind it in a wrong place.
    ours = [ticket_id for ticket_id in wanted if ticket_id in instants]
    theirs = [ticket_id for ticket_id in instants if ticket_id in given]
    found["not in their place"] = [a for a, b in zip(ours, theirs, strict=False) if a != b]
    # Nothing of the version was removed while it was read.
    counted = version.count()
    return Verification(
        version=version.name,
        published_at=version.info.published_at,
        expected=len(wanted),
        listed=counted,
        described=version.info.count,
        differences={kind: len(ids) for kind, ids in found.items()},
        ids={kind: ids[:_MOST_IDS] for kind, ids in found.items()},
    )


def _is_same(found: bytes, expected: bytes, *, is_exact: bool) -> bool:
    """The same bytes; of documents of the JSON module, which writes them anew, the same values."""
    return found == expected or (not is_exact and _values(found) == _values(expected))


def _values(document: bytes) -> Any:
    return msgspec.json.decode(document)


def _blocks(tickets: Iterable[OnlineTicket]) -> Iterator[Sequence[OnlineTicket]]:
    given = iter(tickets)
    while block := list(islice(given, _BLOCK)):
        yield block
