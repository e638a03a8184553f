"""When curation is asked for: raw files that nobody has sorted, and days that nobody has curated or that are stale.

Decided from what is in the store, so that there is no cursor to lose: what is sorted and curated is found no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256

from gata_assets.core.interaction_windows import stretches


@dataclass(frozen=True)
class CurationRequest:
    """A tenant's days to curate, from the first to the last; new files are sorted first, whatever days they touch.

    `run_key` carries a digest of the files and the days, so that the same are asked for once.
    """

    tenant: str
    first: date
    last: date
    run_key: str
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
    alone, for the first of them, since a run makes all that are stale.

    `waiting` are the keys of the raw files without a report, `missing` the days without a curated table, `stale` those
    of other parts than those that count; `listing` is a digest of all parts, which tells one late file from another.
    """
    anew = [present] if waiting else stale[:1]
    spans = stretches(missing) or [(day, day) for day in anew]
    requests = []
    for first, last in spans:
        told_apart = [*sorted(waiting), f"{first} {last}", *([listing] if stale else [])]
        digest = sha256("\n".join(told_apart).encode()).hexdigest()[:16]
        reasons = [f"{len(waiting)} new files"] if waiting else []
        reasons += [f"no curated table from {first} to {last}"] if missing else []
        reasons += [f"{len(stale)} days of other rows than are curated"] if stale else []
        requests.append(CurationRequest(tenant, first, last, f"{tenant}:{first}:{digest}", "; ".join(reasons)))
    return requests
