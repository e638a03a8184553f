"""A report on a request: what the verified log and the stored manifests say of it. It names nobody.

`page` shows it to people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from gata_assets.errors import DataRuleError
from gata_assets.governance.privacy.reports.erased_datasets import batches_of, find_erased_datasets
from gata_assets.governance.trust.findings import Counts, Problem
from gata_assets.storage.logs.chained_log import ChainedLog, Entry
from gata_assets.storage.objects import ObjectStore


class State(StrEnum):
    """What became of a request."""

    COMPLETE = "complete"
    # Something was left, or it was cut off.
    INCOMPLETE = "incomplete"


@dataclass(frozen=True)
class ClearedPlace:
    """What was removed at a place, in all attempts: objects that had something of theirs, and rows, records or keys, by
    kind. `remains` is what the last one could not remove there, and why.
    """

    place: str
    objects: int
    removed: Mapping[str, int]
    remains: str


@dataclass(frozen=True)
class LoggedEntry:
    """An entry of the log, and the SHA-256 of its bytes, which the next entry has."""

    number: int
    at: datetime
    kind: str
    content: Mapping[str, Any]
    sha256: str


@dataclass(frozen=True)
class Verified:
    """What a verification of the tenant's files said: how many were compared with what is said of them, and what is
    wrong.
    """

    files: int
    bytes: int
    problems: tuple[Problem, ...]

    @classmethod
    def of(cls, counts: Counts, problems: Sequence[Problem]) -> Verified:
        """That of a verification that is complete."""
        return cls(counts.named, counts.bytes_read, tuple(problems))


@dataclass(frozen=True)
class RequestReport:
    """A report on a request.

    Attributes:
        tenant: whose people.
        request: its name.
        is_erasure: whether it asked to erase; an export is the other.
        state: what became of it.
        people: how many were to be erased.
        asked_at: when it was asked for.
        asked_by: who asked, if the log says so.
        ended_at: when its last attempt ended, None if it did not.
        places: what was removed at each place.
        scanned: what the scan at the end read and found: the content of its entry.
        exported: the exports of this name: the contents of their entries, with their instants.
        datasets: the folders of datasets that people were erased from after they were built.
        batches: the batches among these: models that were trained from them contain the people.
        entries: those of the log that are about it.
        head: the SHA-256 of the last of all entries of the log.
        log_entries: how many entries the log has.
        verified: what a verification of the tenant's files said, if there was one.
    """

    tenant: str
    request: str
    is_erasure: bool
    state: State
    people: int
    asked_at: datetime
    asked_by: str
    ended_at: datetime | None
    places: tuple[ClearedPlace, ...]
    scanned: Mapping[str, Any]
    exported: tuple[Mapping[str, Any], ...]
    datasets: tuple[str, ...]
    batches: tuple[str, ...]
    entries: tuple[LoggedEntry, ...]
    head: str
    log_entries: int
    verified: Verified | None

    @property
    def is_complete(self) -> bool:
        """Whether all that was asked for is done, and no file is another than it should be."""
        return self.state is State.COMPLETE and not (self.verified and self.verified.problems)

    def as_json(self, *, for_auditor: bool) -> dict[str, Any]:
        """For machines; whoever asked gets no keys and digests."""
        left_out = () if for_auditor else ("datasets", "entries", "head", "log_entries", "verified")
        found = {name: value for name, value in asdict(self).items() if name not in left_out}
        if not for_auditor:
            found["scanned"] = {**found["scanned"], "findings": len(found["scanned"].get("findings", ()))}
        return {**found, "is_complete": self.is_complete}


def report_request(
    store: ObjectStore,
    log: ChainedLog,
    tenant: str,
    request: str,
    keys: Iterable[str],
    verify: Callable[[], Verified | None],
) -> RequestReport:
    """The report on a request.

    Args:
        store: The target.
        log: The tenant's.
        tenant: Whose people.
        request: Its name.
        keys: Those of the target that may be about the tenant.
        verify: Compares the tenant's files with what is said of them, if the report is to say so.

    Raises:
        DataRuleError: The log has no such request.
        DamagedTableError: The log is broken, which it says.
        StoreError: The target failed.
    """
    everything = log.read()
    entries = [entry for entry in everything if entry.content.get("request") == request]
    if not entries:
        raise DataRuleError(
            f"The log of {tenant} has no request {request}: `gata privacy log --tenant {tenant}` shows all of them."
        )
    first, by_kind = entries[0], {entry.kind: entry for entry in entries}
    asked = next((entry for entry in entries if entry.kind == "requested"), None)
    exported = [entry for entry in entries if entry.kind == "exported"]
    ends = [entry for entry in entries if entry.kind in ("completed", "incomplete")] if asked else exported
    is_done = bool(ends) and ends[-1].kind != "incomplete" and not ends[-1].content.get("not_exported")
    datasets = tuple(find_erased_datasets(store, keys, request)) if asked else ()
    return RequestReport(
        tenant=tenant,
        request=request,
        is_erasure=asked is not None,
        state=State.COMPLETE if is_done else State.INCOMPLETE,
        people=int(asked.content.get("people", 0)) if asked else 1,
        asked_at=first.at,
        asked_by=str(first.content.get("by", "")),
        ended_at=ends[-1].at if ends else None,
        places=_places(entries),
        scanned=_without_request(by_kind["scanned"]) if "scanned" in by_kind else {},
        exported=tuple({"at": entry.at, **_without_request(entry)} for entry in exported),
        datasets=datasets,
        batches=batches_of(datasets),
        entries=tuple(
            LoggedEntry(entry.number, entry.at, entry.kind, entry.content, _digest(entry)) for entry in entries
        ),
        head=_digest(everything[-1]),
        log_entries=len(everything),
        verified=verify(),
    )


def _places(entries: Iterable[Entry]) -> tuple[ClearedPlace, ...]:
    """What was removed at each place, in the order in which they were first asked."""
    found: dict[str, ClearedPlace] = {}
    for entry in entries:
        if entry.kind == "cleared":
            place, removed = str(entry.content["place"]), entry.content["removed"]
            before = found.get(place, ClearedPlace(place, 0, {}, ""))
            counts = {
                kind: before.removed.get(kind, 0) + removed.get(kind, 0) for kind in {**before.removed, **removed}
            }
            objects = before.objects + int(entry.content["objects"])
            found[place] = ClearedPlace(place, objects, counts, str(entry.content["remains"]))
    return tuple(found.values())


def _without_request(entry: Entry) -> dict[str, Any]:
    return {name: value for name, value in entry.content.items() if name != "request"}


def _digest(entry: Entry) -> str:
    return sha256(entry.encode()).hexdigest()
