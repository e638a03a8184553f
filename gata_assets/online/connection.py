"""The connection to Redis: opened by URL, in a Redis Cluster at the node that has the tenant's keys; errors in words.

A message has no value, no key and no argument of a command: those of redis repeat them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis, RedisError
from redis import exceptions as redis_errors
from redis.backoff import NoBackoff
from redis.retry import Retry

from gata_assets.errors import OnlineError

# Another try may succeed: of these nothing is known about the data.
_TRANSIENT = (
    redis_errors.ConnectionError,
    redis_errors.TimeoutError,
    redis_errors.TryAgainError,
    redis_errors.ClusterDownError,
)
_REFUSED_LOGIN = (redis_errors.AuthenticationError, redis_errors.AuthorizationError)
_MOST_MOVES = 3
_COMMAND = re.compile(r"'([a-zA-Z.|_-]{1,40})' command")
# The others are in every Redis since 6.2.
_NO_COMMAND = re.compile(r"unknown command '?json\.|(ERR )?unknown (\w+ )?command called from script", re.IGNORECASE)
# By the first word of what Redis replies.
_REPLIES = {
    "NOAUTH": "it needs a password: put one into REDIS_URL",
    "WRONGPASS": "it does not take the user and password of REDIS_URL",
    "MISCONF": "it takes no writes, since it cannot save its data on disk; see its log",
    "NOREPLICAS": "it takes no writes, since too few replicas are connected",
    "WRONGTYPE": "a key has a value of another program; choose another ONLINE_PREFIX",
    "CROSSSLOT": "keys of one tenant are in several slots of the cluster; choose an ONLINE_PREFIX without braces",
}


def open_client(url: str, key: str, *, timeout_seconds: float = 10, retries: int = 0) -> Redis:
    """Connect to the server of a URL; of a Redis Cluster, to the node that has `key`.

    Args:
        url: redis://, rediss:// (TLS) or unix://, with a user and password where they are needed.
        key: A key of the tenant, all of whose keys are at one node.
        timeout_seconds: For how long the server may be silent.
        retries: Of a command that was not answered; a publisher has a longer patience of its own.

    Raises OnlineError if the server does not respond or refuses.
    """
    options = _options(timeout_seconds, retries)
    try:
        client: Redis = Redis.from_url(url, **options)
    except ValueError as error:
        raise OnlineError(f"REDIS_URL is no URL of Redis: {_without_url(error)}") from None
    for _ in range(_MOST_MOVES):
        try:
            with in_words(client):
                send(client, "GET", key)
        except NodeMovedError as moved:
            given = client.connection_pool.connection_kwargs
            client.close()
            client = Redis(
                **{name: given[name] for name in ("username", "password") if given.get(name)},
                **{name: value for name, value in given.items() if name.startswith("ssl_")},
                ssl="SSL" in client.connection_pool.connection_class.__name__,
                host=moved.host,
                port=moved.port,
                **options,
            )
        except BaseException:
            client.close()
            raise
        else:
            return client
    client.close()
    raise OnlineError("The nodes of the Redis Cluster name one another for the tenant's keys: is it being resharded?")


class NodeMovedError(OnlineError):
    """The keys are at another node of the cluster."""

    def __init__(self, message: str, host: str, port: int) -> None:
        super().__init__(message, is_transient=True)
        self.host, self.port = host, port


def send(client: Any, *command: Any) -> Any:
    """Send a command by a client, or put it into a pipeline; gives the reply, or the pipeline."""
    return client.execute_command(*command)


def is_transient(error: BaseException) -> bool:
    """Whether an error of redis says nothing of the command, so that another try may succeed."""
    return isinstance(error, _TRANSIENT) and not isinstance(error, _REFUSED_LOGIN)


@contextmanager
def in_words(client: Redis) -> Iterator[None]:
    """Raise errors of redis as OnlineError, which says what to do, and nothing of values."""
    try:
        yield
    except redis_errors.MovedError as error:
        message = (
            f"Redis at {place_of(client)} is a node of a cluster, and the tenant's keys are at another. Try again."
        )
        raise NodeMovedError(message, error.host, error.port) from None
    except RedisError as error:
        message = f"Redis at {place_of(client)}: {_explain(error)}."
        raise OnlineError(message, is_transient=is_transient(error)) from None


def place_of(client: Redis) -> str:
    """Where a client is connected to, without the user and password."""
    given = client.connection_pool.connection_kwargs
    if path := given.get("path"):
        return str(path)
    return f"{given.get('host', 'localhost')}:{given.get('port', 6379)}"


def text(value: Any) -> str:
    """A reply as a text, whether the client decodes replies or not."""
    return value.decode() if isinstance(value, bytes) else str(value)


def pairs(reply: Any) -> dict[str, str]:
    """A reply of names with values as a dictionary, in its order."""
    if isinstance(reply, dict):
        return {text(name): text(value) for name, value in reply.items()}
    if reply and isinstance(reply[0], list | tuple):
        return {text(name): text(value) for name, value in reply}
    return {text(name): text(value) for name, value in zip(reply[::2], reply[1::2], strict=True)}


def _options(timeout_seconds: float, retries: int) -> dict[str, Any]:
    return {
        "retry": Retry(NoBackoff(), retries),
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "protocol": 2,
    }


def _explain(error: RedisError) -> str:
    """What an error means, and what to do."""
    reply = str(error).rpartition("caused error: ")[2]
    code = reply.partition(" ")[0]
    if isinstance(error, redis_errors.TimeoutError):
        return "it did not respond in time"
    if isinstance(error, _REFUSED_LOGIN):
        return _REPLIES.get(code, "it does not take the user and password of REDIS_URL")
    if isinstance(error, redis_errors.BusyLoadingError):
        return "it is loading its data; try again"
    if isinstance(error, redis_errors.ConnectionError) and "certificate" in reply.lower():
        return "its certificate is not trusted. Name the authority's file: rediss://…?ssl_ca_certs=FILE"
    if isinstance(error, redis_errors.ConnectionError):
        return "it cannot be reached, or ended the connection"
    if isinstance(error, redis_errors.OutOfMemoryError):
        return "it has no memory left (maxmemory). Give it room for two versions, or lower ONLINE_LIMIT"
    if isinstance(error, redis_errors.ReadOnlyError):
        return "it is a replica, which takes no writes. Name the primary in REDIS_URL"
    if what := _not_permitted(error, reply):
        return f"its user may not use {what}. docs/online.md lists the rights"
    if isinstance(error, redis_errors.ClusterError | redis_errors.TryAgainError):
        return "the cluster does not serve the tenant's keys now; try again"
    if _NO_COMMAND.match(reply):
        return "it has no JSON module. Set ONLINE_JSON=strings, or load the module"
    known = _REPLIES.get(code)
    return known or f"it refused a command ({code if code.isupper() else type(error).__name__})"


def _not_permitted(error: RedisError, reply: str) -> str | None:
    if isinstance(error, redis_errors.NoPermissionError) or "NOPERM" in reply:
        found = _COMMAND.search(reply)
        return f"the command {found[1].upper()}" if found else "keys of this prefix and tenant"
    if "executing the script can't" in reply or reply.startswith("ACL failure in script"):
        return "a command of the publisher's scripts, or its keys"
    # Redis refused what went before, and redis-py shows what came of it.
    return "the command MULTI" if "EXEC without MULTI" in reply else None


def _without_url(error: ValueError) -> str:
    # It may repeat the URL, which has a password.
    return (
        "it begins with redis://, rediss:// or unix://" if "scheme" in str(error) else "its port or options are wrong"
    )
