"""People in messages that no table reads: by key, JSON, text and Avro, unless they name another tenant. Pure."""

from __future__ import annotations

import pytest

from gata_assets.governance.privacy.locators import People
from gata_assets.ingestion.people.message_search import MessageSearch
from gata_assets_tests.support.canaries import canary

PERSON = f"user-{canary('who is in messages')}"
SEARCH = MessageSearch(People("acme", (PERSON, "u1", "77")))
# An Avro text has its length before it, which looks like a part of a word, and whatever comes next behind it.
AVRO = b"\0\0\0\0\7" + bytes([2 * len(PERSON)]) + PERSON.encode() + b"x"


@pytest.mark.parametrize(
    ("key", "value", "count"),
    [
        (None, f'{{"who": "{PERSON}"}}'.encode(), 1),
        (None, b'{"who": 77, "whom": ["u1", "u2"]}', 2),
        (None, f'{{"a": "{PERSON}-2", "b": "the u1"}}'.encode(), 0),
        (None, f"broken {PERSON},".encode(), 1),
        (None, AVRO, 1),
        (None, b"\xff\xfe", 0),
        (None, None, 0),
        (b"acme:u1", None, 1),
        (b"u1", None, 1),
        (b"acme", f"broken {PERSON}".encode(), 1),
        (b"globex", f"broken {PERSON}".encode(), 0),
        (b"globex:u1", b'{"tenant_id": "globex", "who": "u1"}', 0),
        (b"globex", b'{"tenant_id": "acme", "who": "u1"}', 1),
        (b"No Tenant", b'{"tenant_id": 7, "who": "u1"}', 1),
    ],
)
def test_a_message_is_theirs_by_its_values_unless_it_names_another_tenant(
    key: bytes | None, value: bytes | None, count: int
) -> None:
    assert SEARCH.count(value, key) == count


def test_headers_are_searched_too() -> None:
    assert SEARCH.count(b"{}", None, (("who", PERSON.encode()), ("nothing", None))) == 1
