"""`gata online` and what `gata doctor` says of Redis. Real: the commands in this process, Redis, Valkey."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from gata_assets.cli.exit_codes import DONE, FAILED, WRONG
from gata_assets.cli.online.group import online, verify_command
from gata_assets.lake.online.publisher import publish
from gata_assets.lake.online.tickets import OnlineTicket, newest_first
from gata_assets.online.rights import PUBLISHER_COMMANDS, READER_COMMANDS
from gata_assets.settings.model import Settings
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.command import Ran, gata
from gata_assets_tests.support.online_worlds import generation, ids_of, in_order, keys_in, rules, slice_of, ticket
from gata_assets_tests.support.redis_servers import RedisServer, Target


def lines(ran: Ran) -> list[dict[str, object]]:
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.fixture
def published(valkey: RedisServer) -> RedisServer:
    publish(valkey.client(), generation(1), rules())
    return valkey


def test_a_ticket_is_printed_as_it_is_in_redis(tmp_path: Path, published: RedisServer) -> None:
    words = ["online", "get", "7", "--tenant", "acme"]
    expected = json.loads(ticket(7, 1).document)
    ran = gata(tmp_path, *words, REDIS_URL=published.url)
    assert (ran.returncode, json.loads(ran.stdout)) == (DONE, expected)
    assert '"ü"' in ran.stdout
    (line,) = lines(gata(tmp_path, *words, "--json", REDIS_URL=published.url))
    assert line == {"event": "ONLINE_TICKET", "tenant": "acme", "ticket": expected}


def test_the_newest_are_listed_without_their_texts(tmp_path: Path, published: RedisServer) -> None:
    words = ["online", "list", "--tenant", "acme", "--limit", "3", "--offset", "2"]
    *found, listed = lines(gata(tmp_path, *words, REDIS_URL=published.url))
    assert [one["id"] for one in found] == in_order(ids_of(1))[2:5]
    assert set(found[0]) == {"event", "tenant", "id", "version_at", "status", "priority", "group"}
    assert (listed["event"], listed["tickets"], listed["published"]) == ("ONLINE_LISTED", 3, len(ids_of(1)))
    shown = gata(tmp_path, *words, "--summary", "table", REDIS_URL=published.url)
    assert "The newest tickets of acme" in shown.stdout
    assert f"3 of {len(ids_of(1))} tickets. Version 20260102T030100.000000Z-" in shown.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("get 99999 --tenant acme", "This ticket is not among the newest of acme (ONLINE_LIMIT, ONLINE_STATUSES)."),
        ("get 7 --tenant other", "No tickets of other are published below gata"),
        ("list --tenant other", "No tickets of other are published below gata"),
    ],
)
def test_what_is_not_there_is_said(words: str, said: str, tmp_path: Path, published: RedisServer) -> None:
    ran = gata(tmp_path, "online", *words.split(), REDIS_URL=published.url)
    assert (ran.returncode, ran.stdout) == (FAILED, "")
    assert said in ran.stderr


@pytest.mark.parametrize("words", ["get 7 --tenant acme", "list --tenant acme"])
def test_without_a_url_nothing_is_connected_to(words: str, tmp_path: Path) -> None:
    ran = gata(tmp_path, "online", *words.split())
    assert (ran.returncode, ran.stdout) == (WRONG, "")
    assert "REDIS_URL is unset" in ran.stderr


def test_a_redis_that_is_gone_is_named_without_the_password(tmp_path: Path) -> None:
    secret = canary("redis password")
    url = f"unix://gata:{secret}@{tmp_path}/none.sock"
    ran = gata(tmp_path, "online", "list", "--tenant", "acme", REDIS_URL=url)
    assert ran.returncode == FAILED
    assert f"Redis at {tmp_path}/none.sock: it cannot be reached" in ran.stderr
    assert secret not in ran.stderr


@pytest.fixture
def _with_verify() -> Iterator[None]:
    """`gata online verify`, by the tickets of generation 1."""

    def expected(_: Settings, tenant: str) -> list[OnlineTicket]:
        assert tenant == "acme"
        return newest_first(generation(1).tickets)

    before = dict(online.commands)
    online.add_command(verify_command(expected))
    yield
    online.commands.clear()
    online.commands.update(before)


@pytest.mark.usefixtures("_with_verify")
def test_verify_reports_differences_in_numbers(tmp_path: Path, published: RedisServer) -> None:
    words = ["online", "verify", "--tenant", "acme"]
    assert isinstance(online.commands["verify"], click.Command)
    ran = gata(tmp_path, *words, REDIS_URL=published.url)
    assert ran.returncode == DONE
    assert f"has the {len(ids_of(1))} tickets that it should" in ran.stdout
    publish(published.client(), slice_of(ids_of(1)[1:], 2), rules())
    ran = gata(tmp_path, *words, "--json", REDIS_URL=published.url)
    (line,) = lines(ran)
    assert ran.returncode == FAILED
    differences = {kind: count for kind, count in line["differences"].items() if count}  # type: ignore[attr-defined]
    assert differences == {"missing": 1, "different": len(ids_of(1)) - 1}
    assert "1 missing" in gata(tmp_path, *words, REDIS_URL=published.url).stdout


def findings(tmp_path: Path, url: str, **variables: str) -> dict[str, tuple[bool | None, str]]:
    ran = gata(tmp_path, "doctor", "--json", REDIS_URL=url, **variables)
    found = [line for line in lines(ran) if line["event"] == "FINDING"]
    return {str(line["subject"]): (line["is_well"], str(line["found"])) for line in found}  # type: ignore[misc]


def test_doctor_says_which_redis_it_is_and_that_the_rights_are_enough(tmp_path: Path, redis_target: Target) -> None:
    has_module = redis_target.format == "module"
    found = findings(tmp_path, redis_target.server.url, ONLINE_JSON=redis_target.format.value)
    is_well, text = found["online"]
    assert is_well is True
    assert ("with the JSON module" in text) is has_module
    assert text.startswith("Valkey 9." if "valkey" in redis_target.server.program else "Redis ")
    assert found["online, eviction"][0] is True
    assert found["online, rights"][0] is True
    client = redis_target.server.client()
    assert all(0 < client.execute_command("TTL", key) <= 120 for key in keys_in(client))


def test_doctor_finds_a_module_that_is_missing_and_an_eviction_policy(tmp_path: Path, valkey: RedisServer) -> None:
    client = valkey.client()
    client.execute_command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        found = findings(tmp_path, valkey.url, ONLINE_JSON="module")
    finally:
        client.execute_command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert found["online"][0] is False
    assert "Set ONLINE_JSON=strings, or load the module" in found["online"][1]
    assert found["online, eviction"][0] is None
    assert "maxmemory-policy is allkeys-lru, by which single tickets may vanish" in found["online, eviction"][1]


def test_doctor_finds_a_right_that_is_missing(tmp_path: Path, valkey: RedisServer) -> None:
    client = valkey.client()
    commands = [f"+{name.lower()}" for name in {*PUBLISHER_COMMANDS, *READER_COMMANDS} if not name.startswith("JSON")]
    for left_out, is_well in ((None, True), ("+unlink", False)):
        given = [command for command in commands if command != left_out]
        client.execute_command("ACL", "SETUSER", "publisher", "reset", "on", ">secret", "~gata:*", *given)
        found = findings(tmp_path, f"unix://publisher:secret@{valkey.path}")
        assert found.get("online, rights", found["online"])[0] is is_well, found
        assert "may not ask for its version" in found["online"][1] or not is_well


def test_doctor_says_nothing_of_redis_where_there_is_none(tmp_path: Path) -> None:
    ran = gata(tmp_path, "doctor", "--json")
    assert not [line for line in lines(ran) if str(line.get("subject", "")).startswith("online")]
