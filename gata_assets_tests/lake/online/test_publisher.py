"""Publishing into Redis. Real: Debian's Redis without and with the JSON module, Valkey, each over a Unix socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from redis import Redis

from gata_assets.errors import DataRuleError, OnlineError, OutrunError
from gata_assets.lake.online.publisher import publish
from gata_assets.lake.online.tickets import OnlineTicket, OnlineTickets
from gata_assets.online import OnlineReader
from gata_assets_tests.support.online_worlds import (
    START,
    TENANT,
    generation,
    ids_of,
    keys_in,
    keys_of,
    read_generation,
    rules,
    slice_of,
    ticket,
)
from gata_assets_tests.support.redis_servers import RedisServer, Target


def test_a_slice_replaces_the_one_before_and_nothing_of_it_is_left(redis_target: Target) -> None:
    client = redis_target.server.client()
    before = None
    for number in range(3):
        done = publish(client, generation(number), rules(format=redis_target.format))
        assert read_generation(client) == number
        assert (done.replaced, done.count, done.is_renewed) == (before, len(ids_of(number)), False)
        assert (done.removed_versions, done.not_removed) == (int(number > 0), None)
        assert keys_in(client) == keys_of(done.version, ids_of(number))
        before = done.version
    assert OnlineReader(client, TENANT).info().format is redis_target.format


def test_every_key_expires_and_the_pointer_and_description_a_minute_before_the_rest(redis_target: Target) -> None:
    client = redis_target.server.client()
    done = publish(client, generation(1), rules(format=redis_target.format, ttl_hours=1))
    left = {key: client.execute_command("TTL", key) for key in keys_in(client)}
    first = {key for key, seconds in left.items() if 3500 < seconds <= 3600}
    assert first == {"gata:{acme}:tickets", f"gata:{{acme}}:tickets:{done.version}:info"}
    assert {key for key, seconds in left.items() if 3600 < seconds <= 3660} == set(left) - first


def test_a_publish_of_the_same_tickets_renews_them_and_reads_none(redis_target: Target) -> None:
    client = redis_target.server.client()
    done = publish(client, generation(1), rules(format=redis_target.format, ttl_hours=1))

    def unread() -> Iterator[OnlineTicket]:
        pytest.fail("the tickets are read")
        yield  # type: ignore[unreachable]

    again = OnlineTickets(TENANT, START + timedelta(hours=1), "digest 1", unread())
    renewed = publish(client, again, rules(format=redis_target.format, ttl_hours=9))
    assert (renewed.version, renewed.is_renewed, renewed.sent_bytes) == (done.version, True, 0)
    assert all(client.execute_command("TTL", key) > 8 * 3600 for key in keys_in(client))
    info = OnlineReader(client, TENANT).info()
    assert abs(info.expires_at.timestamp() - client.execute_command("EXPIRETIME", "gata:{acme}:tickets")) < 1
    assert read_generation(client) == 1


@pytest.mark.parametrize("change", [{"limit": 99}, {"statuses": ("open",)}, {"ttl_hours": 1}])
def test_the_same_tickets_by_other_rules_are_written_anew(change: dict[str, object], valkey: RedisServer) -> None:
    client = valkey.client()
    done = publish(client, generation(1), rules())
    again = publish(client, generation(1), rules(**change))
    assert (again.version != done.version, again.replaced, again.is_renewed) == (True, done.version, False)
    assert keys_in(client) == keys_of(again.version, ids_of(1))


def test_a_published_version_that_lacks_a_ticket_is_written_anew(valkey: RedisServer) -> None:
    client = valkey.client()
    done = publish(client, generation(1), rules())
    client.execute_command("DEL", f"gata:{{acme}}:tickets:{done.version}:{ids_of(1)[5]}")
    assert not publish(client, generation(1), rules()).is_renewed
    assert read_generation(client) == 1


def test_an_empty_slice_is_a_version_too(redis_target: Target) -> None:
    client = redis_target.server.client()
    publish(client, generation(1), rules(format=redis_target.format))
    publish(client, slice_of([], 2), rules(format=redis_target.format))
    reader = OnlineReader(client, TENANT)
    assert (reader.count(), list(reader), reader.newest(5), reader.get(3)) == (0, [], [], None)


def test_an_older_look_at_the_lake_never_replaces_a_newer_one(valkey: RedisServer) -> None:
    client = valkey.client()
    done = publish(client, generation(2), rules())
    with pytest.raises(OutrunError, match=rf"Version {done.version} of acme was published by another publisher"):
        publish(client, generation(1), rules())
    assert keys_in(client) == keys_of(done.version, ids_of(2))


def test_a_publisher_that_is_outrun_while_it_writes_removes_its_version(valkey: RedisServer) -> None:
    client = valkey.client()
    newer: list[str] = []

    def slow() -> Iterator[OnlineTicket]:
        yield from generation(1).tickets
        newer.append(publish(client, generation(2), rules()).version)

    with pytest.raises(OutrunError, match="looked at the lake no earlier"):
        publish(client, OnlineTickets(TENANT, generation(1).data_at, "digest 1", slow()), rules())
    assert keys_in(client) == keys_of(newer[0], ids_of(2))
    assert read_generation(client) == 2


def test_of_two_publishers_of_one_instant_the_first_wins(valkey: RedisServer) -> None:
    client = valkey.client()
    publish(client, generation(0), rules())
    winner: list[str] = []

    def slow() -> Iterator[OnlineTicket]:
        yield from generation(1).tickets
        winner.append(publish(client, slice_of(ids_of(2), 2, data_at=generation(1).data_at), rules()).version)

    with pytest.raises(OutrunError):
        publish(client, OnlineTickets(TENANT, generation(1).data_at, "digest 1", slow()), rules())
    assert keys_in(client) == keys_of(winner[0], ids_of(2))


def test_a_newer_publisher_leaves_the_version_of_one_that_still_writes_and_it_wins_later(valkey: RedisServer) -> None:
    client = valkey.client()

    def slow() -> Iterator[OnlineTicket]:
        tickets = list(generation(5).tickets)
        yield from tickets[:15]
        publish(client, generation(2), rules())
        yield from tickets[15:]

    done = publish(client, OnlineTickets(TENANT, generation(5).data_at, "digest 5", slow()), rules())
    assert read_generation(client) == 5
    assert keys_in(client) == keys_of(done.version, ids_of(5))


def test_a_version_that_was_abandoned_is_removed_and_can_never_be_published(valkey: RedisServer) -> None:
    client = valkey.client()
    newer: list[str] = []

    def paused() -> Iterator[OnlineTicket]:
        tickets = list(generation(5).tickets)
        yield from tickets[:15]
        # To another one it was silent for long enough.
        newer.append(publish(client, generation(2), rules(abandoned_minutes=-1)).version)
        yield from tickets[15:]

    with pytest.raises(OnlineError, match="was removed before it was published: this publisher paused"):
        publish(client, OnlineTickets(TENANT, generation(5).data_at, "digest 5", paused()), rules())
    assert keys_in(client) == keys_of(newer[0], ids_of(2))


def test_a_ticket_that_comes_twice_is_refused_and_the_old_version_stays(redis_target: Target) -> None:
    client, chosen = redis_target.server.client(), rules(format=redis_target.format)
    done = publish(client, generation(1), chosen)
    with pytest.raises(DataRuleError, match="1 of 40 tickets of acme have the id of another"):
        publish(client, slice_of([*range(30), 4, *range(50, 99)], 2), chosen)
    assert keys_in(client) == keys_of(done.version, ids_of(1))


def test_more_tickets_than_the_limit_are_refused_and_the_old_version_stays(valkey: RedisServer) -> None:
    client = valkey.client()
    done = publish(client, generation(1), rules(limit=40))
    with pytest.raises(DataRuleError, match=r"More than 40 tickets of acme were given for Redis \(ONLINE_LIMIT\)"):
        publish(client, slice_of(range(41), 2), rules(limit=40))
    assert keys_in(client) == keys_of(done.version, ids_of(1))


def test_an_error_of_who_gives_tickets_leaves_nothing(valkey: RedisServer) -> None:
    client = valkey.client()
    done = publish(client, generation(1), rules())

    def broken() -> Iterator[OnlineTicket]:
        yield from generation(2).tickets
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(client, OnlineTickets(TENANT, generation(2).data_at, "digest 2", broken()), rules())
    assert keys_in(client) == keys_of(done.version, ids_of(1))


def test_blocks_have_so_many_bytes_and_a_larger_ticket_goes_alone(valkey: RedisServer) -> None:
    client = valkey.client()
    sizes = [100, 100, 5_000, 100, 400, 400, 400]
    tickets = [ticket(number, text="x" * size) for number, size in enumerate(sizes)]
    largest = 0

    def watched() -> Iterator[OnlineTicket]:
        nonlocal largest
        for number, one in enumerate(tickets):
            # What is given is written before much more is asked for.
            written = sum(key.rpartition(":")[2].isdigit() for key in keys_in(client))
            largest = max(largest, sum(len(given.document) for given in tickets[written:number]))
            yield one

    publish(client, OnlineTickets(TENANT, START, "digest", watched()), rules(block_bytes=1_000))
    assert OnlineReader(client, TENANT).count() == len(sizes)
    assert largest < 6_000


def test_tenants_and_prefixes_do_not_see_one_another(valkey: RedisServer) -> None:
    client = valkey.client()
    publish(client, generation(1), rules())
    publish(client, generation(2), rules(prefix="other"))
    other_tenant = generation(3)
    publish(client, OnlineTickets("acme2", START, "digest", other_tenant.tickets), rules())
    assert read_generation(client) == 1
    assert OnlineReader(client, TENANT, prefix="other").count() == len(ids_of(2))
    assert OnlineReader(client, "acme2").count() == len(ids_of(3))


def test_documents_of_the_module_are_its_documents_and_strings_are_strings(redis_target: Target) -> None:
    client = redis_target.server.client()
    done = publish(client, generation(1), rules(format=redis_target.format))
    key = f"gata:{{acme}}:tickets:{done.version}:{ids_of(1)[0]}"
    kind = client.execute_command("TYPE", key)
    assert kind == (b"ReJSON-RL" if redis_target.format == "module" else b"string")
    if redis_target.format == "module":
        assert json.loads(client.execute_command("JSON.GET", key, "$.text")) == ["generation 1"]


def test_a_client_that_decodes_replies_publishes_and_reads_the_same(redis_target: Target) -> None:
    client = redis_target.server.client(decode_responses=True)
    publish(client, generation(1), rules(format=redis_target.format))
    publish(client, generation(2), rules(format=redis_target.format))
    assert read_generation(client) == 2
    other = Redis(unix_socket_path=str(redis_target.server.path), protocol=3)
    assert publish(other, generation(2), rules(format=redis_target.format)).is_renewed
    assert read_generation(other) == 2
