"""The features once more, in plain Python: dicts and loops over a world, written from the columns' descriptions.

An oracle for every engine; slow, and with nothing of the package but the types of interactions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from gata_assets.interactions.rules import InteractionType
from gata_assets_tests.support.interaction_worlds import Event, Item

Row = dict[str, object]
_WEIGHTS = {"view": 1, "click": 2, "like": 3, "add_to_cart": 4, "purchase": 5, "dislike": 0}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def user_rows(events: Sequence[Event]) -> list[Row]:
    """`UserFeatures` of a window's events."""
    rows: list[Row] = []
    for user, own in _by(events, "user").items():
        count = _counts(own)
        days = len({event.at.date() for event in own})
        rows.append(
            {
                "user_id": user,
                "total_interactions": len(own),
                "unique_items": len({event.item for event in own}),
                "avg_rating": _mean_rating(own),
                "last_interaction": max(event.at for event in own),
                "days_active": days,
                "interactions_per_day": len(own) / days,
                "num_views": count["view"],
                "num_clicks": count["click"],
                "num_purchases": count["purchase"],
                "num_likes": count["like"],
                "num_add_to_carts": count["add_to_cart"],
                "num_dislikes": count["dislike"],
                "conversion_rate": count["purchase"] / len(own),
                "recent_items": [event.item for event in _recent(own)],
            }
        )
    return rows


def item_rows(events: Sequence[Event], catalogue: Sequence[Item], before: datetime) -> list[Row]:
    """`ItemFeatures` of a window's events and of what the catalogue has before the batch."""
    known = {item.item: item for item in catalogue}
    by_item = _by(events, "item")
    most = max((len(own) for own in by_item.values()), default=0)
    available = {item.item for item in catalogue if item.available_at is None or item.available_at < before}
    rows: list[Row] = []
    for item in sorted(available | set(by_item), key=str.encode):
        own = by_item.get(item, [])
        count = _counts(own)
        rows.append(
            {
                "item_id": item,
                "total_interactions": len(own),
                "unique_users": len({event.user for event in own}),
                "avg_rating": _mean_rating(own),
                "popularity_score": len(own) / most if most else None,
                "engagement_score": sum(_WEIGHTS[event.kind] for event in own) / len(own) if own else None,
                "purchase_rate": count["purchase"] / len(own) if own else None,
                "click_through_rate": count["click"] / count["view"] if count["view"] else None,
                "category": known[item].category if item in known else None,
                "price": known[item].price if item in known else None,
            }
        )
    return rows


def recent_rows(events: Sequence[Event]) -> list[Row]:
    """`RecentInteractions` of a window's events."""
    return [
        {
            "user_id": user,
            "position": position,
            "item_id": event.item,
            "interaction_type": event.kind.value,
            "timestamp": event.at,
            "rating": None if event.rating is None else float(np.float32(event.rating)),
        }
        for user, own in _by(events, "user").items()
        for position, event in enumerate(_recent(own), start=1)
    ]


def _by(events: Sequence[Event], name: str) -> dict[str, list[Event]]:
    """The events by an id, in the order of the ids' bytes."""
    groups = defaultdict(list)
    for event in events:
        groups[getattr(event, name)].append(event)
    return dict(sorted(groups.items(), key=lambda group: group[0].encode()))


def _counts(events: Sequence[Event]) -> dict[str, int]:
    return {kind.value: sum(event.kind is kind for event in events) for kind in InteractionType}


def _mean_rating(events: Sequence[Event]) -> float | None:
    ratings = [float(np.float32(event.rating)) for event in events if event.rating is not None]
    return sum(ratings) / len(ratings) if ratings else None


def _recent(events: Sequence[Event]) -> list[Event]:
    def newest_first(event: Event) -> tuple[timedelta, bytes, int, float]:
        return (_EPOCH - event.at, event.item.encode(), event.kind.code, -(event.rating or 0.0))

    return sorted(events, key=newest_first)[:50]
