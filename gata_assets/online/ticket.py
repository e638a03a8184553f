"""The public contract of a ticket: what applications read, whether from Redis or from Parquet.

Pydantic alone, so that an application imports it cheaply. The lake's offline tables have the same columns.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Status = Literal["new", "open", "pending", "hold", "solved", "closed", "deleted"]
Priority = Literal["low", "normal", "high", "urgent"]
Minutes = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]


class Ticket(BaseModel):
    """One version of a ticket; instants are UTC."""

    # What a later release adds is ignored; errors name fields and no value.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    id: int = Field(description="The ticket.")
    version_at: AwareDatetime = Field(description="When the helpdesk made this version.")
    external_id: str | None = Field(None, description="The ticket's id in another system.")
    created_at: AwareDatetime = Field(description="When it was created.")
    updated_at: AwareDatetime | None = Field(None, description="When a ticket event last changed it.")
    solved_at: AwareDatetime | None = Field(None, description="When it was last solved.")
    closed_at: AwareDatetime | None = Field(None, description="When it was closed for good.")
    assigned_at: AwareDatetime | None = Field(None, description="When it was last assigned.")
    status: Status | None = Field(None, description="Its state.")
    type: str | None = Field(None, description="Its type, such as question or incident.")
    priority: Priority | None = Field(None, description="Its priority.")
    channel: str | None = Field(None, description="How it came, such as email or web.")
    group_id: str | None = Field(None, description="The group that it is assigned to.")
    group: str | None = Field(None, description="The name of that group.")
    brand_id: str | None = Field(None, description="Its brand.")
    organization_id: str | None = Field(None, description="The requester's organization, as LAKE_PEOPLE says.")
    requester: str | None = Field(None, description="Who asked, as LAKE_PEOPLE says: a token, the id, or nothing.")
    assignee: str | None = Field(None, description="Who answers, likewise.")
    submitter: str | None = Field(None, description="Who wrote it down, likewise.")
    tags: tuple[str, ...] = Field((), description="Its tags.")
    subject: str | None = Field(None, description="The subject in one line: without markup and invisible characters.")
    body: str | None = Field(None, description="The first message as plain text with its line breaks.")
    text: str = Field("", description="Subject and body in lower case, reduced to [a-z0-9?.! ].")
    language: str | None = Field(None, description="The language of the text by ISO 639, where LAKE_LANGUAGE asks.")
    comments: Count | None = Field(None, description="How many comments it has; null where the export has none.")
    satisfaction: str | None = Field(None, description="The score of the satisfaction rating.")
    reopens: Count | None = Field(None, description="How often it was opened again.")
    replies: Count | None = Field(None, description="How many public replies it has.")
    first_reply_minutes: Minutes | None = Field(None, description="Calendar minutes up to the first reply.")
    full_resolution_minutes: Minutes | None = Field(None, description="Calendar minutes up to the last solving.")
    first_reply_business_minutes: Minutes | None = Field(None, description="Business minutes up to the first reply.")
    full_resolution_business_minutes: Minutes | None = Field(
        None, description="Business minutes up to the last solving."
    )
    first_reply_breached: bool | None = Field(
        None, description="Whether the first reply was later than the target of its priority; null: not judged."
    )
    resolution_breached: bool | None = Field(
        None, description="Whether it was solved later than the target of its priority; null: not judged."
    )
    is_public: bool | None = Field(None, description="Whether the first message is public.")
    problem_id: str | None = Field(None, description="The problem ticket that an incident belongs to.")
    followup_ids: tuple[str, ...] = Field((), description="Tickets that follow it up.")
    custom_fields: str | None = Field(None, description="A JSON object: values of custom fields by id, as they came.")


def ticket_json_schema() -> dict[str, Any]:
    """The JSON Schema of a ticket as it is written (draft 2020-12)."""
    schema = Ticket.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
