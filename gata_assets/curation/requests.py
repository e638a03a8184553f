"""When curation is requested: for raw files that are new or changed, and for days that are missing or stale.

Decided from the contents of the store, so there is no cursor to lose: what is validated and curated is not found again.
Work that a run was requested for and that is still found is requested again, at growing intervals, not forever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from hashlib import sha256

from gata_assets.batches import day_ranges


@dataclass(frozen=True)
class CurationRequest:
    """A tenant's days to curate, from the first to the last; new files are validated first, whatever days they touch.

    `key` contains a digest of the names of the files and of the days, `versions` one of the files' versions: a file
    that changes all the time gives no new keys, and so is not requested without an interval.
    """

    tenant: str
    first: date
    last: date
    key: str
    reason: str
    versions: str = ""


def request_curation(
    tenant: str,
    waiting: Mapping[str, str],
    missing: Sequence[date],
    present: date,
    *,
    stale: Sequence[date] = (),
    listing: str = "",
) -> list[CurationRequest]:
    """Request the missing days, one request per contiguous range. Without missing days: the present day if there are
    new files, else the first stale day, since a run curates all stale days.

    `waiting` are the keys of the raw files that are new or changed, with their versions, `missing` the days without a
    curated table, `stale` the days built from other parts than those that count; `listing` is a digest of all parts, so
    that different late files give different keys. With waiting files it counts as a version: each of them adds parts.
    """
    rebuilt = [present] if waiting else stale[:1]
    spans = day_ranges(missing) or [(day, day) for day in rebuilt]
    requests = []
    of_parts = [listing] if stale else []
    versions = _digest([*(f"{key} {version}" for key, version in sorted(waiting.items())), *of_parts])
    for first, last in spans:
        digest = _digest([*sorted(waiting), f"{first} {last}", *([] if waiting else of_parts)])
        reasons = [f"{len(waiting)} new files"] if waiting else []
        reasons += [f"no curated table from {first} to {last}"] if missing else []
        reasons += [f"{len(stale)} days of other rows than are curated"] if stale else []
        requests.append(
            CurationRequest(tenant, first, last, f"{tenant}:{first}:{digest}", "; ".join(reasons), versions)
        )
    return requests


def _digest(lines: Sequence[str]) -> str:
    return sha256("\n".join(lines).encode(errors="surrogatepass")).hexdigest()[:32]


class RunState(Enum):
    """How a requested run has ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True)
class AskedRun:
    """A requested run that has ended, and the versions of the files that it was requested for."""

    run_id: str
    state: RunState
    ended_at: datetime
    versions: str = ""


# A store that is unavailable for a while is back by the third; the first shows faults of the data.
_AFTER_FAILURES = (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2))
# Work that is found again right after a run that succeeded would be found forever.
_AFTER_SUCCESS = timedelta(hours=1)


@dataclass(frozen=True)
class Asking:
    """Whether to request a run now: its `run_key`, or None and the reason why not."""

    run_key: str | None
    why_not: str = ""


def ask_again(key: str, runs: Sequence[AskedRun], present: datetime, versions: str = "") -> Asking:
    """Decide by the ended runs that were requested with the same key, the newest first.

    Files that have changed since the newest are requested at the first interval, however it ended; after too many
    failures, whatever the versions, at the longest. A run key names the run before it, since Dagster starts no run for
    a key that it has seen.
    """
    if not runs:
        return Asking(f"{key}:{versions}:first")
    newest = runs[0]
    failed = next((number for number, run in enumerate(runs) if run.state is not RunState.FAILED), len(runs))
    is_given_up = failed > len(_AFTER_FAILURES)
    if newest.versions != versions:
        interval = _AFTER_FAILURES[-1 if is_given_up else 0]
    elif newest.state is RunState.CANCELED:
        return Asking(None, f"the run was canceled; {_BY_HAND}")
    elif is_given_up:
        return Asking(None, f"{failed} runs for the same files and days have failed; {_BY_HAND}")
    else:
        interval = _AFTER_FAILURES[failed - 1] if failed else _AFTER_SUCCESS
    due_at = newest.ended_at + interval
    if present < due_at:
        what = f"{failed} failed" if failed else "one that left something to do"
        what += ", and the files have changed since" if newest.versions != versions else ""
        return Asking(None, f"asked for again at {due_at:%Y-%m-%d %H:%M} UTC, after {what}")
    return Asking(f"{key}:after-{newest.run_id}")


_BY_HAND = (
    "asked for again when another file or day comes, or a file changes; the job curate_interactions does it by hand"
)
