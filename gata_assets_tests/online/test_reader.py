"""The reader for applications. Real: Redis without and with the JSON module, Valkey, the publisher, a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from redis import Redis

from gata_assets.errors import OnlineError, VersionGoneError
from gata_assets.lake.online.publisher import publish
from gata_assets.lake.online.tickets import OnlineTicket, OnlineTickets
from gata_assets.online import OnlineReader, Ticket
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.online_worlds import (
    START,
    TENANT,
    generation,
    ids_of,
    in_order,
    read_generation,
    rules,
    slice_of,
    ticket,
)
from gata_assets_tests.support.redis_proxy import Fate, proxy_of
from gata_assets_tests.support.redis_servers import RedisServer, Target


def published(target: Target, given: OnlineTickets) -> Redis:
    client = target.server.client()
    publish(client, given, rules(format=target.format, limit=10_000))
    return client


def test_tickets_are_read_by_id_by_page_and_whole_newest_first(redis_target: Target) -> None:
    # More than are read in a block.
    ids = range(1_203)
    reader = OnlineReader(published(redis_target, slice_of(ids)), TENANT)
    expected = in_order(ids)
    assert [one.id for one in reader] == expected
    assert [one.id for one in reader.newest()] == expected[:20]
    assert [one.id for one in reader.newest(700, 400)] == expected[400:1_100]
    assert [one.id for one in reader.newest(50, 1_190)] == expected[1_190:]
    assert reader.newest(5, 5_000) == []
    found = reader.get_many([7, 1_202, 7, 5_000, -1])
    assert {number: one.id for number, one in found.items()} == {7: 7, 1_202: 1_202}
    assert sorted(reader.get_many(range(2_000))) == list(ids)
    assert reader.get_many([]) == {}
    assert reader.get(5_000) is None
    assert (reader.count(), reader.info().count) == (1_203, 1_203)


def test_a_ticket_has_types_and_ignores_what_a_later_release_adds(redis_target: Target) -> None:
    one = ticket(7)
    later = json.loads(one.document) | {"later": {"a": [1]}, "priority": None}
    given = OnlineTickets(TENANT, START, "digest", [one._replace(document=json.dumps(later).encode())])
    found = OnlineReader(published(redis_target, given), TENANT).get(7)
    assert isinstance(found, Ticket)
    assert (found.id, found.status, found.tags, found.priority) == (7, "open", ("ü", "b"), None)
    assert found.version_at == START + timedelta(seconds=2)


class Small(BaseModel):
    id: int
    text: str


@pytest.mark.parametrize(
    ("decode", "seen"),
    [
        (bytes, lambda found: json.loads(found) == json.loads(ticket(7, 1).document)),
        (Small.model_validate_json, lambda found: found == Small(id=7, text="generation 1")),
        (json.loads, lambda found: found["text"] == "generation 1"),
    ],
    ids=["bytes", "pydantic", "json"],
)
def test_a_ticket_becomes_what_the_application_makes_of_its_json(
    decode: Callable[[bytes], Any], seen: Callable[[Any], bool], redis_target: Target
) -> None:
    client = published(redis_target, slice_of([7], 1))
    assert seen(OnlineReader(client, TENANT, decode=decode).get(7))


def test_a_string_is_read_as_the_bytes_that_were_written(valkey: RedisServer) -> None:
    one = ticket(7)
    publish(valkey.client(), OnlineTickets(TENANT, START, "digest", [one]), rules())
    assert OnlineReader(valkey.url, TENANT, decode=bytes).get(7) == one.document


@pytest.mark.parametrize("decode", [None, Small.model_validate_json], ids=["ticket", "pydantic"])
def test_a_ticket_that_is_none_is_an_error_without_its_text(decode: Any, valkey: RedisServer) -> None:
    secret = canary("text")
    wrong = OnlineTicket(7, 1.0, json.dumps({"id": secret, "text": [secret]}).encode())
    publish(valkey.client(), OnlineTickets(TENANT, START, "digest", [wrong]), rules())
    reader: OnlineReader[Any] = OnlineReader(valkey.url, TENANT, **({"decode": decode} if decode else {}))
    with pytest.raises(OnlineError, match="is not as it is read here") as raised:
        reader.get(7)
    assert secret not in str(raised.value)


@pytest.mark.parametrize(("n", "offset"), [(-1, 0), (1, -1)])
def test_a_negative_page_is_refused(n: int, offset: int, valkey: RedisServer) -> None:
    publish(valkey.client(), generation(1), rules())
    with pytest.raises(ValueError, match="not negative"):
        OnlineReader(valkey.url, TENANT).newest(n, offset)


def test_a_call_begins_again_when_its_version_is_removed_between_two_commands(redis_target: Target) -> None:
    client, chosen = redis_target.server.client(), rules(format=redis_target.format)
    publish(client, generation(1), chosen)

    def judge(number: int, name: bytes) -> Fate:
        # A new version takes the place of the old one just before the tickets are asked for.
        if name in (b"MGET", b"JSON.MGET") and len(published_ones) < 3:
            published_ones.append(publish(client, generation(2 + len(published_ones)), chosen))
        return Fate.PASSED

    published_ones: list[object] = []
    with proxy_of(redis_target.server, judge) as proxy:
        found = OnlineReader(proxy.url, TENANT).get_many(range(100))
    assert sorted(found) == list(ids_of(4))


def test_an_iteration_is_of_one_version_and_says_when_it_is_gone(redis_target: Target) -> None:
    ids = range(1_203)
    client = published(redis_target, slice_of(ids))
    reading = iter(OnlineReader(client, TENANT))
    first = [next(reading).id for _ in range(500)]
    published(redis_target, slice_of(range(2_000, 3_000), 1))
    assert first == in_order(ids)[:500]
    with pytest.raises(VersionGoneError, match="Begin again with the version that is published now"):
        next(reading)


def test_an_expired_slice_is_no_slice(valkey: RedisServer) -> None:
    client = valkey.client()
    publish(client, generation(1), rules())
    pinned = OnlineReader(client, TENANT).pinned()
    # As time does it: the pointer and the description before all else.
    for key in (f"gata:{{acme}}:tickets:{pinned.name}:info", "gata:{acme}:tickets"):
        client.execute_command("PEXPIREAT", key, 1)
    with pytest.raises(VersionGoneError, match="or it expired"):
        pinned.newest(1)
    with pytest.raises(OnlineError, match=r"or they expired \(ONLINE_TTL_HOURS\) because no publish followed"):
        OnlineReader(client, TENANT).newest(1)


def test_an_evicted_ticket_is_reported_where_it_is_listed(redis_target: Target) -> None:
    client = published(redis_target, generation(1))
    version = OnlineReader(client, TENANT).pinned()
    client.execute_command("DEL", f"gata:{{acme}}:tickets:{version.name}:{ids_of(1)[0]}")
    with pytest.raises(
        OnlineError, match=r"1 tickets of version .* they were evicted or deleted. Use the policy noeviction"
    ):
        list(version)


def test_a_version_of_a_layout_that_is_unknown_is_refused(valkey: RedisServer) -> None:
    client = valkey.client()
    done = publish(client, generation(1), rules())
    client.execute_command("HSET", f"gata:{{acme}}:tickets:{done.version}:info", "layout", "2")
    with pytest.raises(OnlineError, match="Install the release that wrote it"):
        OnlineReader(client, TENANT).count()


def test_a_reader_of_a_url_is_closed_and_may_be_used_again(valkey: RedisServer) -> None:
    publish(valkey.client(), generation(1), rules())
    with OnlineReader(valkey.url, TENANT) as reader:
        assert reader.count() == len(ids_of(1))
    assert reader.count() == len(ids_of(1))
    reader.close()
    assert read_generation(valkey.url) == 1


@pytest.mark.process
def test_the_reader_loads_neither_dagster_nor_polars() -> None:
    heavy = ("dagster", "polars", "pandas", "numpy", "boto3", "tenacity")
    program = f"import sys, gata_assets.online; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
