"""When curation is asked for: raw files without a report, and days that were not curated or are stale.

Decided from what is in the store, so that there is no cursor to lose: what is validated and curated is found no more.
What a run was asked for and is still found is asked for again, at growing intervals and not for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from hashlib import sha256

from gata_assets.batches import day_ranges


@dataclass(frozen=True)
class CurationRequest:
    """A tenant's days to curate, from the first to the last; new files are validated first, whatever days they touch.

    `key` carries a digest of the files and the days: it is the same while the same are asked for.
    """

    tenant: str
    first: date
    last: date
    key: str
    reason: str


def request_curation(
    tenant: str,
    waiting: Sequence[str],
    missing: Sequence[date],
    present: date,
    *,
    stale: Sequence[date] = (),
    listing: str = "",
) -> list[CurationRequest]:
    """Ask for the days that are missing, a request a stretch; for new files alone, for the present day; for stale days
    alone, for the first of them, since a run curates all that are stale.

    `waiting` are the keys of the raw files without a report, `missing` the days without a curated table, `stale` those
    of other parts than those that count; `listing` is a digest of all parts, which tells one late file from another.
    """
    anew = [present] if waiting else stale[:1]
    spans = day_ranges(missing) or [(day, day) for day in anew]
    requests = []
    for first, last in spans:
        told_apart = [*sorted(waiting), f"{first} {last}", *([listing] if stale else [])]
        digest = sha256("\n".join(told_apart).encode()).hexdigest()[:16]
        reasons = [f"{len(waiting)} new files"] if waiting else []
        reasons += [f"no curated table from {first} to {last}"] if missing else []
        reasons += [f"{len(stale)} days of other rows than are curated"] if stale else []
        requests.append(CurationRequest(tenant, first, last, f"{tenant}:{first}:{digest}", "; ".join(reasons)))
    return requests


class RunState(Enum):
    """How a run that was asked for has ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True)
class AskedRun:
    """A run that was asked for, and is over."""

    run_id: str
    state: RunState
    ended_at: datetime


# A store that is away for a while is back by the third; what is wrong with data is shown by the first.
_AFTER_FAILURES = (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2))
# What is found again at once after a run that succeeded would be found for ever.
_AFTER_SUCCESS = timedelta(hours=1)


@dataclass(frozen=True)
class Asking:
    """Whether to ask for a run now: with the `run_key` where it is, and why not where that is None."""

    run_key: str | None
    why_not: str = ""


def ask_again(key: str, runs: Sequence[AskedRun], present: datetime) -> Asking:
    """Decide by the runs that were asked for with the same key and are over, the newest first.

    A run key stands for the run that went before, since Dagster starts none for a key that it has seen.
    """
    if not runs:
        return Asking(f"{key}:first")
    newest = runs[0]
    failed = next((number for number, run in enumerate(runs) if run.state is not RunState.FAILED), len(runs))
    if newest.state is RunState.CANCELED:
        return Asking(None, f"the run was canceled; {_BY_HAND}")
    if failed > len(_AFTER_FAILURES):
        return Asking(None, f"{failed} runs for the same files and days have failed; {_BY_HAND}")
    due_at = newest.ended_at + (_AFTER_FAILURES[failed - 1] if failed else _AFTER_SUCCESS)
    if present < due_at:
        what = f"{failed} failed" if failed else "one that left something to do"
        return Asking(None, f"asked for again at {due_at:%Y-%m-%d %H:%M} UTC, after {what}")
    return Asking(f"{key}:after-{newest.run_id}")


_BY_HAND = "asked for again when another file or day comes; the job curate_interactions does it by hand"
