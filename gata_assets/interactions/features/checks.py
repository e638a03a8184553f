"""Checks of the feature tables: they match their schemas, sum to the window's interactions, and stay in the window."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gata_assets.batches import Window
from gata_assets.interactions.check_names import FEATURES_MATCH_THE_EVENTS, NOTHING_AFTER_THE_BATCH
from gata_assets.interactions.features.events import EventTable
from gata_assets.interactions.features.tables import FeatureTables
from gata_assets.interactions.rules import RECENT_INTERACTIONS, InteractionType
from gata_assets.interactions.tables import SPECS
from gata_assets.tables.arrow_checks import check_arrow_tables
from gata_assets.tables.columns.arrays import Int64s
from gata_assets.tables.outcomes import Outcome

_BUG = "This is a bug in the feature computation; please report it."


def check_features(tables: FeatureTables, events: EventTable, window: Window) -> dict[str, dict[str, list[Outcome]]]:
    """Run all checks of the feature tables; returns outcomes by table and check."""
    user_ratings, item_ratings = check_ratings_match_the_events(tables, events)
    instants = check_nothing_after_the_batch(tables, window)
    return {
        "user_features": {
            "user_features_are_valid": check_arrow_tables(SPECS["user_features"], [tables.user_features]),
            FEATURES_MATCH_THE_EVENTS: [*check_users_match_the_events(tables, events), *user_ratings],
            NOTHING_AFTER_THE_BATCH: instants[:1],
        },
        "item_features": {
            "item_features_are_valid": check_arrow_tables(SPECS["item_features"], [tables.item_features]),
            FEATURES_MATCH_THE_EVENTS: [*check_items_match_the_events(tables, events), *item_ratings],
        },
        "recent_interactions": {
            "recent_interactions_are_valid": check_arrow_tables(
                SPECS["recent_interactions"], [tables.recent_interactions]
            ),
            FEATURES_MATCH_THE_EVENTS: check_recent_match_the_events(tables, events),
            NOTHING_AFTER_THE_BATCH: instants[1:],
        },
    }


def check_users_match_the_events(tables: FeatureTables, events: EventTable) -> list[Outcome]:
    """Every user has a row, and the users' counts sum to the interactions, in total and by type."""
    users = tables.user_features
    by_type = np.bincount(events.type_code, minlength=len(InteractionType))
    expected = np.minimum(users["total_interactions"].to_numpy(), RECENT_INTERACTIONS)
    lengths = pc.list_value_length(users["recent_items"]).to_numpy()
    return [
        equal("every user has a row", users.num_rows, len(events.users), unit="users"),
        equal("the users' interactions sum to the total", _sum(users, "total_interactions"), len(events)),
        *(
            equal(f"num_{kind}s sums to the type's total", _sum(users, f"num_{kind}s"), int(by_type[kind.code]))
            for kind in InteractionType
        ),
        Outcome(
            f"recent_items are the latest {RECENT_INTERACTIONS}",
            int((lengths != expected).sum()),
            len(lengths),
            _BUG,
            unit="users",
        ),
        equal("the last interaction is the newest", _last(users), int(events.timestamp.max(initial=0)), unit="us"),
    ]


def check_items_match_the_events(tables: FeatureTables, events: EventTable) -> list[Outcome]:
    """Every item with an interaction has a row, and the items' counts sum to the interactions.

    Distinct (user, item) pairs are counted by user and by item, and both counts must be equal.
    """
    items = tables.item_features
    has_interaction = np.zeros(len(events.items), dtype=np.bool_)
    has_interaction[events.item] = True
    with_interactions = pc.sum(pc.greater(items["total_interactions"], 0)).as_py() or 0
    return [
        equal("every item with an interaction has a row", with_interactions, int(has_interaction.sum()), unit="items"),
        equal("the items' interactions sum to the total", _sum(items, "total_interactions"), len(events)),
        equal(
            "the items' users and the users' items are the same number of pairs",
            _sum(items, "unique_users"),
            _sum(tables.user_features, "unique_items"),
            unit="pairs",
        ),
    ]


def check_recent_match_the_events(tables: FeatureTables, events: EventTable) -> list[Outcome]:
    """Each user's interactions, up to 50, are among the recent interactions, newest first."""
    recent, users = tables.recent_interactions, tables.user_features
    expected = int(np.minimum(users["total_interactions"].to_numpy(), RECENT_INTERACTIONS).sum())
    position = recent["position"].to_numpy()
    at = recent["timestamp"].cast(pa.int64()).to_numpy()
    is_first = position == 1
    disordered = (position[1:] != position[:-1] + 1) | (at[1:] > at[:-1])
    return [
        equal("every user has all recent interactions", recent.num_rows, expected),
        equal("every user has a latest interaction", int(is_first.sum()), len(events.users), unit="users"),
        _equal_instants("the first recent interaction is the user's last", at[is_first], users["last_interaction"]),
        Outcome("recent interactions are newest first", int((disordered & ~is_first[1:]).sum()), len(position), _BUG),
    ]


def check_ratings_match_the_events(tables: FeatureTables, events: EventTable) -> tuple[list[Outcome], list[Outcome]]:
    """Every user and item with a rating has an average, and the averages over all ratings sum to the ratings.

    Returns:
        The outcomes of users, and those of items.
    """
    rated = np.flatnonzero(~np.isnan(events.rating))
    ratings = float(events.rating[rated].sum(dtype=np.float64))
    has_row = pc.is_in(events.items.ids.to_arrow(), value_set=tables.item_features["item_id"])
    # Row number by item code; the entries of items without a row are never used.
    item_rows = np.maximum(np.cumsum(has_row.to_numpy(zero_copy_only=False)) - 1, 0)
    return (
        _ratings_match("users", tables.user_features, events.user[rated], ratings),
        _ratings_match("items", tables.item_features, item_rows[events.item[rated]], ratings),
    )


def _ratings_match(kind: str, table: pa.Table, rows: NDArray[np.integer], ratings: float) -> list[Outcome]:
    averages = table["avg_rating"].to_numpy()
    found_by_row = np.zeros(max(int(rows.max(initial=-1)) + 1, len(averages)))
    is_rated = found_by_row.astype(np.bool_)
    is_rated[rows] = True
    found_by_row[: len(averages)] = averages
    is_off = not abs(float(found_by_row[rows].sum()) - ratings) <= 1e-9 * ratings
    found = len(averages) - table["avg_rating"].null_count
    return [
        equal(f"{kind} with a rating have an average", found, int(is_rated.sum()), unit=kind),
        Outcome(f"averages of {kind} sum to the ratings", int(is_off), 1, _BUG, unit="sums"),
    ]


def check_nothing_after_the_batch(tables: FeatureTables, window: Window) -> list[Outcome]:
    """Every instant in user features and recent interactions is inside the window."""
    return [
        _inside(tables.user_features, "last_interaction", window),
        _inside(tables.recent_interactions, "timestamp", window),
    ]


def equal(rule: str, found: int, expected: int, unit: str = "rows") -> Outcome:
    """The outcome of two counts that must be equal."""
    return Outcome(rule, failed=abs(found - expected), checked=expected, advice=_BUG, unit=unit)


def _equal_instants(rule: str, found: Int64s, expected: pa.ChunkedArray) -> Outcome:
    expected_micros = expected.cast(pa.int64()).to_numpy()
    rows = min(len(found), len(expected_micros))
    differing = int((found[:rows] != expected_micros[:rows]).sum()) + abs(len(found) - len(expected_micros))
    return Outcome(rule, differing, len(expected_micros), _BUG, unit="users")


def _sum(table: pa.Table, column: str) -> int:
    return int(pc.sum(table[column]).as_py() or 0)


def _last(users: pa.Table) -> int:
    return int(pc.max(users["last_interaction"].cast(pa.int64())).as_py() or 0)


def _inside(table: pa.Table, column: str, window: Window) -> Outcome:
    at = table[column].cast(pa.int64()).to_numpy()
    outside = (at < window.start * 1_000_000) | (at >= window.end * 1_000_000)
    return Outcome(
        f"{column} is in the window", int(outside.sum()), len(at), "This is a bug in reading days; please report it."
    )
