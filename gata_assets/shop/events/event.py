"""Notices that an object was stored, or that a time has come: of EventBridge, of S3, of a dead-letter queue, by hand.

Pure. What an event is about, in whatever form it came. Which stage processes it belongs to `routing`. Errors name the
missing field, and never show what an event contains.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus

from gata_assets.errors import EventError

MANUAL = "manual"
# The bucket of an event of a schedule, as EventBridge names its source; its key is the schedule's rule.
SCHEDULE = "aws.events"
_SCHEDULED = "Scheduled Event"
# An event in a message of SQS, in an event of Lambda: no more than that.
_MOST_WRAPPINGS = 3
_EVENT_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MOST_KEY_BYTES = 1024


@dataclass(frozen=True)
class ObjectEvent:
    """An object that was stored: its bucket, its key as S3 has it, what happened, and the event's id if it has one.

    Of an event of a schedule the bucket is SCHEDULE, and the key names the schedule.
    """

    bucket: str
    key: str
    event_type: str = MANUAL
    event_id: str | None = None

    def as_fields(self) -> dict[str, str]:
        """The event in the form that people write; `parse_event` reads it again."""
        found = {"bucket": self.bucket, "key": self.key, "event_type": self.event_type}
        return found | ({"id": self.event_id} if self.event_id else {})


def parse_event(text: str) -> ObjectEvent:
    """Read an event.

    Taken are `{"bucket", "key", "event_type"}`, EventBridge's events of objects and schedules, the notification of S3
    with one record, a message of the dead-letter queue (`{"event": …}`), and any of these as the body of a message of
    SQS.

    Raises:
        EventError: If it is none of them.
    """
    return _read(_object(text, "the event"), _MOST_WRAPPINGS)


def _read(found: Mapping[str, object], wrappings: int) -> ObjectEvent:
    body = next((found[name] for name in ("Body", "body") if name in found), None)
    if body is not None:
        if not isinstance(body, str) or not wrappings:
            raise EventError("The event's `body` is not the text of a message.")
        return _read(_object(body, "the message's body"), wrappings - 1)
    if "event" in found:
        event = _mapping(found, "event")
        if not wrappings:
            raise EventError("The event is in too many messages.")
        return _read(event, wrappings - 1)
    if "Records" in found:
        return _of_records(found["Records"], wrappings)
    if "detail" in found:
        return _of_event_bridge(found)
    event_type = _text(found, "event_type") if "event_type" in found else MANUAL
    return _event(_text(found, "bucket"), _text(found, "key"), event_type, found.get("id"))


def _of_event_bridge(found: Mapping[str, object]) -> ObjectEvent:
    """EventBridge has keys as they are. The event of a schedule names its rule, and has no detail."""
    if found.get("detail-type") == _SCHEDULED:
        rules = found.get("resources")
        rule = {"resources[0]": rules[0]} if isinstance(rules, list) and rules else {}
        return _event(SCHEDULE, _text(rule, "resources[0]"), _SCHEDULED, found.get("id"))
    detail = _mapping(found, "detail")
    bucket = _text(_mapping(detail, "bucket", "detail."), "name", "detail.bucket.")
    key = _text(_mapping(detail, "object", "detail."), "key", "detail.object.")
    return _event(bucket, key, _text(found, "detail-type"), found.get("id"))


def _of_records(records: object, wrappings: int) -> ObjectEvent:
    """A notification of S3 has keys as in a URL, with + for a space."""
    if not isinstance(records, list) or len(records) != 1:
        count = len(records) if isinstance(records, list) else 0
        raise EventError(f"The event has {count} `Records`, and one is needed: send one event for each.")
    record = records[0]
    if not isinstance(record, Mapping):
        raise EventError("The event's `Records[0]` is not an object of JSON.")
    if "body" in record or "Body" in record:
        return _read(record, wrappings)
    of_s3 = _mapping(record, "s3", "Records[0].")
    bucket = _text(_mapping(of_s3, "bucket", "Records[0].s3."), "name", "Records[0].s3.bucket.")
    key = _text(_mapping(of_s3, "object", "Records[0].s3."), "key", "Records[0].s3.object.")
    return _event(bucket, unquote_plus(key), _text(record, "eventName", "Records[0]."), None)


def _event(bucket: str, key: str, event_type: str, event_id: object) -> ObjectEvent:
    if len(key.encode(errors="replace")) > _MOST_KEY_BYTES:
        raise EventError(f"The event's key has more than the {_MOST_KEY_BYTES:,} bytes that S3 allows.")
    is_id = isinstance(event_id, str) and _EVENT_ID.fullmatch(event_id)
    return ObjectEvent(bucket, key, event_type, str(event_id) if is_id else None)


def _object(text: str, name: str) -> Mapping[str, object]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise EventError(f"{name.capitalize()} is not JSON.") from None
    if not isinstance(found, dict):
        raise EventError(f"{name.capitalize()} is not an object of JSON.")
    return found


def _mapping(found: Mapping[str, object], name: str, path: str = "") -> Mapping[str, object]:
    value = found.get(name)
    if not isinstance(value, Mapping):
        raise EventError(_fault(f"{path}{name}", "an object of JSON", is_missing=name not in found))
    return value


def _text(found: Mapping[str, object], name: str, path: str = "") -> str:
    value = found.get(name)
    if not isinstance(value, str) or not value:
        raise EventError(_fault(f"{path}{name}", "a text", is_missing=name not in found))
    return value


def _fault(path: str, kind: str, *, is_missing: bool) -> str:
    fault = "is missing" if is_missing else f"is not {kind}"
    return f'The event\'s `{path}` {fault}. An event is {{"bucket": …, "key": …, "event_type": …}}, or EventBridge\'s.'
