"""Raw files without the records of erased people: every other byte stays. Pure but for files in a directory."""

from __future__ import annotations

import gzip
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gata_assets.curation.erasure.raw_rewriting import Mentions, copy_without
from gata_assets.curation.files.formats import parse_format
from gata_assets.interactions.tables import TABLES
from gata_assets.tables.people.erased_people import ErasedPeople, digest_people
from gata_assets.tables.people.privacy_keys import PrivacyKeys, Tombstones
from gata_assets_tests.support.raw_worlds import ENDINGS, Row, encode, interaction

KEYS = PrivacyKeys({1: b"k" * 32})
AT = datetime(2026, 1, 5, tzinfo=UTC)
PERSON, NAMESAKE = "user-77", "user-777"
SPEC = TABLES["interactions"]


def people(*ids: str) -> ErasedPeople:
    stones = Tombstones(1, AT, tuple(digest_people(KEYS, "acme", 1, pl.Series(list(ids)))))
    return ErasedPeople("acme", KEYS, [stones])


def rewritten(content: bytes, ending: str, directory: Path) -> tuple[bytes, int]:
    """A file without the person, and how many records were left out."""
    to = directory / "copy"
    count = copy_without(
        lambda: io.BytesIO(content),
        to,
        parse_format(f"file.{ending}"),
        SPEC,
        people(PERSON),
        Mentions([PERSON]),
        max_decoded_bytes=10**9,
    )
    return to.read_bytes() if count else content, count


def counts(row: Row) -> bool:
    at = row["timestamp"]
    return row["user_id"] != PERSON or (bool(at) and datetime.fromisoformat(str(at)) > AT)


any_row = st.builds(
    lambda user, hours, location: interaction(
        user_id=user, timestamp=f"{AT + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}", location=location
    ),
    st.sampled_from([PERSON, NAMESAKE, "u1"]),
    st.integers(-3, 3),
    # Line breaks and quotes within fields.
    st.sampled_from([None, "here", 'a "b"', "a\nb", "a\n\nb,c"]),
)


def plain(content: bytes, ending: str) -> object:
    """What a file contains, apart from how it is compressed."""
    if ending.endswith(".gz"):
        content = gzip.decompress(content)
    elif ending.endswith(".zst"):
        with pa.CompressedInputStream(pa.BufferReader(content), "zstd") as stream:
            content = stream.read()
    return pl.read_parquet(content).to_dicts() if ending.startswith("parquet") else content


@given(st.lists(any_row, min_size=1, max_size=20), st.sampled_from(ENDINGS))
@settings(max_examples=40, deadline=None)
def test_what_is_left_is_the_file_of_the_others(rows: list[Row], ending: str) -> None:
    kept = list(filter(counts, rows))
    with TemporaryDirectory() as directory:
        content, count = rewritten(encode(rows, ending), ending, Path(directory))
    assert count == len(rows) - len(kept)
    if kept:
        assert plain(content, ending) == plain(encode(kept, ending), ending)


def test_faulty_records_are_left_out_if_they_name_the_person(tmp_path: Path) -> None:
    head = b"user_id,item_id,interaction_type,timestamp\n"
    lines = [
        b"user-77,i1,view\n",
        b"user-777,i1,view\n",
        b"u1,i1,view,2026-01-02T03:04:05Z\n",
        b'"x"user-77,i1,view,2026-01-02T03:04:05Z\n',
        b"\n",
        b"u2,i1,stare,2026-01-02T03:04:05Z",
    ]
    content, count = rewritten(head + b"".join(lines), "csv", tmp_path)
    assert count == 2
    assert content == head + lines[1] + lines[2] + lines[5]


def test_many_blocks_and_long_records_are_copied_as_they_came(tmp_path: Path) -> None:
    rows = [
        interaction(user_id=PERSON if number % 7 == 0 else f"u{number}", location="x\n" * (number % 5) + "y" * 300)
        for number in range(20_000)
    ]
    content, count = rewritten(encode(rows, "csv"), "csv", tmp_path)
    assert count == len(rows[::7])
    assert content == encode([row for row in rows if row["user_id"] != PERSON], "csv")


@pytest.mark.parametrize(
    ("text", "expected"), [("a user-77 b", True), ("user-777", False), ("(user-77)", True), ("xuser-77", False)]
)
def test_an_id_is_mentioned_as_a_word(text: str, expected: bool) -> None:
    assert Mentions([PERSON, "x"])(text) is expected
