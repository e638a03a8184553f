"""The checks of the lake's assets beside those of every curated table: their names and descriptions."""

from __future__ import annotations

from collections.abc import Mapping

EACH_VERSION_IS_THERE_ONCE = "each_version_is_there_once"
VERSIONS_ARE_IN_ORDER = "versions_are_in_order"
SLICE_IS_COMPLETE = "redis_has_the_tickets_of_the_lake"
SLICE_IS_FRESH = "published_tickets_are_fresh"
SLICE_IS_IN_ORDER = "published_tickets_are_in_order"

OFFLINE_CHECKS: Mapping[str, str] = {
    EACH_VERSION_IS_THERE_ONCE: "No version of a ticket is there twice: each pair of id and version_at once.",
    VERSIONS_ARE_IN_ORDER: "Rows are by id, and those of a ticket by version_at, so that the last is its newest.",
}
ONLINE_CHECKS: Mapping[str, str] = {
    SLICE_IS_COMPLETE: "Redis has as many tickets as Parquet has, each with its document, and no other.",
    SLICE_IS_FRESH: "What Redis has is of the newest versions in the lake, and expires later.",
    SLICE_IS_IN_ORDER: "Redis lists the newest version first.",
}
