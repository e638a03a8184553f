"""What becomes of tickets: their versions from creation on, as a helpdesk exports them. Pure.

Each ticket has a generator of its own, so that it is the same whatever others there are. Kinds are dealt in turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from numpy.random import Generator, default_rng

from gata_assets.sandbox.lake.mails import SUBJECTS, WRITERS

# What happens to a ticket, in turn.
SOLVED, OPEN, REOPENED, MERGED, DELETED, SYSTEM_UPDATE = (
    "solved",
    "open",
    "reopened",
    "merged",
    "deleted",
    "system_update",
)
KINDS = (SOLVED, SOLVED, OPEN, REOPENED, SOLVED, SYSTEM_UPDATE, MERGED, SOLVED, SOLVED, DELETED)
GROUPS = {360001: "Billing", 360002: "Technical", 360003: "Returns & refunds", 360004: "Accounts"}
AGENTS = tuple(range(9001, 9021))
_PRIORITIES = ("low", "normal", "high", "urgent", None)
_CHANNELS = ("email", "web", "chat", "api")
_DAY_MINUTES = 24 * 60
Ticket = dict[str, Any]


@dataclass(frozen=True)
class LakeParameters:
    """The sample export: how many tickets, created over which days; `sentences` of the first message on average.

    `first_requester` is the lowest ID of who asks.
    """

    seed: int = 1
    tickets: int = 1000
    first_day: date = date(2026, 1, 1)
    days: int = 30
    sentences: int = 12
    first_requester: int = 100_000

    @property
    def requesters(self) -> range:
        """The IDs of who may ask."""
        return range(self.first_requester, self.first_requester + max(self.tickets // 3, 1))


def versions_of(parameters: LakeParameters, number: int) -> list[Ticket]:
    """The versions of a ticket in the order in which they were made, each with its comments and metrics."""
    rng = default_rng([parameters.seed, 20, number])
    midnight = datetime.combine(parameters.first_day, datetime.min.time(), UTC)
    created_at = midnight + timedelta(minutes=int(rng.integers(0, parameters.days * _DAY_MINUTES)))
    kind = KINDS[number % len(KINDS)]
    ticket = _first_version(rng, parameters, number, created_at)
    versions = [ticket]
    replied_at = created_at + timedelta(minutes=int(rng.integers(5, 600)))
    solved_at = replied_at + timedelta(minutes=int(rng.integers(30, 4000)))
    versions.append(_replied(rng, ticket, replied_at))
    if kind == OPEN:
        return versions
    if kind == DELETED:
        texts = dict.fromkeys(("subject", "raw_subject", "description"), "SCRUBBED")
        gone = _changed(versions[-1], solved_at, status="deleted", comments=[], tags=[])
        return [*versions, {**gone, **texts}]
    versions.append(_solved(versions[-1], solved_at))
    if kind == REOPENED:
        reopened = _changed(versions[-1], solved_at + timedelta(hours=5), status="open")
        reopened["metric_set"] = {**reopened["metric_set"], "reopens": 1}
        versions += [reopened, _solved(reopened, solved_at + timedelta(hours=29))]
    if kind == MERGED:
        via = {"channel": "web", "source": {"from": {"ticket_id": number + 1}, "to": {}, "rel": "merge"}}
        tags = [*ticket["tags"], "closed_by_merge"]
        versions.append(_changed(versions[-1], solved_at + timedelta(minutes=1), status="closed", via=via, tags=tags))
    else:
        versions.append(_changed(versions[-1], solved_at + timedelta(days=4), status="closed"))
    if kind == SYSTEM_UPDATE:
        # An automation changes the ticket without an event: updated_at stays.
        versions.append(_changed(versions[-1], solved_at + timedelta(days=5), is_event=False, priority="low"))
    return versions


def all_versions(parameters: LakeParameters) -> Iterator[Ticket]:
    """The versions of all tickets, ticket by ticket."""
    for number in range(1, parameters.tickets + 1):
        yield from versions_of(parameters, number)


def _first_version(rng: Generator, parameters: LakeParameters, number: int, created_at: datetime) -> Ticket:
    requester = int(rng.integers(parameters.requesters.start, parameters.requesters.stop))
    sentences = int(rng.integers(1, 2 * parameters.sentences))
    subject = str(rng.choice(SUBJECTS)).format(number=number)
    body = WRITERS[int(rng.integers(0, len(WRITERS)))](rng, number, sentences)
    group = int(rng.choice(list(GROUPS)))
    value: Any = [None, "yes", 7, 7.5, True, ["a", "b"]][int(rng.integers(0, 6))]
    fields = [{"id": 114_100_000_000 + place, "value": value if place == 3 else None} for place in range(6)]
    return {
        "url": f"https://example.zendesk.com/api/v2/tickets/{number}.json",
        "id": number,
        "external_id": None,
        "via": {"channel": str(rng.choice(_CHANNELS)), "source": {"from": {}, "to": {}, "rel": None}},
        "created_at": _iso(created_at),
        "updated_at": _iso(created_at),
        "generated_timestamp": int(created_at.timestamp()) + 1,
        "type": "question" if rng.random() < 0.5 else None,
        "subject": subject,
        "raw_subject": subject,
        "description": body,
        "priority": _PRIORITIES[int(rng.integers(0, len(_PRIORITIES)))],
        "status": "new",
        "recipient": None,
        "requester_id": requester,
        "submitter_id": requester,
        "assignee_id": None,
        "organization_id": int(rng.integers(50, 90)) if rng.random() < 0.7 else None,
        "group_id": group,
        "collaborator_ids": [],
        "follower_ids": [],
        "email_cc_ids": [],
        "forum_topic_id": None,
        "problem_id": None,
        "has_incidents": False,
        "is_public": True,
        "due_at": None,
        "tags": ["sample", str(rng.choice(["billing", "vip", "mobile"]))],
        "custom_fields": fields,
        "satisfaction_rating": {"score": "unoffered"},
        "sharing_agreement_ids": [],
        "custom_status_id": 1,
        "fields": fields,
        "followup_ids": [],
        "ticket_form_id": 360_000,
        "brand_id": 360_100,
        "allow_channelback": False,
        "allow_attachments": True,
        "from_messaging_channel": False,
        "comments": [_comment(number, 1, requester, created_at, body)],
        "metric_set": _metrics(number),
    }


def _replied(rng: Generator, ticket: Ticket, at: datetime) -> Ticket:
    agent = int(rng.choice(AGENTS))
    number, created_at = ticket["id"], datetime.fromisoformat(ticket["created_at"])
    note = _comment(number, 2, agent, at - timedelta(minutes=1), "<p>Internal note</p>") | {"public": False}
    reply = _comment(number, 3, agent, at, "<p>Hello,</p><p>we look into it.</p>")
    found = _changed(ticket, at, status="open", assignee_id=agent, comments=[*ticket["comments"], note, reply])
    minutes = int((at - created_at).total_seconds()) // 60
    found["metric_set"] = {
        **ticket["metric_set"],
        "replies": 1,
        "assigned_at": _iso(at),
        "reply_time_in_minutes": {"calendar": minutes, "business": minutes // 3},
    }
    return found


def _solved(ticket: Ticket, at: datetime) -> Ticket:
    minutes = int((at - datetime.fromisoformat(ticket["created_at"])).total_seconds()) // 60
    found = _changed(ticket, at, status="solved", satisfaction_rating={"score": "good"})
    times = {"calendar": minutes, "business": minutes // 3}
    found["metric_set"] = {**ticket["metric_set"], "solved_at": _iso(at), "full_resolution_time_in_minutes": times}
    return found


def _changed(ticket: Ticket, at: datetime, *, is_event: bool = True, **values: Any) -> Ticket:
    event = {"updated_at": _iso(at)} if is_event else {}
    return {**ticket, **event, "generated_timestamp": int(at.timestamp()) + 1, **values}


def _comment(ticket: int, place: int, author: int, at: datetime, body: str) -> Ticket:
    return {
        "id": ticket * 100 + place,
        "ticket_id": ticket,
        "type": "Comment",
        "author_id": author,
        "body": body[:200],
        "public": True,
        "created_at": _iso(at),
    }


def _metrics(ticket: int) -> Ticket:
    times = {"calendar": None, "business": None}
    return {
        "id": ticket + 1_000_000,
        "ticket_id": ticket,
        "reopens": 0,
        "replies": 0,
        "solved_at": None,
        "assigned_at": None,
        "reply_time_in_minutes": times,
        "full_resolution_time_in_minutes": times,
    }


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
