"""Rows of JSON documents: pages, arrays and lines of both, whatever is in them, against an oracle in plain Python.

Real: the readers, compressed files, validation. Nothing is faked.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from gata_assets.curation.files.formats import FileFormat, RawFormat, parse_format
from gata_assets.curation.files.open_files import read_validated
from gata_assets.curation.readers.json_files.documents import cut_documents
from gata_assets.curation.readers.raw_block import LONGEST_LINE
from gata_assets.errors import RawFileError
from gata_assets.lake.tables import RAW_TICKETS
from gata_assets.tables.row_rules import RowContext
from gata_assets_tests.support.page_worlds import CASES, KEPT, OPENED, case, expected, read

_scalars = some.none() | some.booleans() | some.integers(-(1 << 70), 1 << 70) | some.text(max_size=5)
_values = some.recursive(
    _scalars, lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=4), inner, max_size=3)
)
_numbers = some.none() | some.integers(1, 4) | some.sampled_from(["1", "2", "x"])
_rows = some.fixed_dictionaries(
    {},
    optional={
        "id": _numbers,
        "case_id": _numbers,
        "opened_at": some.just(OPENED),
        "subject": _values,
        "person_id": _numbers,
        "via": _values | some.fixed_dictionaries({"channel": _values}),
        "channel": some.none() | some.text(max_size=3),
        "tags": _values,
        "labels": _values,
        "person": _values,
        "notes": _values,
        "url": _values,
        'odd "name"\n': _values,
    },
)
_records = some.lists(
    some.fixed_dictionaries({"name": _values}, optional={"id": _numbers, "case_id": _numbers}) | _scalars, max_size=4
)
_pages = some.fixed_dictionaries(
    {"cases": some.lists(_rows | _scalars, max_size=4)},
    optional={"people": some.none() | _records, "notes": some.none() | _records, "count": _scalars},
)
_documents = some.lists(_pages | _rows | some.lists(_pages | _rows, max_size=3), min_size=1, max_size=4)


def shown(rows: Sequence[dict[str, Any] | None]) -> list[dict[str, Any] | None]:
    """Rows with the values of their JSON."""
    return [
        row and {name: json.loads(value) if name in KEPT and value else value for name, value in row.items()}
        for row in rows
    ]


@given(_documents, some.sampled_from([None, 1, 3]), some.integers(1, 400), some.booleans(), some.booleans())
@example([{"cases": [{"id": 1}], "people": None}], None, 1, True, True)
@example([{"cases": [{"tags": None, "labels": []}, {"labels": None, "tags": {}}]}], None, 1, True, True)
def test_rows_are_those_of_the_oracle_however_documents_are_written(
    found: list[Any], indent: int | None, block_bytes: int, is_ascii: bool, is_typed: bool
) -> None:
    # Whether lines are documents is told by the first: `{}` is on one line whatever the indentation is.
    indent = None if found[0] in ({}, []) else indent
    content = "\n".join(json.dumps(one, indent=indent, ensure_ascii=is_ascii) for one in found).encode()
    result = read(content, block_bytes=block_bytes, keeps_types=is_typed)
    rows, unused = expected(found)
    assert shown(result.rows) == rows
    assert result.unused == unused
    # As they came: but for what is put together of several values, each is a piece of the file.
    texts = [row[name] for row in result.rows if row for name in ("via", "tags", "person") if row[name]]
    assert all(text in content.decode() for text in texts)


def test_json_is_kept_as_it_came() -> None:
    tags = '[ 1.0,1e2 , "\\u00e9\\/" ,{"b":1,"a":2,"a":3} ]'
    content = f'{{"cases": [{{"id": 7, "zeta": {tags}, "opened_at": "{OPENED}", "tags": {tags},  "alpha" : 01e }}]}}'
    content = content.replace("01e", "-0.0")
    [row] = read(content.encode()).rows
    assert row is not None
    assert row["tags"] == tags
    # Other fields in the order in which they came.
    assert row["more"] == f'{{"zeta":{tags},"alpha":-0.0}}'


def test_a_row_that_cannot_be_read_is_at_fault_alone() -> None:
    good = json.dumps(case(1, tags=[1]))
    bad = [
        '{"id": 2, "subject": "\\ud800"}',
        '{"id": 2, "subject": NaN}',
        '{"id": 2, "tags": [Infinity]}',
        '{"id": 2, "subject": {"a": 1}}',
        '{"id": 2, "tags": "\xff"}',
        '{"id": 2, "url": "\xff"}',
        '{"id": 2, "tags": 1, "labels": 2}',
        '{"id": 2, "tags": [1,]}',
        '{"id": 2 "tags": 1}',
        "5",
        "null",
        '"text"',
        "[1, 2]",
        "{}",
        '{"url": 1}',
    ]
    rows = [text for one in bad for text in (good, one)]
    content = '{"cases": [' + ",\n".join(rows) + '], "people": []}'
    for form in (content, content.replace("\n", ""), "\n".join([good, *rows])):
        result = read(form.encode("latin-1"))
        faults = [number for number, row in enumerate(result.rows, 1) if row is None]
        first = len(result.rows) - len(rows)
        if form.startswith('{"cases'):
            assert faults == list(range(2, len(rows) + 1, 2))
            assert [result.texts[number] for number in faults] == [one.replace("\xff", "�") for one in bad]
        else:
            # An array on a line of its own is one of rows.
            assert len(faults) == len(bad) + 1
            assert first == 2


def test_numbers_of_any_size_are_kept() -> None:
    [row] = read(json.dumps(case(1 << 70, subject=-(1 << 63), extra=1 << 90)).encode()).rows
    assert row is not None
    assert (row["case_id"], row["subject"], row["more"]) == (str(1 << 70), str(-(1 << 63)), f'{{"extra":{1 << 90}}}')


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty."),
        (b" \r\n\t\n", "is empty but for blank lines."),
        (b"id,opened_at\n1,2\n", "is CSV, and its name"),
        (b'{"cases": [{"id": 1}, {"id": 2}', "breaks off after record 0 (line 1)"),
        (b'{"id": 1}\n{"id": 2}\n{"id": 3', "breaks off after record 2 (line 3)"),
        (b'{"id": 1}\n{"id": 2}\n{"id": "3', "breaks off after record 2 (line 3)"),
        (b'{\n"id": 1}\n{"id": \n2', "breaks off after record 1 (line 3)"),
        (b'[{"id": 1},\n{"id": 2},\n', "breaks off after record 2 (line 3)"),
        (b'[{"id": 1}\n{"id": 2}]', "is no JSON after record 1 (line 2)"),
        (b'[{"id": 1},\n,{"id": 2}]', "is no JSON after record 1 (line 2)"),
        (b'{\n"id": 1},\n{"id": 2}', "is no JSON after record 1 (line 2)"),
        (b'{"id": 1}\n{"cases": [{"id": 2} {"id": 3}]}\n', "is no JSON after record 1 (line 2)"),
        (b'{"id": 1}\n{"cases": [{"id": 2}], x}\n', "is no JSON after record 1 (line 2)"),
        (b'{\n"subject": "a\nb"}', "is no JSON after record 0 (line 1)"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(content: bytes, reason: str) -> None:
    with pytest.raises(RawFileError) as error:
        read(content)
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (b'{"cases": []}', 0),
        (b"[]", 0),
        (b"[ ]\n[]", 0),
        (b'\xef\xbb\xbf{"id": 1}\r\n{"id": 2}\r\n', 2),
        (b'\xef\xbb\xbf{\r\n"cases": [\r\n{"id": 1}\r\n]\r\n}\r\n', 1),
        (b'{"id": 1}{"id": 2} {"id": 3}', 3),
        (b'[{"id": 1}, {"cases": [{"id": 2}, {"id": 3}]}]', 3),
        (b'{"id": "broken\n{"id": 2}\n{"id": 3}\n', 3),
    ],
)
def test_how_documents_follow_one_another_makes_no_difference(content: bytes, count: int) -> None:
    for block_bytes in (64, 1_000_000):
        assert len(read(content, block_bytes=block_bytes).rows) == count


@pytest.mark.parametrize("page", ['{"cases": null, "count": 1}', '{"cases": {"id": 1}}', '{"error": "slow down"}'])
def test_a_page_without_its_list_is_a_record_that_cannot_be_read(page: str) -> None:
    result = read(f'{page}\n{{"cases": [{{"id": 1}}]}}\n'.encode())
    assert [row is None for row in result.rows] == [True, False]
    assert result.texts == {1: page}


def test_records_beside_rows_that_no_row_takes_are_counted() -> None:
    page = {
        "cases": [case(1, person_id="7"), case(2, person_id=8, person={"id": "own"}), case(3)],
        "people": [{"id": 7, "v": 1}, {"id": 7, "v": 2}, {"id": 8}, {"name": "nobody"}, 5],
        "notes": [{"case_id": 1, "n": 1}, {"case_id": "1", "n": 2}, {"case_id": 9}],
    }
    result = read(json.dumps(page).encode())
    assert [row and (row["person"], row["notes"]) for row in result.rows] == [
        ('{"id": 7, "v": 2}', '[{"case_id": 1, "n": 1},{"case_id": "1", "n": 2}]'),
        ('{"id": "own"}', None),
        (None, None),
    ]
    # An earlier one of the same key, one whose row has its own, one without a key, one that is no object; and a note.
    assert result.unused == 5
    assert read(json.dumps({"cases": [], "people": [{"id": 1}]}).encode()).unused == 1


def test_a_list_beside_rows_may_be_used_by_several_columns() -> None:
    page = {
        "tickets": [
            {"id": 1, "created_at": OPENED, "requester_id": 7, "submitter_id": 7, "assignee_id": "8", "group_id": 5},
            {"id": 2, "created_at": OPENED, "requester_id": 9, "assignee_id": 10, "assignee": {"id": "own"}},
        ],
        "users": [{"id": 7, "v": 1}, {"id": 7, "v": 2}, {"id": 8}, {"id": 9}, {"id": 10}, {"id": 11}],
        "groups": [{"id": 7}, {"id": 5}],
    }
    result = read(json.dumps(page).encode(), RAW_TICKETS)
    names = ("requester", "submitter", "assignee", "group")
    assert [row and [row[name] for name in names] for row in result.rows] == [
        ['{"id": 7, "v": 2}', '{"id": 7, "v": 2}', '{"id": 8}', '{"id": 5}'],
        ['{"id": 9}', None, '{"id": "own"}', None],
    ]
    # A user whom two columns of a row show is there once: no earlier one of the same id, nor one that no row asks for.
    assert result.unused == 4


@pytest.mark.parametrize(("levels", "rule"), [(256, None), (257, "tags_is_json"), (100_000, "row_is_readable")])
def test_json_that_is_nested_too_deeply_rejects_its_row_alone(levels: int, rule: str | None) -> None:
    deep = "[" * levels + "]" * levels
    line = '{"id": %d, "opened_at": "%s", "tags": %s}\n'
    content = line % (1, OPENED, "[[1]]") + line % (2, OPENED, deep)
    context = RowContext(None, datetime(2030, 1, 1, tzinfo=UTC))
    for form in (content, '{"cases": [' + ",".join(content.splitlines()) + "]}"):
        [(count, rows)] = read_validated(
            BytesIO(form.encode()), FileFormat(RawFormat.JSON_LINES), CASES, context, "file"
        )
        assert (count, len(rows.valid), rows.rejected_by_rule) == (2, 1 if rule else 2, {rule: 1} if rule else {})


def test_a_long_row_is_read_and_the_text_of_a_long_fault_is_cut() -> None:
    text = "x" * (LONGEST_LINE + 10)
    page = f'{{"cases": [{{"id": 1, "subject": "{text}"}}, {{"id": NaN, "subject": "{text}"}}]}}'
    result = read(page.encode())
    assert result.rows[0] is not None
    assert result.rows[0]["subject"] == text
    assert result.rows[1] is None
    assert len(result.texts[2]) < LONGEST_LINE + 50


@pytest.mark.parametrize("size", [*range(1, 12), 1_000])
def test_documents_are_the_same_however_they_come(size: int) -> None:
    values = [{"a": 'x"]}\\', "b": ["\\\\", {}]}, [1, 'é\\"', {"c": None}, []], "text, alone", 12.5, {"d": [[]]}, True]
    text = " \n".join(json.dumps(value) for value in values).encode()
    pieces = [(text[start : start + size], False) for start in range(0, len(text), size)]
    found = list(cut_documents([*pieces, (b"", True)]))
    assert [json.loads(one.text) for one in found] == [values[0], *values[1], *values[2:]]
    assert [one.line for one in found] == [1, 2, 2, 2, 2, 3, 4, 5, 6]


def test_an_array_may_be_larger_than_a_document_and_a_page_may_not() -> None:
    rows = [case(number, subject="x" * 100) for number in range(1, 1_000)]

    def cut(content: object) -> list[Any]:
        text = json.dumps(content).encode()
        pieces = [(text[start : start + 1_000], False) for start in range(0, len(text), 1_000)]
        return [json.loads(found.text) for found in cut_documents([*pieces, (b"", True)], longest=10_000)]

    assert cut(rows) == rows
    with pytest.raises(RawFileError, match="JSON document of more than 10,000 bytes from line 1 on"):
        cut({"cases": rows})


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.ndjson", "A.JSON.GZ", "a.ndjson.zst"])
def test_a_file_of_pages_ends_as_json_does(name: str) -> None:
    assert parse_format(name).format is RawFormat.JSON_LINES


def test_a_file_that_is_cut_off_within_its_compression_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"cases": [case(n) for n in range(1, 500)]}).encode())[:-20])
    context = RowContext(None, datetime(2030, 1, 1, tzinfo=UTC))
    with pytest.raises(RawFileError, match=r"damaged or cut off|breaks off"):
        list(read_validated(path, parse_format(path.name), CASES, context, "file"))
