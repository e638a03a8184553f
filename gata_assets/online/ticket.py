"""A ticket as applications get it: the fields of the lake's `Ticket`, with types.

What a later release adds is ignored; what a version was written without is None.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Ticket(Struct, frozen=True, kw_only=True):
    """The newest version of a ticket; instants in UTC, durations in minutes.

    Fields are as in the lake's contract. Requester, assignee, submitter and organization are tokens unless the lake
    keeps people as they are.
    """

    id: int
    version_at: datetime
    created_at: datetime
    external_id: str | None = None
    updated_at: datetime | None = None
    status: str | None = None
    type: str | None = None
    priority: str | None = None
    channel: str | None = None
    group_id: int | str | None = None
    group: str | None = None
    brand_id: int | str | None = None
    organization_id: int | str | None = None
    requester: int | str | None = None
    assignee: int | str | None = None
    submitter: int | str | None = None
    tags: tuple[str, ...] = ()
    subject: str | None = None
    body: str | None = None
    text: str | None = None
    language: str | None = None
    comments: int | None = None
    satisfaction: str | None = None
    reopens: int | None = None
    replies: int | None = None
    solved_at: datetime | None = None
    closed_at: datetime | None = None
    assigned_at: datetime | None = None
    first_reply_minutes: int | None = None
    full_resolution_minutes: int | None = None
    first_reply_business_minutes: int | None = None
    full_resolution_business_minutes: int | None = None
    first_reply_breached: bool | None = None
    resolution_breached: bool | None = None
    is_public: bool | None = None
    problem_id: int | str | None = None
    followup_ids: tuple[int | str, ...] = ()
    custom_fields: str | None = None
