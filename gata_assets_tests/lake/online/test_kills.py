"""A publisher is killed between two commands: a reader sees one whole version, and the next publish cleans up.

Real: the publisher's process and its SIGKILL, Redis without and with the JSON module, Valkey. A proxy counts commands.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable

import pytest
from redis import Redis

from gata_assets.lake.online.publisher import publish
from gata_assets_tests.lake.online import killed_publisher
from gata_assets_tests.support.online_worlds import generation, ids_of, keys_in, keys_of, read_generation, rules
from gata_assets_tests.support.redis_proxy import Fate, proxy_of
from gata_assets_tests.support.redis_servers import Target

pytestmark = pytest.mark.process


def killed_at(target: Target, chosen: int) -> list[bytes]:
    """Start a publisher of generation 2, and kill it before Redis has a command; 0 for none. Returns its commands."""
    processes: list[subprocess.Popen[bytes]] = []

    def judge(number: int, _: bytes) -> Fate:
        if number == chosen:
            processes[0].kill()
            processes[0].wait()
            return Fate.LOST
        return Fate.PASSED

    with proxy_of(target.server, judge) as proxy:
        command = [sys.executable, "-m", killed_publisher.__name__, proxy.url, "2", target.format.value]
        processes.append(subprocess.Popen(command, stderr=subprocess.PIPE))
        _, errors = processes[0].communicate(timeout=60)
        assert processes[0].returncode == (-9 if chosen else 0), errors.decode()
        return proxy.commands


def commands_of_a_publish(target: Target) -> list[bytes]:
    with target.server.client() as client:
        client.execute_command("FLUSHALL")
        publish(client, generation(1), rules(format=target.format))
    return killed_at(target, 0)


def kill_at_each(target: Target, numbers: Iterable[int]) -> set[int]:
    """Kill a publisher at each of some commands; returns the generations that readers saw then."""
    seen = set()
    with target.server.client() as client:
        for number in numbers:
            client.execute_command("FLUSHALL")
            publish(client, generation(1), rules(format=target.format))
            killed_at(target, number)
            seen.add(read_generation(client))
            assert no_key_without_expiry(client)
            # Whoever publishes next, later, removes all that is left.
            done = publish(client, generation(3), rules(format=target.format))
            assert read_generation(client) == 3
            assert keys_in(client) == keys_of(done.version, ids_of(3)), f"killed at command {number}"
    return seen


def no_key_without_expiry(client: Redis) -> bool:
    return all(client.execute_command("TTL", key) > 0 for key in keys_in(client))


def test_a_publisher_that_is_killed_leaves_one_whole_version_to_readers(redis_target: Target) -> None:
    commands = commands_of_a_publish(redis_target)
    scripts = [number for number, name in enumerate(commands, start=1) if name == b"EVAL"]
    # Three blocks, the flip, the removal of the old version: after the first block, around the flip, at last.
    *blocks, flip, _ = scripts
    assert len(blocks) == 3
    assert kill_at_each(redis_target, [blocks[1], flip, flip + 1, len(commands) - 1]) == {1, 2}


@pytest.mark.soak
def test_a_publisher_that_is_killed_at_any_command_leaves_one_whole_version(redis_target: Target) -> None:
    commands = commands_of_a_publish(redis_target)
    assert kill_at_each(redis_target, range(1, len(commands) + 1)) == {1, 2}
