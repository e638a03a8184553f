"""The scan of everything: ids are found in each form that an object may have, and nobody else. Pure but for a store."""

from __future__ import annotations

import gzip
import json
from io import BytesIO

import polars as pl
import pyarrow as pa
import pytest

from gata_assets.governance.privacy.locators import People
from gata_assets.governance.privacy.scanning import TargetObjects, scan
from gata_assets.ingestion.segments.coding.segments import encode_segment
from gata_assets_tests.support.event_worlds import event, segment_of
from gata_assets_tests.support.memory_store import MemoryStore

PERSON = "user-5f0e93c1a7d24b6c"
OTHER = PERSON + "0"


def parquet(**columns: list[object]) -> bytes:
    content = BytesIO()
    pl.DataFrame(columns).write_parquet(content)
    return content.getvalue()


def arrow(**columns: list[object]) -> bytes:
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    for _ in range(2):
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def found_in(content: bytes, *ids: str) -> int:
    store = MemoryStore()
    store.write("acme/a", content)
    scanned = scan([TargetObjects(store)], People("acme", ids or (PERSON,)))
    assert (scanned.objects, scanned.bytes) == (1, len(content))
    return sum(finding.values for finding in scanned.findings)


@pytest.mark.parametrize("person", [PERSON, "77"])
def test_an_id_is_found_in_every_form(person: str) -> None:
    lines = f'{{"user_id": "{person}"}}\n{{"user_id": "b"}}\n'.encode()
    forms = {
        "csv": f"user_id,x\n{person},1\nb,2\n".encode(),
        "csv with quotes": f'user_id,x\n"{person}","a\nb"\n'.encode(),
        "json lines": lines,
        "gzip": gzip.compress(lines),
        "zstd": pa.compress(lines, "zstd", asbytes=True),
        "a document": json.dumps({"tickets": [{"requester": {"id": person}}]}).encode(),
        "a number": f'{{"id": {person if person.isdigit() else 0}, "n": "{person}"}}'.encode(),
        "parquet": parquet(a=["b", person]),
        "lists of parquet": parquet(a=[["b"], [person]]),
        "json in parquet": parquet(a=[json.dumps({"x": [person]})]),
        "streams of arrow": arrow(a=["b", person]),
    }
    assert {name: found_in(content, person) > 0 for name, content in forms.items()} == dict.fromkeys(forms, True)


@pytest.mark.parametrize("person", [PERSON, "77"])
def test_nobody_else_is_found(person: str) -> None:
    other = person + "0"
    forms = {
        "csv": f"user_id,x\n{other},2026-77-01\nb,{other}\n".encode(),
        "json lines": f'{{"user_id": "{other}"}}\n{{"t": "{other} x"}}\n'.encode(),
        "parquet": parquet(a=["b", other], n=[1, 2]),
        "streams of arrow": arrow(a=["b", other]),
    }
    assert {name: found_in(content, person) for name, content in forms.items()} == dict.fromkeys(forms, 0)


@pytest.mark.parametrize("person", [PERSON, "jürgen-5f0e93c1a7d2", 'a"b-5f0e93c1a7d2'])
def test_however_an_id_is_written_it_is_found(person: str) -> None:
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in person)
    forms = [
        f'{{"user_id": "{escaped}"}}\n'.encode(),
        json.dumps([person]).encode(),
        json.dumps([person], ensure_ascii=False).encode(),
        'a,"{}"\n'.format(person.replace('"', '""')).encode(),
        parquet(a=[f'["{escaped}"]', None]),
        parquet(a=[None, json.dumps([person]).encode()]),
    ]
    assert [found_in(content, person, "nobody") for content in forms] == [1] * len(forms)
    assert found_in(parquet(a=pl.Series([None, None], dtype=pl.Binary).to_list()), person) == 0


def test_a_short_id_counts_where_columns_have_a_name_of_people_alone() -> None:
    store = MemoryStore()
    contents = {
        "csv": b"User_ID,rating\n77,5\n5,77\n",
        "json": b'{"user_id": 77, "rows": 77, "more": {"77": [77]}}\n{"user_id": 5, "rows": 77}\n',
        "parquet": parquet(user_id=["77", "5"], rating=[77, 77]),
        "nested": parquet(more=['{"user_id": "77"}', '{"n": 77}']),
        "others": b'{"rows": 77}\n',
    }
    for key, content in contents.items():
        store.write(key, content)
    people = People("acme", ("77", PERSON), columns=frozenset({"user_id"}))
    found = {finding.key: finding.values for finding in scan([TargetObjects(store)], people).findings}
    assert found == {"csv": 1, "json": 1, "parquet": 1, "nested": 1}


def test_events_of_segments_are_looked_into() -> None:
    assert found_in(encode_segment(segment_of([event(1), event(2)])), "u2") == 1


def test_what_has_no_form_is_searched_for_words() -> None:
    assert found_in(f"some text of {PERSON}, and so on".encode()) == 1
    assert found_in(f"some text of {OTHER}".encode()) == 0
    assert found_in(b"\x00\x01" + PERSON.encode() + b"\xff") == 1


def test_large_objects_are_read_piece_by_piece() -> None:
    lines = b'{"user_id": "somebody else", "text": "' + b"x" * 1_000 + b'"}\n'
    last = f'{{"user_id": "{PERSON}"}}\n'.encode()
    many = lines * 9_000
    for content in (many + last, many + last + many, gzip.compress(many + last, 1)):
        assert found_in(content) == 1
    assert found_in(many) == 0
    assert found_in(b"x" * (1 << 23) + f" {PERSON} ".encode() + b"y" * 10_000) >= 1


def test_a_compressed_parquet_is_taken_apart() -> None:
    assert found_in(gzip.compress(parquet(a=["b", "77"])), "77") == 1


@pytest.mark.parametrize(
    "start", [b"PAR1\x15\x04\x00\x00", gzip.compress(b"x" * 100, mtime=0)[:12], b"\xff\xff\xff\xff\x10"]
)
def test_what_cannot_be_taken_apart_is_searched_for_words_and_counted(start: bytes) -> None:
    store = MemoryStore()
    store.write("acme/a", start + f" {PERSON} ".encode())
    store.write("acme/b", start)
    scanned = scan([TargetObjects(store)], People("acme", (PERSON,)))
    assert [finding.key for finding in scanned.findings] == ["acme/a"]
    assert scanned.damaged == 2


def test_a_field_that_is_longer_than_any_is_no_fault() -> None:
    assert found_in(b'a,"' + b"x" * 500_000 + f" {PERSON} ".encode()) == 1
