"""Faults of Redis while a publisher writes: lost connections at each command, no memory, replicas, rights, silence.

Real: Debian's Redis without and with the JSON module, and Valkey, over Unix sockets, TCP and TLS, as two nodes of a
cluster, with users of its own; a proxy between both that loses connections.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep

import pytest
from redis import Redis

from gata_assets.errors import NotPublishedError, OnlineError
from gata_assets.lake.online.publisher import publish, publish_to
from gata_assets.lake.online.tickets import OnlineRules, OnlineTicket, OnlineTickets
from gata_assets.online import DocumentFormat, OnlineReader
from gata_assets.online.connection import open_client
from gata_assets.online.keys import OnlineKeys
from gata_assets.online.rights import PUBLISHER_COMMANDS, READER_COMMANDS
from gata_assets_tests.support.canaries import canary, canary_digits
from gata_assets_tests.support.loopback import free_port, silent_server
from gata_assets_tests.support.online_worlds import (
    START,
    TENANT,
    generation,
    ids_of,
    keys_in,
    keys_of,
    read_generation,
    rules,
    ticket,
)
from gata_assets_tests.support.redis_proxy import Fate, RedisProxy, proxy_of
from gata_assets_tests.support.redis_servers import RedisServer, Target, running

KEYS = OnlineKeys(TENANT)


def publish_through(proxy: RedisProxy, target: Target, number: int) -> str:
    with open_client(proxy.url, KEYS.pointer) as client:
        return publish(client, generation(number), rules(format=target.format)).version


def commands_of_a_publish(target: Target) -> list[bytes]:
    """The commands of the second publish, which removes the first."""
    with target.server.client() as client:
        client.execute_command("FLUSHALL")
        publish(client, generation(1), rules(format=target.format))
    with proxy_of(target.server) as proxy:
        publish_through(proxy, target, 2)
    return proxy.commands


def lose_every(target: Target, fate: Fate, numbers: Iterator[int] | range) -> None:
    for chosen in numbers:
        with target.server.client() as client:
            client.execute_command("FLUSHALL")
            publish(client, generation(1), rules(format=target.format))
            with proxy_of(
                target.server, lambda number, _, chosen=chosen: fate if number == chosen else Fate.PASSED
            ) as it:
                # Commands by which a connection begins are not tried again: the client is opened without them.
                version = publish_through(it, target, 2)
            assert read_generation(client) == 2
            assert keys_in(client) == keys_of(version, ids_of(2)), (chosen, it.commands[chosen - 1])


def first_of_a_publish(commands: list[bytes]) -> int:
    """The first command after those by which the client is opened."""
    return commands.index(b"TIME") + 1


@pytest.mark.parametrize("fate", [Fate.LOST, Fate.UNANSWERED], ids=["lost", "unanswered"])
def test_a_connection_that_is_lost_at_a_command_is_made_up_for(fate: Fate, redis_target: Target) -> None:
    commands = commands_of_a_publish(redis_target)
    first, last = first_of_a_publish(commands), len(commands)
    steps = max(1, (last - first) // 5)
    lose_every(redis_target, fate, range(first + (fate is Fate.LOST), last + 1, steps))


@pytest.mark.soak
@pytest.mark.parametrize("fate", [Fate.LOST, Fate.UNANSWERED], ids=["lost", "unanswered"])
def test_a_connection_that_is_lost_at_every_command_is_made_up_for(fate: Fate, redis_target: Target) -> None:
    commands = commands_of_a_publish(redis_target)
    lose_every(redis_target, fate, range(first_of_a_publish(commands), len(commands) + 1))


def test_every_nth_command_fails_and_the_slice_is_published_all_the_same(valkey: RedisServer) -> None:
    # A connection begins with commands of its own: with fewer between two faults no step would ever end.
    for n in (9, 11, 13):
        with (
            valkey.client() as client,
            proxy_of(valkey, lambda k, _, n=n: Fate.LOST if k % n == 0 else Fate.PASSED) as it,
        ):
            client.execute_command("FLUSHALL")
            publish(client, generation(1), rules())
            with it.client() as through:
                done = publish(through, generation(2), rules(patience_seconds=30))
            assert read_generation(client) == 2
            assert keys_in(client) == keys_of(done.version, ids_of(2))


def test_a_redis_that_is_gone_for_good_is_an_error_of_the_environment_and_nothing_changes(valkey: RedisServer) -> None:
    with valkey.client() as client:
        done = publish(client, generation(1), rules())
        with proxy_of(valkey, lambda number, _: Fate.PASSED if number < 14 else Fate.LOST) as proxy:
            through = proxy.client()
            with pytest.raises(OnlineError, match="cannot be reached, or ended the connection") as raised:
                publish(through, generation(2), rules(patience_seconds=0.2))
        assert raised.value.is_transient
        assert any("which the next publish does" in note for note in raised.value.__notes__)
        assert read_generation(client) == 1
        assert len(keys_in(client)) > len(keys_of(done.version, ids_of(1)))
        newest = publish(client, generation(3), rules())
        assert keys_in(client) == keys_of(newest.version, ids_of(3))


@pytest.mark.server
def test_a_server_that_never_answers_is_given_up_after_the_timeout() -> None:
    with silent_server() as port:
        started = monotonic()
        with pytest.raises(OnlineError, match=rf"Redis at 127\.0\.0\.1:{port}: it did not respond in time\."):
            open_client(f"redis://127.0.0.1:{port}", KEYS.pointer, timeout_seconds=0.2)
        assert monotonic() - started < 15


def test_a_server_without_memory_keeps_the_old_version_and_loses_the_new(redis_target: Target) -> None:
    client, chosen = redis_target.server.client(), rules(format=redis_target.format)
    done = publish(client, generation(1), chosen)
    secret = canary("memory")
    used = int(client.info("memory")["used_memory"])

    def large() -> Iterator[OnlineTicket]:
        # Each another text: the module keeps a text once that several documents have.
        for number in range(2_000):
            yield ticket(number, text=f"{secret} {number} " + "x" * 10_000)

    try:
        client.execute_command("CONFIG", "SET", "maxmemory", str(used + 4_000_000), "maxmemory-policy", "noeviction")
        with pytest.raises(
            OnlineError, match=r"no memory left \(maxmemory\)\. Give it room for two versions"
        ) as raised:
            publish(client, OnlineTickets(TENANT, generation(2).data_at, "digest 2", large()), chosen)
        assert secret not in repr(raised.value) + repr(raised.value.__dict__)
        assert not getattr(raised.value, "__notes__", [])
        assert keys_in(client) == keys_of(done.version, ids_of(1))
        assert read_generation(client) == 1
    finally:
        client.execute_command("CONFIG", "SET", "maxmemory", "0")


def test_no_message_has_a_value_a_key_or_an_argument(redis_target: Target) -> None:
    client = redis_target.server.client()
    secret, number = canary("ticket"), int(canary_digits("id")[:18])
    given = OnlineTickets(TENANT, START, "digest", [ticket(number, text=secret)])
    done = publish(client, given, rules(format=redis_target.format))
    # Of another type, so that a command on it is refused.
    info = f"gata:{{acme}}:tickets:{done.version}:info"
    client.execute_command("DEL", info)
    client.execute_command("SET", info, secret)
    with pytest.raises(OnlineError, match="a key has a value of another program") as raised:
        OnlineReader(client, TENANT).get(number)
    assert secret not in str(raised.value)
    assert str(number) not in str(raised.value)


def test_a_server_without_the_module_is_told_by_its_refusal_and_no_ticket_is_in_it(valkey: RedisServer) -> None:
    client, secret = valkey.client(), canary("module")
    given = OnlineTickets(TENANT, START, "digest", [ticket(7, text=secret)])
    with pytest.raises(OnlineError, match=r"it has no JSON module. Set ONLINE_JSON=strings") as raised:
        publish(client, given, rules(format=DocumentFormat.MODULE))
    assert secret not in str(raised.value)
    assert keys_in(client) == set()


def test_a_replica_is_named_as_one(valkey: RedisServer) -> None:
    with valkey.client() as client:
        publish(client, generation(1), rules())
        try:
            client.execute_command("REPLICAOF", "127.0.0.1", str(free_port()))
            with pytest.raises(OnlineError, match=r"it is a replica, which takes no writes. Name the primary"):
                publish(client, generation(2), rules())
            # Readers may well read from one.
            client.execute_command("CONFIG", "SET", "replica-serve-stale-data", "yes")
            assert read_generation(client) == 1
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")


def user_of(client: Redis, name: str, commands: tuple[str, ...], keys: str) -> Redis:
    """A client of a user who may use these commands on these keys, and nothing else."""
    given = [f"+{command.lower()}" for command in commands]
    client.execute_command("ACL", "SETUSER", name, "reset", "on", ">secret", f"~{keys}", *given)
    path = client.connection_pool.connection_kwargs["path"]
    return open_client(f"unix://{name}:secret@{path}", KEYS.pointer)


def allowed(commands: tuple[str, ...], target: Target) -> tuple[str, ...]:
    """The commands that are sent in this form of documents."""
    unused = {"module": {"MGET"}, "strings": {"JSON.SET", "JSON.MGET"}}[target.format]
    return tuple(one for one in commands if one not in unused)


def test_users_with_the_listed_rights_alone_publish_and_read(redis_target: Target) -> None:
    client, chosen = redis_target.server.client(), rules(format=redis_target.format)
    publisher = user_of(client, "publisher", allowed(PUBLISHER_COMMANDS, redis_target), "gata:{acme}:tickets*")
    done = publish(publisher, generation(1), chosen)
    assert publish(publisher, generation(1), chosen).is_renewed
    done = publish(publisher, generation(2), chosen)
    assert keys_in(client) == keys_of(done.version, ids_of(2))
    reader = user_of(client, "reader", allowed(READER_COMMANDS, redis_target), "gata:{acme}:tickets*")
    assert read_generation(reader) == 2
    with pytest.raises(OnlineError, match="its user may not use"):
        publish(reader, generation(3), chosen)


@pytest.mark.parametrize("kind", ["publisher", "reader"])
def test_each_listed_right_is_needed(kind: str, redis_target: Target) -> None:
    client, chosen = redis_target.server.client(), rules(format=redis_target.format)
    commands = allowed(PUBLISHER_COMMANDS if kind == "publisher" else READER_COMMANDS, redis_target)
    for left_out in commands:
        client.execute_command("FLUSHALL")
        publish(client, generation(1), chosen)
        rest = tuple(one for one in commands if one != left_out)
        pattern = rf"may not use (the command {left_out}|a command of the publisher's scripts)"
        with pytest.raises(OnlineError, match=pattern):
            do_all_of(kind, user_of(client, "someone", rest, "gata:{acme}:tickets*"), chosen)


def do_all_of(kind: str, user: Redis, chosen: OnlineRules) -> None:
    """What a publisher does, or a reader; what the former leaves to the next is an error here."""
    if kind == "reader":
        read_generation(user)
        return
    publish(user, generation(1), chosen)
    if left := publish(user, generation(2), chosen).not_removed:
        raise OnlineError(left)


def test_a_wrong_password_and_a_missing_one_are_named(valkey: RedisServer) -> None:
    client = valkey.client()
    user_of(client, "publisher", PUBLISHER_COMMANDS[:3], "gata:*").close()
    secret = canary("password")
    with pytest.raises(OnlineError, match="does not take the user and password of REDIS_URL") as raised:
        open_client(f"unix://publisher:{secret}@{valkey.path}", KEYS.pointer)
    assert secret not in str(raised.value)
    client.execute_command("ACL", "SETUSER", "default", "off")
    try:
        with pytest.raises(OnlineError, match=r"needs a password|does not take the user"):
            open_client(valkey.url, KEYS.pointer)
    finally:
        client.execute_command("ACL", "SETUSER", "default", "on")


@pytest.mark.parametrize("url", ["http://secret-host", "redis://:secret@host:x/0", "unix:/"])
def test_a_url_that_is_none_is_not_repeated(url: str) -> None:
    with pytest.raises(OnlineError) as raised:
        open_client(url, KEYS.pointer, timeout_seconds=0.1)
    assert "secret" not in str(raised.value)


def certificates(directory: Path) -> tuple[Path, Path]:
    """A certificate for loopback, signed by itself, and its key."""
    certificate, key = directory / "redis.crt", directory / "redis.key"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    output = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *output],
        check=True,
        capture_output=True,
    )
    return certificate, key


@pytest.mark.redis
@pytest.mark.server
def test_tls_is_spoken_and_a_certificate_that_nobody_trusts_refused(tmp_path: Path) -> None:
    certificate, key = certificates(tmp_path)
    port = free_port()
    files = ["--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-ca-cert-file", str(certificate)]
    options = ["--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1", "--tls-auth-clients", "no", *files]
    with running("redis", *options):
        url = f"rediss://127.0.0.1:{port}"
        with open_client(f"{url}?ssl_ca_certs={certificate}", KEYS.pointer) as client:
            publish(client, generation(1), rules())
            assert read_generation(client) == 1
        assert read_generation(f"{url}?ssl_ca_certs={certificate}") == 1
        with pytest.raises(OnlineError, match="certificate"):
            open_client(url, KEYS.pointer)


@pytest.mark.server
@pytest.mark.redis
def test_in_a_cluster_the_node_of_the_tenant_is_found_and_all_keys_are_there() -> None:
    with ExitStack() as stack:
        ports = [free_port(), free_port()]
        nodes = [
            stack.enter_context(
                running(
                    "redis",
                    "--port",
                    str(port),
                    "--bind",
                    "127.0.0.1",
                    "--cluster-enabled",
                    "yes",
                    "--cluster-port",
                    str(free_port()),
                )
            )
            for port in ports
        ]
        for node, (first, last) in zip(nodes, ((0, 8191), (8192, 16383)), strict=True):
            node.client().execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
        bus = nodes[1].options[nodes[1].options.index("--cluster-port") + 1]
        nodes[0].client().execute_command("CLUSTER", "MEET", "127.0.0.1", ports[1], bus)
        until = monotonic() + 20
        while not all(b"cluster_state:ok" in _cluster_info(node) for node in nodes):
            assert monotonic() < until, "the cluster does not get ready"
            sleep(0.02)
        for tenant in ("acme", "b", "c", "d"):
            keys = OnlineKeys(tenant)
            given = OnlineTickets(tenant, START, "digest", generation(1).tickets)
            # Whichever node is named, one of them is the wrong one.
            for port in ports:
                url = f"redis://127.0.0.1:{port}"
                with open_client(url, keys.pointer) as client:
                    publish(client, given, rules())
                assert OnlineReader(url, tenant).count() == len(ids_of(1))
                assert len(OnlineReader(url, tenant).newest(5)) == 5
        wrong = [node for node in nodes if not any("{acme}" in key for key in keys_in(node.client()))]
        with pytest.raises(OnlineError, match="a node of a cluster, and the tenant's keys are at another"):
            OnlineReader(wrong[0].client(), TENANT).count()


def _cluster_info(node: RedisServer) -> bytes:
    found = node.client().execute_command("CLUSTER", "INFO")
    return found if isinstance(found, bytes) else repr(found).replace("': '", ":").encode()


def test_a_reader_tries_a_lost_connection_again(valkey: RedisServer) -> None:
    with valkey.client() as client:
        publish(client, generation(1), rules())
    with proxy_of(valkey, lambda number, name: Fate.LOST if (number, name) == (4, b"GET") else Fate.PASSED) as proxy:
        assert read_generation(proxy.url) == 1


def test_what_nobody_published_is_an_error_of_its_own(valkey: RedisServer) -> None:
    with pytest.raises(NotPublishedError, match="No tickets of acme are published below gata"):
        OnlineReader(valkey.url, TENANT).count()


def test_a_server_that_is_silent_for_a_while_is_asked_again(valkey: RedisServer) -> None:
    with valkey.client() as client, open_client(valkey.url, KEYS.pointer, timeout_seconds=0.05) as hasty:
        publish(client, generation(1), rules())

        def paused() -> Iterator[OnlineTicket]:
            tickets = list(generation(2).tickets)
            yield from tickets[:12]
            client.execute_command("CLIENT", "PAUSE", "300", "ALL")
            yield from tickets[12:]

        done = publish(hasty, OnlineTickets(TENANT, generation(2).data_at, "digest 2", paused()), rules())
        assert read_generation(client) == 2
        assert keys_in(client) == keys_of(done.version, ids_of(2))


def test_a_redis_that_starts_late_is_waited_for(valkey: RedisServer) -> None:
    refused = iter(range(1, 4))
    with proxy_of(valkey, lambda *_: Fate.LOST if next(refused, None) else Fate.PASSED) as proxy:
        done = publish_to(proxy.url, generation(1), rules())
    assert next(refused, None) is None
    with valkey.client() as client:
        assert keys_in(client) == keys_of(done.version, ids_of(1))


def test_an_error_that_another_try_cannot_help_is_raised_at_once(valkey: RedisServer) -> None:
    with pytest.raises(OnlineError, match="does not take the user and password") as raised:
        publish_to(f"unix://nobody:secret@{valkey.path}", generation(1), rules(patience_seconds=3_600))
    assert not raised.value.is_transient
