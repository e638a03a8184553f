"""Raw tickets of a helpdesk's export, and the rows of bronze that they become.

Declared after Zendesk's incremental export; other helpdesks fit by a mapping. Nested values are kept as JSON text, as
they came. What files may leave out is nullable: only the ticket and its creation identify a version's place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import pandera.polars as pa
import polars as pl

from gata_assets.lake.tables import PRIORITIES, RAW_TICKETS, TICKETS

Instant = Annotated[pl.Datetime, "us", "UTC"]
DELETED, SOLVED, CLOSED = "deleted", "solved", "closed"
# A ticket that somebody still works on.
UNSOLVED = ("new", "open", "pending", "hold")
STATUSES = (*UNSOLVED, SOLVED, CLOSED, DELETED)

# How files of JSON are read: nested values as JSON text, unknown fields together, pages with the lists beside them,
# valid rows as Parquet. These keys of metadata are those of the reader; all others are declared where they belong.
_JSON: Mapping[str, Any] = {"json": True}
# As helpdesks write instants, and as the ticket table has them.
_INSTANTS: dict[str, Any] = {"instants": ["iso8601", "epoch_s"]}
_READING: Mapping[str, Any] = {
    "more": "more",
    "staged_as": "parquet",
    "pages": {
        "rows": TICKETS,
        "beside": [
            {"list": "metric_sets", "key": "ticket_id", "of": "id", "column": "metric_set"},
            {"list": "groups", "key": "id", "of": "group_id", "column": "group"},
            {"list": "users", "key": "id", "of": "requester_id", "column": "requester"},
            {"list": "users", "key": "id", "of": "assignee_id", "column": "assignee"},
            {"list": "users", "key": "id", "of": "submitter_id", "column": "submitter"},
            {"list": "comments", "key": "ticket_id", "of": "id", "column": "comments", "many": True},
        ],
    },
}


def _text(description: str, **metadata: Any) -> Any:
    return pa.Field(nullable=True, description=description, metadata=metadata)


def _nested(description: str, **metadata: Any) -> Any:
    return pa.Field(nullable=True, description=f"{description} (JSON)", metadata={**_JSON, **metadata})


class RawTickets(pa.DataFrameModel):
    """Versions of tickets as a helpdesk exports them."""

    id: pl.Int64 = pa.Field(ge=0, description="The ticket.")
    generated_timestamp: Instant = pa.Field(
        nullable=True,
        description="When the helpdesk made this version: automations leave updated_at as it was.",
        metadata={"instants": ["epoch_s", "iso8601"]},
    )
    created_at: Instant = pa.Field(
        description="When the ticket was created; it never changes.",
        metadata={"aliases": ["created"], **_INSTANTS},
    )
    updated_at: Instant = pa.Field(nullable=True, description="When a ticket event last changed it.")
    solved_at: Instant = pa.Field(nullable=True, description="When it was last solved.", metadata=_INSTANTS)
    closed_at: Instant = pa.Field(
        nullable=True,
        description="When it was closed for good; nothing, or 0, while it is not.",
        metadata={"aliases": ["closed"], **_INSTANTS},
    )
    external_id: str = _text("Its id in another system.")
    type: str = _text("question, incident, problem or task.")
    subject: str = _text("The subject.")
    raw_subject: str = _text("The subject before placeholders were replaced.")
    description: str = _text("The first message: plain text or HTML.", aliases=["body", "text", "processed_data"])
    description_2: str = _text("A second text, where a file has several (`--text-column`).")
    description_3: str = _text("A third text.")
    description_4: str = _text("A fourth text.")
    priority: str = pa.Field(
        nullable=True, isin=PRIORITIES, description="Its priority.", metadata={"words": {"medium": "normal"}}
    )
    status: str = pa.Field(nullable=True, isin=STATUSES, description="Its state.")
    recipient: str = _text("The address that it was written to.", personal=True)
    channel: str = _text("How it came, where `via` does not say.", aliases=["via_channel"])
    group_name: str = _text("The name of its group.")
    label: str = _text(
        "What it is to be labeled by, where a file says so: a group's number or name.",
        aliases=["closed_group_id_mapped"],
    )
    routed_by: str = _text("What routed it, where a file says so.")
    initial_group_id: str = _text("The group that it was first given, where a file says so.")
    requester_id: str = _text("Who asked.", personal=True, subject=True)
    submitter_id: str = _text("Who wrote it down.", personal=True)
    assignee_id: str = _text("Who answers.", personal=True)
    organization_id: str = _text("The requester's organization.")
    group_id: str = _text("The group that it is assigned to.")
    brand_id: str = _text("Its brand.")
    problem_id: str = _text("The problem ticket that an incident belongs to.")
    is_public: bool = pa.Field(nullable=True, description="Whether the first message is public.")
    satisfaction: str = _nested("The satisfaction rating, or its score", aliases=["satisfaction_rating"])
    tags: str = _nested("Its tags")
    via: str = _nested("The channel and source")
    custom_fields: str = _nested("A list of id and value")
    followup_ids: str = _nested("Tickets that follow it up")
    comments: str = _nested("Its comments")
    metric_set: str = _nested("Its metrics")
    requester: str = _nested("The user who asked", personal=True)
    assignee: str = _nested("The user who answers", personal=True)
    submitter: str = _nested("The user who wrote it down", personal=True)
    group: str = _nested("Its group")
    more: str = _nested("All other fields")

    class Config:
        metadata = {"table": TICKETS, "event_time": "created_at", "partition_by": "day", **_READING}


# Where a row of bronze is from.
PLACES: Mapping[str, pl.DataType] = {
    "source_file": pl.String(),
    "source_record": pl.Int64(),
    "loaded_at": pl.Datetime("us", "UTC"),
}

# The columns of bronze.
BRONZE: Mapping[str, pl.DataType] = RAW_TICKETS.staged_schema
