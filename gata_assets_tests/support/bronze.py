"""Rows of bronze from tickets and pages of an export, in plain Python: what the reader makes of raw files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from gata_assets.lake.schema import BRONZE

NESTED = (
    *("satisfaction", "tags", "via", "custom_fields", "followup_ids", "comments", "metric_set"),
    *("requester", "assignee", "submitter", "group"),
)
INSTANTS = ("generated_timestamp", "created_at", "updated_at", "solved_at", "closed_at")
LOADED_AT = datetime(2026, 6, 1, tzinfo=UTC)


def bronze(tickets: Iterable[Mapping[str, Any]], file: str = "raw/tickets/page.json") -> pl.DataFrame:
    """The rows of tickets; each is a row of the file."""
    rows = [_row(ticket, file, place) for place, ticket in enumerate(tickets, 1)]
    return pl.DataFrame(rows, schema=dict(BRONZE), orient="row")


def bronze_of_page(content: bytes, file: str = "raw/tickets/page.json") -> pl.DataFrame:
    """The rows of a page, with the lists beside the tickets joined."""
    page = json.loads(content)
    users, groups = ({item["id"]: item for item in page.get(name, ())} for name in ("users", "groups"))
    metrics = {item["ticket_id"]: item for item in page.get("metric_sets", ())}
    comments: dict[int, list[Any]] = {}
    for comment in page.get("comments", ()):
        comments.setdefault(comment["ticket_id"], []).append(comment)
    joined = []
    for ticket in page["tickets"]:
        beside = {"metric_set": metrics.get(ticket["id"]), "comments": comments.get(ticket["id"])}
        beside |= {name: users.get(ticket[f"{name}_id"]) for name in ("requester", "assignee", "submitter")}
        beside["group"] = groups.get(ticket["group_id"])
        joined.append({**ticket, **{name: value for name, value in beside.items() if value is not None}})
    return bronze(joined, file)


def _row(ticket: Mapping[str, Any], file: str, place: int) -> dict[str, Any]:
    given = dict(ticket)
    if "satisfaction_rating" in given:
        given["satisfaction"] = given.pop("satisfaction_rating")
    row: dict[str, Any] = {}
    for name, kind in BRONZE.items():
        value = given.pop(name, None)
        if value is None:
            row[name] = None
        elif name in INSTANTS:
            row[name] = instant(value)
        elif name in NESTED:
            row[name] = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        else:
            row[name] = str(value) if kind == pl.String() else value
    row["more"] = json.dumps(given, ensure_ascii=False, separators=(",", ":")) if given else None
    return {**row, "source_file": file, "source_record": place, "loaded_at": LOADED_AT}


def instant(value: str | int | datetime) -> datetime:
    if isinstance(value, datetime):
        return value
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int) else datetime.fromisoformat(value)
