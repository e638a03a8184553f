"""Readers and publishers at once. Real: the servers, several clients on threads, and publishers step by step.

Hypothesis decides which of several publishers takes its next step; a step is a block of tickets, or the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from threading import Barrier, Event, Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from gata_assets.errors import OnlineError, OutrunError, VersionGoneError
from gata_assets.lake.online.publisher import publish
from gata_assets.lake.online.tickets import OnlineTicket, OnlineTickets
from gata_assets.online import OnlineReader
from gata_assets_tests.support.online_worlds import (
    START,
    TENANT,
    generation,
    generation_seen,
    ids_of,
    keys_in,
    keys_of,
    read_generation,
    rules,
)
from gata_assets_tests.support.redis_proxy import Fate, proxy_of
from gata_assets_tests.support.redis_servers import RedisServer, Target

PUBLISHES = 50


def read_until(client: Redis, done: Event, seen: list[int]) -> None:
    """Read all that is published again and again, by several calls and by one."""
    reader = OnlineReader(client, TENANT, decode=bytes)
    while not done.is_set():
        with suppress(VersionGoneError):
            seen.append(generation_seen(list(reader)))
        seen.append(generation_seen(reader.newest(1_000)))
        with suppress(VersionGoneError):
            seen.append(read_generation(client))


def test_readers_see_whole_versions_alone_during_50_publishes(redis_target: Target) -> None:
    server, done, chosen = redis_target.server, Event(), rules(format=redis_target.format)
    seen: list[list[int]] = [[], []]
    with server.client() as client, ThreadPoolExecutor(2) as pool:
        publish(client, generation(0), chosen)
        readers = [pool.submit(read_until, server.client(), done, found) for found in seen]
        try:
            for number in range(1, PUBLISHES + 1):
                publish(client, generation(number), chosen)
        finally:
            done.set()
        for reader in readers:
            reader.result(60)
    for found in seen:
        assert found == sorted(found), "a reader went back to an older version"
        assert len(set(found)) > 5


def test_of_publishers_at_once_the_newest_wins_and_nothing_of_others_is_left(redis_target: Target) -> None:
    chosen, count = rules(format=redis_target.format), 6
    starting, outcomes = Barrier(count), {}

    def run(number: int) -> None:
        with redis_target.server.client() as client:
            starting.wait(30)
            try:
                outcomes[number] = publish(client, generation(number), chosen).version
            except OutrunError:
                outcomes[number] = None

    for _ in range(5):
        outcomes.clear()
        with redis_target.server.client() as client:
            client.execute_command("FLUSHALL")
            threads = [Thread(target=run, args=[number]) for number in range(count)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            newest = outcomes[count - 1]
            assert newest
            assert read_generation(client) == count - 1
            assert keys_in(client) == keys_of(newest, ids_of(count - 1))


@given(turns=st.lists(st.integers(0, 2), max_size=12), order=st.permutations([1, 2, 3]), at_once=st.booleans())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_any_order_of_steps_the_newest_look_or_the_first_of_one_instant_is_published(
    turns: list[int], order: list[int], at_once: bool, valkey: RedisServer
) -> None:
    """Three publishers on threads, of which one at a time goes on; all of one instant, or one after another."""
    with valkey.client() as client:
        client.execute_command("FLUSHALL")
        publishers = [Stepwise(valkey, number, at_once=at_once) for number in order]
        # The oracle: who is published, and who was when each began.
        current: Stepwise | None = None
        begun_with: dict[int, Stepwise | None] = {}
        for turn in [*turns, *[0] * 4, *[1] * 4, *[2] * 4]:
            publisher = publishers[turn]
            if publisher.has_ended:
                continue
            begun_with.setdefault(turn, current)
            publisher.step()
            if publisher.has_ended:
                wins = current is begun_with[turn] if at_once else current is None or publisher.number > current.number
                current = publisher if wins else current
                assert (publisher.version is not None) == wins
                assert wins or isinstance(publisher.error, OutrunError)
            if current:
                assert read_generation(client) == current.number
        assert current
        assert keys_in(client) == keys_of(current.version or "", ids_of(current.number))


class Stepwise:
    """A publisher that waits before each block of tickets, and before the end."""

    def __init__(self, server: RedisServer, number: int, *, at_once: bool) -> None:
        self.number = number
        self.version: str | None = None
        self.error: OnlineError | None = None
        self._at = START + timedelta(minutes=0 if at_once else number)
        self._go, self._waits = Event(), Event()
        self._server = server
        self._thread: Thread | None = None

    @property
    def has_ended(self) -> bool:
        """Whether it has published, or failed."""
        return self.version is not None or self.error is not None

    def step(self) -> None:
        """Go on until it waits again or has ended."""
        self._waits.clear()
        if self._thread is None:
            self._thread = Thread(target=self._run, daemon=True)
            self._thread.start()
        else:
            self._go.set()
        assert self._waits.wait(30)
        if self.has_ended:
            self._thread.join(30)

    def _run(self) -> None:
        given = OnlineTickets(TENANT, self._at, f"digest {self.number}", self._tickets())
        try:
            with self._server.client() as client:
                self.version = publish(client, given, rules()).version
        except OnlineError as error:
            self.error = error
        self._waits.set()

    def _tickets(self) -> Iterator[OnlineTicket]:
        for index, one in enumerate(generation(self.number).tickets):
            if index in (0, 15):
                self._wait()
            yield one
        self._wait()

    def _wait(self) -> None:
        self._go.clear()
        self._waits.set()
        assert self._go.wait(30)


@pytest.mark.parametrize("calls", [1, 3])
def test_a_reader_that_pinned_a_version_says_that_it_is_gone_and_never_mixes(calls: int, redis_target: Target) -> None:
    client, chosen = redis_target.server.client(), rules(format=redis_target.format)
    publish(client, generation(1), chosen)
    reader = OnlineReader(client, TENANT, decode=bytes)
    version = reader.pinned()
    for _ in range(calls):
        assert generation_seen(version.newest(1_000)) == 1
    publish(client, generation(2), chosen)
    for call in (
        lambda: version.get(ids_of(1)[0]),
        lambda: version.get_many(ids_of(1)),
        lambda: version.newest(5),
        version.count,
        lambda: list(version),
    ):
        with pytest.raises(VersionGoneError, match="is no longer in Redis: a newer one was published, or it expired"):
            call()
    assert generation_seen(reader.newest(1_000)) == 2


def test_a_version_that_others_begin_to_remove_after_the_count_is_not_published(redis_target: Target) -> None:
    client, chosen = redis_target.server.client(), rules(format=redis_target.format)
    done = publish(client, generation(1), chosen)
    asked: list[bytes] = []

    def judge(_: int, name: bytes) -> Fate:
        # After the version was found to be noted comes the script that would publish it: the first step of a removal
        # is carried out in between, and all of its tickets are still there.
        if name == b"EVAL" and b"ZSCORE" in asked and b"ZREM" not in asked:
            asked.append(b"ZREM")
            versions = "gata:{acme}:tickets:versions"
            for version in client.execute_command("ZRANGE", versions, 0, -1):
                if version.decode() != done.version:
                    client.execute_command("ZREM", versions, version)
        asked.append(name)
        return Fate.PASSED

    with (
        proxy_of(redis_target.server, judge) as proxy,
        proxy.client() as through,
        pytest.raises(OnlineError, match="was removed before it was published"),
    ):
        publish(through, generation(2), chosen)
    assert keys_in(client) == keys_of(done.version, ids_of(1))
