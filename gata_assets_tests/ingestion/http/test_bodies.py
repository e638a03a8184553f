"""Rows of JSON as lines, and the file of a multipart body however it is cut. Pure but for a file in memory."""

from __future__ import annotations

import json
from hashlib import sha256
from io import BytesIO
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.ingestion.http.bodies.json_lines import rows_of
from gata_assets.ingestion.http.bodies.multipart import FileReceiver
from gata_assets.ingestion.http.problems import Problem
from gata_assets_tests.support.http_service import MULTIPART, multipart

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_ROWS = st.lists(st.dictionaries(st.text(), _VALUES, max_size=4), max_size=5)


@given(_ROWS, st.sampled_from([None, 1]), st.booleans())
def test_each_object_of_an_array_becomes_a_line_with_the_same_values(
    rows: list[dict[str, object]], indent: int | None, is_ascii: bool
) -> None:
    try:
        body = json.dumps(rows, indent=indent, ensure_ascii=is_ascii).encode()
    except UnicodeEncodeError:
        return
    found = rows_of(body, "application/json", 100)
    lines = found.lines.splitlines() if is_ascii else found.lines.split(b"\n")[:-1]
    assert [json.loads(line) for line in lines] == rows
    assert found.count == len(rows)


def received(body: bytes, cuts: list[int]) -> tuple[bytes, FileReceiver]:
    """What a receiver keeps of a body that arrives in pieces."""
    to = BytesIO()
    receiver = FileReceiver(MULTIPART["Content-Type"], to, 10**6, 10**6)
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    for start, end in pairwise(places):
        receiver.feed(body[start:end])
    receiver.finish()
    return to.getvalue(), receiver


@given(st.binary(max_size=200), st.lists(st.integers(0, 10**6), max_size=6))
def test_a_file_arrives_as_it_was_sent_however_its_body_is_cut(content: bytes, cuts: list[int]) -> None:
    kept, receiver = received(multipart(content, "a b.csv", {"note": "x"}), cuts)
    assert kept == content
    assert (receiver.sha256, receiver.size) == (sha256(content).hexdigest(), len(content))
    assert (receiver.name, receiver.fields) == ("a b.csv", {"note": "x"})


@given(st.integers(0, 400))
def test_a_body_that_ends_early_is_never_taken_for_a_whole_one(end: int) -> None:
    body = multipart(b"user_id,item_id\n" * 10)
    # The line break after the last boundary need not be there.
    with pytest.raises(Problem):
        received(body[: min(end, len(body) - 3)], [])


def test_a_body_with_two_files_or_none_is_refused() -> None:
    two = multipart(b"a")[: -len(b"--\r\n")] + b"\r\n" + multipart(b"b").partition(b"\r\n")[2]
    for body in (two, multipart(b"a").replace(b'name="file"', b'name="other"')):
        with pytest.raises(Problem) as raised:
            received(body, [])
        assert raised.value.kind == "no-file"
