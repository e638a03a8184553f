"""Pages of tickets without those of a person: other rows have what they had, also of the lists beside them. Pure."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from gata_assets.curation.erasure.raw_rewriting import Mentions, copy_without
from gata_assets.curation.files.formats import RawFormat, parse_format
from gata_assets.curation.readers.readers import read_blocks
from gata_assets.lake.tables import RAW_TICKETS
from gata_assets.tables.people.erased_people import ErasedPeople, digest_people
from gata_assets.tables.people.privacy_keys import PrivacyKeys, Tombstones

KEYS = PrivacyKeys({1: b"k" * 32})
AT = datetime(2026, 1, 5, tzinfo=UTC)
PERSON, OTHER, AGENT = 900077, 9000771, 5


def ticket(number: int, requester: int, **more: object) -> dict[str, object]:
    at = "2026-01-02T03:04:05Z"
    return {"id": number, "requester_id": requester, "assignee_id": AGENT, "created_at": at, "updated_at": at, **more}


def page(tickets: list[dict[str, object]]) -> dict[str, object]:
    """A page with what is beside tickets; users of whom no ticket is are there too."""
    users = [{"id": one, "name": f"name of {one}"} for one in (PERSON, OTHER, AGENT)]
    comments = [{"ticket_id": found["id"], "author_id": found["requester_id"], "body": "x"} for found in tickets] * 2
    metrics = [{"ticket_id": found["id"], "reopens": 1} for found in tickets]
    return {"tickets": tickets, "users": users, "comments": comments, "metric_sets": metrics, "count": len(tickets)}


def rows_of(content: bytes) -> list[dict[str, object]]:
    """The rows of a file, with what is beside them."""
    blocks = read_blocks(io.BytesIO(content), RawFormat.JSON_LINES, RAW_TICKETS)
    return [row for block in blocks for row in block().texts.to_dicts()]


def rewritten(content: bytes, directory: Path) -> tuple[bytes, int]:
    stones = Tombstones(1, AT, tuple(digest_people(KEYS, "acme", 1, pl.Series([str(PERSON)]))))
    to = directory / "copy"
    count = copy_without(
        lambda: io.BytesIO(content),
        to,
        parse_format("file.json"),
        RAW_TICKETS,
        ErasedPeople("acme", KEYS, [stones]),
        Mentions([str(PERSON)]),
        max_decoded_bytes=10**9,
    )
    return to.read_bytes() if count else content, count


TICKETS = [ticket(1, PERSON), ticket(2, OTHER, subject="ü é"), ticket(3, PERSON), ticket(4, AGENT)]
FILES = {
    "one page": json.dumps(page(TICKETS)).encode(),
    "a page over many lines": json.dumps(page(TICKETS), indent=1).encode(),
    "pages as lines": b"\n".join(json.dumps(page(TICKETS[n : n + 2])).encode() for n in (0, 2)),
    "tickets as lines": b"\n".join(json.dumps(found).encode() for found in TICKETS),
    "an array of tickets": json.dumps(TICKETS, ensure_ascii=False).encode(),
    "an array of pages and tickets": json.dumps([page(TICKETS[:2]), *TICKETS[2:]]).encode(),
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_other_rows_keep_all_that_they_had(content: bytes, tmp_path: Path) -> None:
    before = rows_of(content)
    after, count = rewritten(content, tmp_path)
    assert count >= 2
    assert rows_of(after) == [row for row in before if row["requester_id"] != str(PERSON)]
    assert not Mentions([str(PERSON)])(after.decode())


def test_a_file_of_others_stays_as_it_is(tmp_path: Path) -> None:
    others = page([ticket(2, OTHER)])
    content = json.dumps({**others, "users": others["users"][1:]}).encode()  # type: ignore[index]
    assert rewritten(content, tmp_path) == (content, 0)


def test_a_record_of_theirs_beside_others_goes(tmp_path: Path) -> None:
    content = json.dumps(page([ticket(2, OTHER)])).encode()
    after, count = rewritten(content, tmp_path)
    assert count == 1
    assert rows_of(after) == rows_of(content)
    assert [one["id"] for one in json.loads(after)["users"]] == [OTHER, AGENT]


def test_somebody_whom_another_ticket_needs_stays(tmp_path: Path) -> None:
    tickets = [ticket(1, PERSON), {**ticket(2, OTHER), "assignee_id": PERSON}]
    content, count = rewritten(json.dumps(page(tickets)).encode(), tmp_path)
    # With two comments, a metric set, and the agent whom nobody else has.
    assert count == 5
    [row] = rows_of(content)
    assert json.loads(str(row["assignee"]))["id"] == PERSON
