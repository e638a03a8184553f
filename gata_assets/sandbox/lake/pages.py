"""The pages of an incremental export: versions in the order in which they were made, and lists beside them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from msgspec import json

from gata_assets.sandbox.lake.stories import AGENTS, GROUPS, LakeParameters, Ticket, all_versions

# As time-based exports do, a page begins with tickets of the page before.
REPEATED = 2


def export_pages(parameters: LakeParameters, size: int = 1000) -> Iterator[bytes]:
    """Each page as JSON: `tickets`, and beside them `users`, `groups`, `metric_sets` and `comments`."""
    versions = sorted(all_versions(parameters), key=lambda ticket: (ticket["generated_timestamp"], ticket["id"]))
    start = 0
    for number in count(1):
        stop = min(start + size, len(versions))
        yield json.encode(_page(versions[max(start - REPEATED, 0) : stop], number, is_last=stop == len(versions)))
        if stop == len(versions):
            return
        start = stop


def _page(versions: list[Ticket], number: int, *, is_last: bool) -> Ticket:
    # A version's ticket may be on a page twice; what is beside it is that of its newest.
    newest = {ticket["id"]: ticket for ticket in versions}
    people = sorted({ticket["requester_id"] for ticket in versions} | {*AGENTS})
    beside = ("comments", "metric_set")
    return {
        "tickets": [{key: value for key, value in ticket.items() if key not in beside} for ticket in versions],
        "users": [{"id": user, "name": f"User {user}", "email": f"user-{user}@example.com"} for user in people],
        "groups": [{"id": group, "name": name} for group, name in GROUPS.items()],
        "metric_sets": [ticket["metric_set"] for ticket in newest.values()],
        "comments": [comment for ticket in newest.values() for comment in ticket["comments"]],
        "count": len(versions),
        "end_time": versions[-1]["generated_timestamp"] if versions else None,
        "after_cursor": None if is_last else f"sample-{number}",
        "end_of_stream": is_last,
    }
