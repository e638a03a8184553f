"""Events in all their forms: parsed, and refused by the name of what is missing. Pure, nothing is faked."""

from __future__ import annotations

import json
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.errors import EventError
from gata_assets.shop.events.event import ObjectEvent, parse_event
from gata_assets_tests.support.canaries import canary

SECRET = canary("a key of an event")
BUCKET = "my-shop-raw"
KEY = "ecommerce/customers-raw/year=2025/month=01/day=16/data 001+é%2F.parquet"
EVENT_ID = "17793124-05d4-b198-2fde-7ededc63b103"


def of_event_bridge(key: str = KEY, **other: object) -> dict[str, object]:
    """What S3 sends to EventBridge, without the fields that nobody reads."""
    detail = {"version": "0", "bucket": {"name": BUCKET}, "object": {"key": key, "size": 5}, "reason": "PutObject"}
    return {
        "version": "0",
        "id": EVENT_ID,
        "detail-type": "Object Created",
        "source": "aws.s3",
        "detail": detail,
        **other,
    }


def of_s3(key: str = KEY) -> dict[str, object]:
    """A notification of S3 to a queue."""
    in_url = quote_plus(key, safe="/")
    of_object = {"bucket": {"name": BUCKET}, "object": {"key": in_url, "size": 5}}
    return {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": of_object}]}


def test_the_plain_event_is_read() -> None:
    event = parse_event(json.dumps({"bucket": BUCKET, "key": KEY, "event_type": "manual"}))
    assert event == ObjectEvent(BUCKET, KEY, "manual", None)


def test_keys_of_event_bridge_are_taken_as_they_are() -> None:
    assert parse_event(json.dumps(of_event_bridge())) == ObjectEvent(BUCKET, KEY, "Object Created", EVENT_ID)


def test_keys_of_notifications_of_s3_are_decoded() -> None:
    assert parse_event(json.dumps(of_s3())) == ObjectEvent(BUCKET, KEY, "ObjectCreated:Put", None)


def test_the_event_of_a_schedule_names_its_rule() -> None:
    sent = {"id": EVENT_ID, "detail-type": "Scheduled Event", "source": "aws.events", "resources": [KEY], "detail": {}}
    event = parse_event(json.dumps(sent))
    assert event == ObjectEvent("aws.events", KEY, "Scheduled Event", EVENT_ID)
    assert parse_event(json.dumps({"event": event.as_fields()})) == event


@pytest.mark.parametrize("name", ["Body", "body"])
def test_an_event_in_a_message_of_sqs_is_read(name: str) -> None:
    wrapped = {"MessageId": "1", name: json.dumps(of_event_bridge())}
    assert parse_event(json.dumps(wrapped)).key == KEY
    assert parse_event(json.dumps({"Records": [wrapped]})).key == KEY


def test_a_dead_letter_is_read_again() -> None:
    letter = {"event": {"bucket": BUCKET, "key": KEY, "event_type": "manual", "id": EVENT_ID}, "error": "StoreError"}
    assert parse_event(json.dumps(letter)) == ObjectEvent(BUCKET, KEY, "manual", EVENT_ID)


@pytest.mark.parametrize("event_id", [None, 7, "", "a b", "x" * 65, "line\nbreak"])
def test_an_id_that_is_none_is_left_out(event_id: object) -> None:
    assert parse_event(json.dumps(of_event_bridge(id=event_id))).event_id is None


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        ({}, "`bucket` is missing"),
        ({"bucket": BUCKET}, "`key` is missing"),
        ({"bucket": BUCKET, "key": ""}, "`key` is not a text"),
        ({"bucket": BUCKET, "key": 7}, "`key` is not a text"),
        ({"bucket": BUCKET, "key": KEY, "event_type": None}, "`event_type` is not a text"),
        ({"bucket": BUCKET, "key": "k" * 1025}, "more than the 1,024 bytes"),
        ({"detail": SECRET}, "`detail` is not an object of JSON"),
        ({"detail": {}}, "`detail.bucket` is missing"),
        ({"detail": {"bucket": {}}}, "`detail.bucket.name` is missing"),
        ({"detail": {"bucket": {"name": BUCKET}}}, "`detail.object` is missing"),
        ({"detail": {"bucket": {"name": BUCKET}, "object": {}}}, "`detail.object.key` is missing"),
        ({"detail": {"bucket": {"name": BUCKET}, "object": {"key": KEY}}}, "`detail-type` is missing"),
        ({"detail-type": "Scheduled Event", "detail": {}}, r"`resources\[0\]` is missing"),
        ({"detail-type": "Scheduled Event", "detail": {}, "resources": []}, r"`resources\[0\]` is missing"),
        ({"detail-type": "Scheduled Event", "detail": {}, "resources": [7]}, r"`resources\[0\]` is not a text"),
        ({"Records": []}, "has 0 `Records`"),
        ({"Records": [{}, {}]}, "has 2 `Records`"),
        ({"Records": [SECRET]}, r"`Records\[0\]` is not an object"),
        ({"Records": [{}]}, r"`Records\[0\].s3` is missing"),
        ({"Body": SECRET}, "The message's body is not JSON"),
        ({"body": 7}, "`body` is not the text of a message"),
        ({"event": SECRET}, "`event` is not an object"),
    ],
)
def test_what_is_missing_is_named_and_nothing_else_shown(event: object, fault: str) -> None:
    with pytest.raises(EventError, match=fault) as caught:
        parse_event(json.dumps(event))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", f'"{SECRET}"', "[1]", "null", "[" * 100_000])
def test_what_is_no_object_of_json_is_refused(text: str) -> None:
    with pytest.raises(EventError, match="The event is not") as caught:
        parse_event(text)
    assert SECRET not in str(caught.value)


def test_an_event_in_too_many_messages_is_refused() -> None:
    text = json.dumps(of_event_bridge())
    for _ in range(10):
        text = json.dumps({"Body": text})
    with pytest.raises(EventError, match="`body` is not the text of a message"):
        parse_event(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["bucket", "key", "event", "detail", "object", "name", "Records", "s3", "Body", "id"]),
            inner,
        )
    ),
)


@given(json_values)
def test_anything_is_an_event_or_an_error_of_ours(value: object) -> None:
    try:
        event = parse_event(json.dumps(value))
    except EventError:
        return
    assert event.bucket and event.key


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200), st.sampled_from(["bridge", "s3"]))
def test_every_key_comes_through_each_form(key: str, form: str) -> None:
    event = parse_event(json.dumps(of_event_bridge(key) if form == "bridge" else of_s3(key)))
    assert event.key == key
    assert parse_event(json.dumps({"event": event.as_fields()})).key == key
