"""Whether Redis has what it should. Real: Redis without and with the JSON module, Valkey, the publisher."""

from __future__ import annotations

import json

import pytest

from gata_assets.errors import NotPublishedError
from gata_assets.lake.online.publisher import publish
from gata_assets.lake.online.tickets import OnlineTicket, OnlineTickets, newest_first
from gata_assets.lake.online.verification import Verification, verify
from gata_assets.online.keys import OnlineKeys
from gata_assets_tests.support.canaries import canary_digits
from gata_assets_tests.support.online_worlds import START, TENANT, in_order, rules, ticket
from gata_assets_tests.support.redis_servers import RedisServer, Target

KEYS = OnlineKeys(TENANT)
IDS = range(40)
EXPECTED = newest_first(ticket(number) for number in IDS)


def published(target: Target) -> str:
    with target.server.client() as client:
        given = OnlineTickets(TENANT, START, "digest", [ticket(number) for number in IDS])
        return publish(client, given, rules(format=target.format)).version


def found_in(target: Target, expected: list[OnlineTicket]) -> tuple[Verification, dict[str, int]]:
    with target.server.client() as client:
        found = verify(client, KEYS, iter(expected))
    return found, {kind: count for kind, count in found.differences.items() if count}


def test_newest_first_is_the_order_of_redis() -> None:
    assert [one.id for one in EXPECTED] == in_order(IDS)


def test_a_slice_as_it_was_published_is_well(redis_target: Target) -> None:
    version = published(redis_target)
    found, differences = found_in(redis_target, EXPECTED)
    assert (found.is_well, differences) == (True, {})
    assert found.describe() == f"version {version} has the 40 tickets that it should, in their order"


def test_missing_and_extra_tickets_are_counted_and_put_nothing_else_out_of_place(redis_target: Target) -> None:
    published(redis_target)
    found, differences = found_in(redis_target, newest_first([*EXPECTED[3:], ticket(100), ticket(101)]))
    assert (found.is_well, differences) == (False, {"missing": 2, "extra": 3})
    assert (found.expected, found.listed, found.described) == (39, 40, 40)
    assert sorted(found.ids["missing"]) == [100, 101]
    assert "2 missing; 3 extra; 40 listed in place of 39. To correct it: publish the slice again" in found.describe()


def test_other_values_are_counted_and_another_spelling_of_the_same_is_none_in_the_module(redis_target: Target) -> None:
    published(redis_target)
    spelled = [one._replace(document=json.dumps(json.loads(one.document), indent=1).encode()) for one in EXPECTED]
    _, differences = found_in(redis_target, spelled)
    assert differences == ({} if redis_target.format == "module" else {"different": 40})
    changed = [ticket(one.id, generation=int(one.id in (5, 6))) for one in EXPECTED]
    found, differences = found_in(redis_target, changed)
    assert differences == {"different": 2}
    assert sorted(found.ids["different"]) == [5, 6]


def test_another_order_is_counted(redis_target: Target) -> None:
    published(redis_target)
    expected = [EXPECTED[1], EXPECTED[0], *EXPECTED[2:]]
    assert found_in(redis_target, expected)[1] == {"not in their place": 2}


def test_another_instant_in_the_list_is_counted_even_where_the_order_is_the_same(redis_target: Target) -> None:
    version = published(redis_target)
    with redis_target.server.client() as client:
        client.execute_command("ZADD", KEYS.ids(version), "XX", EXPECTED[0].version_at + 9, EXPECTED[0].id)
    assert found_in(redis_target, EXPECTED)[1] == {"at another instant": 1}


def test_a_listed_ticket_without_a_document_and_a_wrong_count_are_reported(redis_target: Target) -> None:
    version = published(redis_target)
    with redis_target.server.client() as client:
        client.execute_command("DEL", *KEYS.documents(version, [EXPECTED[0].id]))
        client.execute_command("HSET", KEYS.info(version), "count", "41")
    found, differences = found_in(redis_target, EXPECTED)
    assert differences == {"without a document": 1}
    assert "its description says 41, and it lists 40" in found.describe()


def test_no_description_has_an_id(valkey: RedisServer) -> None:
    number = int(canary_digits("verified")[:18])
    with valkey.client() as client:
        publish(client, OnlineTickets(TENANT, START, "digest", [ticket(1)]), rules())
        found = verify(client, KEYS, [ticket(number)])
    assert found.ids["missing"] == [number]
    assert str(number) not in found.describe() + repr(found)


def test_what_is_not_published_cannot_be_verified(valkey: RedisServer) -> None:
    with valkey.client() as client, pytest.raises(NotPublishedError):
        verify(client, KEYS, EXPECTED)
