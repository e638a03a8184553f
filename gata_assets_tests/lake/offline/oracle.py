"""What offline tickets are, in plain Python, of raw tickets: by dictionaries, one at a time.

Texts are left to the tests of cleaning; here they are plain.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from math import ceil, floor
from typing import Any

OPEN = ("new", "open", "pending", "hold")
METRICS = {
    "first_reply": "reply_time_in_minutes",
    "full_resolution": "full_resolution_time_in_minutes",
}
Raw = Mapping[str, Any]
Targets = Mapping[str, tuple[int | None, int | None]]


def at(value: Any) -> datetime | None:
    if value is None:
        return None
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int) else datetime.fromisoformat(value)


def version_at(raw: Raw) -> datetime | None:
    ended = [moment for name in ("solved_at", "closed_at") if (moment := at(raw.get(name)))]
    for name in ("generated_timestamp", "updated_at"):
        if raw.get(name) is not None:
            return at(raw[name])
    return max(ended) if ended else at(raw["created_at"])


def kept(tickets: Iterable[Raw]) -> list[Raw]:
    """One raw ticket of each version: the one with the most given values; where several have, tests accept any."""
    found: dict[Any, Raw] = {}
    for raw in tickets:
        key = (raw["id"], version_at(raw))
        if key not in found or given(raw) > given(found[key]):
            found[key] = raw
    return [found[key] for key in sorted(found)]


def given(raw: Raw) -> int:
    return sum(value is not None for value in raw.values())


def endings(tickets: Iterable[Raw]) -> list[dict[str, Any]]:
    """When the ticket of each version had ended as of it, and in which group; of `kept` versions."""
    found: list[dict[str, Any]] = []
    # Of each ticket that has ended as of its last version: the version that it did with.
    ended: dict[Any, Raw] = {}
    for raw in tickets:
        if not has_ended(raw):
            ended.pop(raw["id"], None)
            found.append({"ended_at": None, "ended_group_id": None, "ended_group": None})
            continue
        first = ended.setdefault(raw["id"], raw)
        solved = at(raw.get("solved_at")) or at((raw.get("metric_set") or {}).get("solved_at"))
        group = group_of(first)
        found.append(
            {
                "ended_at": at(raw.get("closed_at")) or solved or version_at(first),
                "ended_group_id": group[0],
                "ended_group": group[1],
            }
        )
    return found


def has_ended(raw: Raw) -> bool:
    if raw.get("status") is not None:
        return raw["status"] in ("solved", "closed")
    instants = (raw.get("closed_at"), raw.get("solved_at"), (raw.get("metric_set") or {}).get("solved_at"))
    return any(instant is not None for instant in instants)


def group_of(raw: Raw) -> tuple[str | None, str | None]:
    """Its number and name: what the label says counts where they are not given."""
    label = (raw.get("label") or "").strip() or None
    is_number = label is not None and label.isdecimal() and label == str(int(label))
    number = None if raw.get("group_id") is None else str(raw["group_id"])
    return number or (label if is_number else None), raw.get("group_name") or label


def between(instants: Iterable[datetime | None]) -> list[int] | None:
    """Whole seconds that all of some instants are between."""
    given = sorted(moment for moment in instants if moment)
    return [floor(given[0].timestamp()), ceil(given[-1].timestamp())] if given else None


def offline(raw: Raw, targets: Targets) -> dict[str, Any]:
    created, version = at(raw["created_at"]), version_at(raw)
    assert created and version
    metrics, comments = raw.get("metric_set"), raw.get("comments")
    status, requester = raw.get("status"), raw.get("requester_id")
    solved = at(raw.get("solved_at")) or at((metrics or {}).get("solved_at"))
    replies = [
        at(comment["created_at"])
        for comment in comments or ()
        if comment.get("public", True) and str(comment["author_id"]) != str(requester)
    ]
    replied = min((moment for moment in replies if moment and moment > created), default=None)
    minutes: dict[str, int | None] = {}
    for name, field in METRICS.items():
        times = (metrics or {}).get(field) or {}
        minutes[name] = times.get("calendar")
        minutes[f"{name}_business"] = times.get("business")
    if minutes["first_reply"] is None and replied:
        minutes["first_reply"] = whole_minutes(created, replied)
    if minutes["full_resolution"] is None and solved and solved >= created and status in ("solved", "closed"):
        minutes["full_resolution"] = whole_minutes(created, solved)
    reply_target, resolution_target = targets.get(raw.get("priority") or "", (None, None))
    late = whole_minutes(created, version)
    is_open, is_known = status in OPEN, metrics is not None or comments is not None
    return {
        "id": raw["id"],
        "version_at": version,
        "status": status,
        "solved_at": solved,
        "assigned_at": at((metrics or {}).get("assigned_at")),
        "channel": (raw.get("via") or {}).get("channel"),
        "group_id": group_of(raw)[0],
        "group": group_of(raw)[1],
        "routed_by": raw.get("routed_by"),
        "initial_group_id": raw.get("initial_group_id"),
        "tags": raw.get("tags") or [],
        "comments": None if comments is None else len(comments),
        "satisfaction": (raw.get("satisfaction_rating") or {}).get("score"),
        "reopens": (metrics or {}).get("reopens"),
        "replies": (metrics or {}).get("replies"),
        "first_reply_minutes": minutes["first_reply"],
        "first_reply_business_minutes": minutes["first_reply_business"],
        "full_resolution_minutes": minutes["full_resolution"],
        "full_resolution_business_minutes": minutes["full_resolution_business"],
        "first_reply_breached": breached(minutes["first_reply"], reply_target, late, is_open and is_known),
        "resolution_breached": breached(minutes["full_resolution"], resolution_target, late, is_open),
        "custom_fields": None
        if raw.get("custom_fields") is None
        else json.dumps(
            {str(field["id"]): field["value"] for field in raw["custom_fields"]},
            ensure_ascii=False,
            separators=(",", ":"),
        ),
    }


def whole_minutes(start: datetime, end: datetime) -> int:
    return int((end - start).total_seconds() // 60)


def breached(minutes: int | None, target: int | None, late: int, waits: bool) -> bool | None:
    if target is None:
        return None
    if minutes is not None:
        return minutes > target
    return True if waits and late > target else None
