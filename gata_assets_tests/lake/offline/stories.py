"""Offline tickets of a few rows, for tests: merged as the curation merges them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from gata_assets.curation.curated.merge import MergedRows
from gata_assets.lake.offline.merge import CURRENT_FILE, offline_merge
from gata_assets.lake.offline.rules import OfflineRules
from gata_assets_tests.support.bronze import bronze

DAY = date(2026, 1, 1)
CREATED = "2026-01-01T00:00:00Z"
T0 = datetime(2026, 1, 1, tzinfo=UTC)
TICKETS_FILE = "tickets.parquet"


def ticket(**values: Any) -> dict[str, Any]:
    return {"id": 1, "created_at": CREATED, "updated_at": CREATED, "generated_timestamp": 1767225600, **values}


def merged(tickets: Iterable[Mapping[str, Any]], rules: OfflineRules | None = None) -> MergedRows:
    return offline_merge(rules or OfflineRules())({DAY: [bronze(tickets).to_arrow()]})[DAY]


def versions(tickets: Iterable[Mapping[str, Any]], rules: OfflineRules | None = None) -> list[dict[str, Any]]:
    return rows_of(merged(tickets, rules), TICKETS_FILE)


def only(rules: OfflineRules | None = None, **values: Any) -> dict[str, Any]:
    [row] = versions([ticket(**values)], rules)
    return row


def rows_of(found: MergedRows, file: str = CURRENT_FILE) -> list[dict[str, Any]]:
    return pl.DataFrame(pl.from_arrow(found.files[file])).to_dicts()
