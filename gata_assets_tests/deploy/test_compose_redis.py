"""deploy/compose/redis.conf: a server takes it, and its users may do what they have to, and nothing else.

Real: Valkey with the directives of the file but its port and directory; a publish and readers. Not real: the image.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from gata_assets.errors import OnlineError
from gata_assets.lake.online.publisher import publish
from gata_assets.online.connection import open_client
from gata_assets.online.keys import OnlineKeys
from gata_assets.online.rights import PUBLISHER_COMMANDS, READER_COMMANDS
from gata_assets_tests.support.compose import DEPLOY, ENVIRONMENT, SERVICES
from gata_assets_tests.support.online_worlds import TENANT, generation, read_generation, rules
from gata_assets_tests.support.redis_servers import RedisServer, running

pytestmark = pytest.mark.server
KEYS = OnlineKeys(TENANT)
PASSWORD = urlsplit(ENVIRONMENT["REDIS_URL"]).password
DIRECTIVES = [line.split() for line in (DEPLOY / "compose" / "redis.conf").read_text().splitlines() if line[:1] > "#"]
# Where the server of a test is, is its own.
PLACES = ("bind", "port", "dir")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A server with the file's directives."""
    options = [word for name, *words in DIRECTIVES if name not in PLACES for word in (f"--{name}", *words)]
    with running("valkey", *options) as found:
        yield found


def client_of(server: RedisServer, user: str) -> Redis:
    return open_client(f"unix://{user}:{PASSWORD}@{server.path}", KEYS.pointer)


def test_its_users_publish_and_read_and_do_nothing_else(server: RedisServer) -> None:
    publisher, app = client_of(server, "publisher"), client_of(server, "app")
    publish(publisher, generation(1), rules())
    assert read_generation(app) == read_generation(publisher) == 1
    with pytest.raises(OnlineError, match="its user may not use"):
        publish(app, generation(2), rules())
    for client in (app, publisher):
        for command in (("FLUSHALL",), ("KEYS", "*"), ("CONFIG", "GET", "*"), ("GET", "other:key")):
            with pytest.raises(NoPermissionError):
                client.execute_command(*command)


def test_nobody_is_let_in_without_a_user_and_the_health_check_reads_nothing(server: RedisServer) -> None:
    with pytest.raises(AuthenticationError):
        server.client().execute_command("PING")
    health = server.client(username="health", password="none")
    assert health.execute_command("PING")
    with pytest.raises(NoPermissionError):
        health.execute_command("GET", KEYS.pointer)
    assert "--user health" in SERVICES["redis"]["healthcheck"]["test"][1]


@pytest.mark.parametrize(
    ("user", "commands"),
    [("app", READER_COMMANDS), ("publisher", (*PUBLISHER_COMMANDS, *READER_COMMANDS, "INFO"))],
)
def test_rights_are_the_documented_ones_without_those_of_the_module(user: str, commands: tuple[str, ...]) -> None:
    [line] = [" ".join(words) for words in DIRECTIVES if words[:2] == ["user", user]]
    expected = {command.lower() for command in commands if not command.startswith("JSON.")}
    assert set(re.findall(r"\+(\S+)", line)) == expected
    assert " ~gata:* " in line and " -@all " in line


def test_no_ticket_is_evicted() -> None:
    assert ["maxmemory-policy", "noeviction"] in DIRECTIVES
