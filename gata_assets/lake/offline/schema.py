"""The offline tables: a row per version of a ticket, and the same for the current versions. Both have these columns.

Columns are described once, in the public contract.
"""

from __future__ import annotations

from typing import Annotated, Any

import pandera.polars as pa
import polars as pl

from gata_assets.lake.schema import STATUSES
from gata_assets.lake.tables import PRIORITIES
from gata_assets.online.ticket import Ticket
from gata_assets.tables.declaration import read_model

Instant = Annotated[pl.Datetime, "us", "UTC"]
Texts = Annotated[pl.List, pl.String()]
_OTHERS = {
    "more": "A JSON object of all other fields of the export; without people where LAKE_PEOPLE is not as-is.",
    "ended_at": "When it was last solved or closed; null while it is open, and once it is deleted.",
    "ended_group_id": "The group that it was in then.",
    "ended_group": "The name of that group.",
    "routed_by": "What routed it, where the export says so.",
    "initial_group_id": "The group that it was first given, where the export says so.",
    "source_file": "The raw file.",
    "source_record": "The number of the record in it, from 1.",
}


def _described(name: str, *, is_nullable: bool = True, **checks: Any) -> Any:
    description = _OTHERS.get(name) or Ticket.model_fields[name].description
    return pa.Field(nullable=is_nullable, description=description, **checks)


def _given(name: str, **checks: Any) -> Any:
    return _described(name, is_nullable=False, **checks)


class OfflineTickets(pa.DataFrameModel):
    """Versions of tickets, by id and version_at."""

    id: pl.Int64 = _given("id", ge=0)
    version_at: Instant = _given("version_at")
    external_id: str = _described("external_id")
    created_at: Instant = _given("created_at")
    updated_at: Instant = _described("updated_at")
    solved_at: Instant = _described("solved_at")
    closed_at: Instant = _described("closed_at")
    assigned_at: Instant = _described("assigned_at")
    status: str = _described("status", isin=STATUSES)
    type: str = _described("type")
    priority: str = _described("priority", isin=PRIORITIES)
    channel: str = _described("channel")
    group_id: str = _described("group_id")
    group: str = _described("group")
    brand_id: str = _described("brand_id")
    organization_id: str = _described("organization_id")
    requester: str = _described("requester")
    assignee: str = _described("assignee")
    submitter: str = _described("submitter")
    tags: Texts = _given("tags")
    subject: str = _described("subject", str_length={"min_value": 1})
    body: str = _described("body", str_length={"min_value": 1})
    text: str = _given("text")
    language: str = _described("language")
    comments: pl.Int32 = _described("comments", ge=0)
    satisfaction: str = _described("satisfaction")
    reopens: pl.Int32 = _described("reopens", ge=0)
    replies: pl.Int32 = _described("replies", ge=0)
    first_reply_minutes: pl.Int32 = _described("first_reply_minutes", ge=0)
    full_resolution_minutes: pl.Int32 = _described("full_resolution_minutes", ge=0)
    first_reply_business_minutes: pl.Int32 = _described("first_reply_business_minutes", ge=0)
    full_resolution_business_minutes: pl.Int32 = _described("full_resolution_business_minutes", ge=0)
    first_reply_breached: bool = _described("first_reply_breached")
    resolution_breached: bool = _described("resolution_breached")
    is_public: bool = _described("is_public")
    problem_id: str = _described("problem_id")
    followup_ids: Texts = _given("followup_ids")
    custom_fields: str = _described("custom_fields")
    ended_at: Instant = _described("ended_at")
    ended_group_id: str = _described("ended_group_id")
    ended_group: str = _described("ended_group")
    routed_by: str = _described("routed_by")
    initial_group_id: str = _described("initial_group_id")
    more: str = _described("more")
    source_file: str = _described("source_file")
    source_record: pl.Int64 = _described("source_record", ge=1)

    class Config:
        """Exactly the model's columns, in its order."""

        name = "offline_tickets"
        strict = True
        ordered = True


OFFLINE = read_model(OfflineTickets)
