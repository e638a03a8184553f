"""Compares an object's bytes with what others say of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from gata_assets.errors import ArchivedError, ConflictError, ObjectNotFoundError
from gata_assets.governance.trust.digesting import Digests, digest_object
from gata_assets.governance.trust.findings import Kind, Problem
from gata_assets.governance.trust.names import Name, Role
from gata_assets.storage.objects import ObjectStore

_ADVICE: Mapping[Role, str] = {
    Role.FILE: "Restore it from a version or a copy, or build the dataset again.",
    Role.RAW: "Restore it from a version or a copy; the next run validates what is there now.",
    Role.PART: "Restore it from a version or a copy, or write it again: `gata quarantine --file FILE_ID --replay`.",
    Role.BESIDE: "Restore it from a version or a copy.",
    Role.SOURCE: "It was changed, or built again and not what is built from it: prepare the batch again.",
}
_MOST_READS = 5


@dataclass(frozen=True)
class Compared:
    """What is wrong with an object, each with the name that says otherwise, and how many bytes were read: none of one
    in an archive.
    """

    problems: tuple[tuple[Name, Problem], ...]
    bytes: int = 0
    is_archived: bool = False


def compare(store: ObjectStore, key: str, names: Sequence[Name]) -> Compared:
    """Read an object and compare it with what is said of it; raises StoreError."""
    by_namer = [
        list(group) for _, group in groupby(sorted(names, key=attrgetter("by", "role")), attrgetter("by", "role"))
    ]
    try:
        if any(name.sha256 or name.rows is not None for name in names):
            digests = _digest(store, key, [name for group in by_namer for name in group if name.spans])
        elif store.exists(key):
            return Compared(())
        else:
            raise ObjectNotFoundError(key)
    except ObjectNotFoundError:
        return Compared(tuple(_missing(store, group[0]) for group in by_namer))
    except ArchivedError:
        return Compared((), is_archived=True)
    of_spans = dict(zip((name for group in by_namer for name in group if name.spans), digests.of_spans, strict=True))
    found = [
        (group[0], problem) for group in by_namer for problem in _compare_all(store, key, group, digests, of_spans)
    ]
    return Compared(tuple(found), digests.size)


def _digest(store: ObjectStore, key: str, parts: Sequence[Name]) -> Digests:
    for attempt in range(_MOST_READS):
        try:
            with store.open_read(key) as file:
                return digest_object(file, [name.spans for name in parts])
        except ConflictError:
            # It was replaced while it was read.
            if attempt + 1 == _MOST_READS:
                raise
    raise AssertionError


def _compare_all(
    store: ObjectStore, key: str, names: Sequence[Name], digests: Digests, of_spans: Mapping[Name, str | None]
) -> Iterator[Problem]:
    """What one object says of another that it is not: the first difference, since others follow from it."""
    for name in names:
        expected = of_spans[name] if name.spans else digests.sha256
        if name.bytes is not None and name.bytes != digests.size:
            what = f"has {digests.size:,} bytes, not {name.bytes:,}"
        elif name.sha256 is not None and expected != name.sha256:
            what = "has other bytes than were written: its SHA-256 is another"
        else:
            continue
        if name.role is Role.RAW and name.version not in (None, store.delivered_version(key)):
            what = f"was overwritten since it was validated: it {what}"
        yield _differs(name, what)
        return
    if names[0].spans and digests.unclaimed:
        yield _differs(names[0], f"has {digests.unclaimed:,} bytes that are in none of its parts")
    rows = [name.rows for name in names]
    if digests.rows is not None and None not in rows and digests.rows != sum(row or 0 for row in rows):
        yield _differs(names[0], f"has {digests.rows:,} rows, not {sum(row or 0 for row in rows):,}")


def _differs(name: Name, what: str) -> Problem:
    return Problem(Kind.DIFFERS, name.key, name.by, f"This {name.role} {what}. {_ADVICE[name.role]}")


def _missing(store: ObjectStore, name: Name) -> tuple[Name, Problem]:
    what = f"This {name.role} is missing, which {store.uri(name.by)} names. {_ADVICE[name.role]}"
    return name, Problem(Kind.MISSING, name.key, name.by, what)
