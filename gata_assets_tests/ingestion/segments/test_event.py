"""Segments as bytes, and payloads as lines. Pure; nothing is faked."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gata_assets.errors import DamagedTableError
from gata_assets.ingestion.segments.coding.segments import decode_segment, encode_segment
from gata_assets.ingestion.segments.event import (
    MAX_PAYLOAD_BYTES,
    Event,
    Segment,
    is_stream_name,
)
from gata_assets.ingestion.segments.lines import LineForm, line_of
from gata_assets.ingestion.segments.rejected import RejectedMessage
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.event_worlds import PARTITION, START, STREAM, event, payload_of, segment_of

WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
EVENTS = st.lists(
    st.builds(
        lambda tenant, payload, micros, request: replace(
            event(0, tenant=tenant),
            payload=payload,
            received_at=START + timedelta(microseconds=micros),
            request_id=request,
        ),
        st.sampled_from(["acme", "globex", "0"]),
        st.binary(max_size=40),
        st.integers(0, 10**15),
        WORDS,
    ),
    max_size=5,
)


@settings(max_examples=50)
@given(EVENTS, st.integers(0, 2**62), st.integers(1, 100))
def test_a_segment_is_read_as_it_was_written(events: list[Event], first: int, gap: int) -> None:
    segment = segment_of(events, first=first, end=first + len(events) + gap, stream=PARTITION)
    assert decode_segment(encode_segment(segment), "here") == segment


REJECTED = (
    RejectedMessage(7, "no_json", b"acme", b"{", (("a", b"1"), ("a", None)), START),
    RejectedMessage(9, "no_value", None, None, (), START + timedelta(microseconds=1)),
)


def test_rejected_messages_are_in_the_same_bytes_as_events() -> None:
    segment = replace(segment_of([event(0), event(1)], first=5, end=10, stream=PARTITION), rejected=REJECTED)
    content = encode_segment(segment)
    assert decode_segment(content, "here") == segment
    for at in range(content.index(b"tenant") + 200, len(content)):
        changed = bytearray(content)
        changed[at] ^= 0x41
        with pytest.raises(DamagedTableError):
            decode_segment(bytes(changed), "here")
    # Its offset is that of an event, or not of the range.
    for offset in (5, 10):
        with pytest.raises(ValueError, match="not ascending"):
            encode_segment(replace(segment, rejected=(replace(REJECTED[0], offset=offset),)))


def test_the_same_segment_has_the_same_bytes() -> None:
    segment = segment_of([event(number) for number in range(100)])
    assert encode_segment(segment) == encode_segment(replace(segment, events=tuple(segment.events)))


def test_any_changed_or_missing_byte_is_noticed() -> None:
    content = encode_segment(segment_of([event(0), event(1)]))
    whole = decode_segment(content, "here")
    # The schema ends with its last column; its padding has no meaning, and all that follows is covered by the digest.
    schema_ends = content.index(b"tenant") + 200
    for at in range(len(content)):
        changed = bytearray(content)
        changed[at] ^= 0x41
        with suppress(DamagedTableError) if at < schema_ends else pytest.raises(DamagedTableError):
            assert decode_segment(bytes(changed), "here") == whole
    for word in (b"http/", b"first"):
        with pytest.raises(DamagedTableError, match="here is no complete segment"):
            decode_segment(content.replace(word, b"x" * len(word)), "here")
    for at in range(len(content)):
        with pytest.raises(DamagedTableError):
            decode_segment(content[:at], "here")


@pytest.mark.parametrize("content", [b"", b"ARROW1", b"\xff" * 100, b'{"a": 1}'])
def test_other_bytes_are_no_segment(content: bytes) -> None:
    with pytest.raises(DamagedTableError):
        decode_segment(content, "here")


@pytest.mark.parametrize(
    "changed",
    [
        {"tenant": "../acme"},
        {"tenant": "training"},
        {"table": "a/b"},
        {"payload": b"x" * (MAX_PAYLOAD_BYTES + 1)},
        {"received_at": datetime(2026, 1, 1)},
        {"received_at": START.astimezone(timezone(timedelta(hours=1)))},
        {"source": ""},
        {"request_id": "a\nb"},
        {"request_id": "x" * 401},
    ],
    ids=str,
)
def test_an_event_that_cannot_be_stored_is_refused_without_its_payload(changed: dict[str, object]) -> None:
    secret = canary("payload")
    wrong = replace(event(0), **{"payload": secret.encode(), **changed})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="An event") as refused:
        encode_segment(segment_of([wrong]))
    assert secret not in str(refused.value)


@pytest.mark.parametrize(
    "segment",
    [
        Segment(STREAM, 0, 0, ()),
        Segment(STREAM, -1, 1, ()),
        Segment(STREAM, 0, 1, (event(0).at(1),)),
        Segment(STREAM, 1, 3, (event(0).at(0),)),
        Segment(STREAM, 0, 3, (event(0).at(1), event(1).at(1))),
        Segment("http/../../x", 0, 1, ()),
    ],
    ids=repr,
)
def test_a_segment_has_ascending_offsets_of_its_range(segment: Segment) -> None:
    with pytest.raises(ValueError, match="A segment"):
        encode_segment(segment)


def test_streams_are_of_a_writer_or_a_partition() -> None:
    assert all(map(is_stream_name, [STREAM, PARTITION, "kafka/a.b_c-d/12"]))
    assert not any(map(is_stream_name, ["http", "http/a", "http/00000000000000AA", "kafka/t/01", "kafka/a/b/0", "x/y"]))


@pytest.mark.parametrize(
    ("payload", "line", "form"),
    [
        (b'{"a": 1}', b'{"a": 1}', LineForm.OBJECT),
        (b' {"a" : "\\n"} ', b' {"a" : "\\n"} ', LineForm.OBJECT),
        (b'{\r\n  "a":\n"x \\" y"\n}\n', b'{    "a": "x \\" y" } ', LineForm.OBJECT),
        # Not valid, and yet one line: the reader says why.
        (b'{"a": }', b'{"a": }', LineForm.OBJECT),
        (b'{"a": "\n"}', b'"{\\"a\\": \\"\\n\\"}"', LineForm.TEXT),
        (b"", b'""', LineForm.TEXT),
        (b"\n", b'"\\n"', LineForm.TEXT),
        (b"[1]", b'"[1]"', LineForm.TEXT),
        (b"{\\rtf1 x}", b'"{\\\\rtf1 x}"', LineForm.TEXT),
        (b"PAR1", b'"PAR1"', LineForm.TEXT),
        (b'\xef\xbb\xbf{"a": 1}', '"\ufeff{\\"a\\": 1}"'.encode(), LineForm.TEXT),
        ("{}".encode("utf-16-le"), b'"{\\u0000}\\u0000"', LineForm.TEXT),
        (b"\x00\x00\x00\x00\x2a\xff", b'"AAAAACr/"', LineForm.BASE64),
    ],
    ids=repr,
)
def test_each_payload_becomes_one_line(payload: bytes, line: bytes, form: LineForm) -> None:
    assert line_of(payload) == (line, form)


@settings(max_examples=60)
@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
def test_no_payload_becomes_several_lines_or_a_blank_one_and_each_can_be_read_back(payload: bytes) -> None:
    line, form = line_of(payload)
    assert b"\n" not in line
    assert line.strip()
    # Of objects, line breaks alone are replaced.
    expected = payload.replace(b"\r", b" ").replace(b"\n", b" ") if form == "object" else payload
    assert payload_of(line, form) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=5), JSON, max_size=3), st.sampled_from([None, 0, 2]), st.booleans())
def test_an_object_on_several_lines_keeps_its_values(
    row: dict[str, object], indent: int | None, is_ascii: bool
) -> None:
    payload = json.dumps(row, indent=indent, ensure_ascii=is_ascii).encode()
    line, form = line_of(payload)
    assert form is LineForm.OBJECT
    assert json.loads(line) == row


def test_a_text_that_would_be_too_long_for_a_line_is_in_base64() -> None:
    payload = b"\x01" * 3_000_000
    line, form = line_of(payload)
    assert (form, base64.b64decode(json.loads(line))) == (LineForm.BASE64, payload)
