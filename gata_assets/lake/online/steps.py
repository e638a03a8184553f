"""What a publisher asks of Redis, a step at a time; each may be carried out again when its reply was lost.

A step is one command or one transaction. Of a step whose connection fails Redis has done all or nothing, and doing it
again changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Any, TypeVar

from redis import Redis
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from gata_assets.lake.online.tickets import OnlineRules, OnlineTicket
from gata_assets.online.connection import in_words, is_transient, pairs, send, text
from gata_assets.online.info import DocumentFormat, VersionInfo
from gata_assets.online.keys import ORDER_LENGTH, OnlineKeys

T = TypeVar("T")
Command = tuple[Any, ...]
# The pointer and the description expire before all else: a reader finds a whole version, or none.
SECONDS_WITHOUT_POINTER = 60

# A block of tickets as one command: three times as fast as a command each in a transaction, whose replies take longest.
# KEYS: versions, ids, documents. Only where it is: a version that others have begun to remove is noted there no more.
_WRITE = f"""
redis.call('ZADD', KEYS[1], 'XX', ARGV[2], ARGV[1])
for i = 3, #KEYS do
  local given = 3 * i - 4
  redis.call('ZADD', KEYS[2], ARGV[given], ARGV[given + 1])
  if i == 3 then redis.call('EXPIREAT', KEYS[2], ARGV[3]) end
  if ARGV[4] == '{DocumentFormat.MODULE.value}' then
    redis.call('JSON.SET', KEYS[i], '.', ARGV[given + 2])
    redis.call('EXPIREAT', KEYS[i], ARGV[3])
  else
    redis.call('SET', KEYS[i], ARGV[given + 2], 'EXAT', ARGV[3])
  end
end
"""
# One command for Redis: nothing of others is carried out in between. KEYS: pointer, ids, info, versions, removed.
_FLIP = f"""
local current = redis.call('GET', KEYS[1])
if current == ARGV[1] then return {{'flipped', current}} end
if current then
  local theirs, ours = string.sub(current, 1, {ORDER_LENGTH}), string.sub(ARGV[1], 1, {ORDER_LENGTH})
  if theirs > ours or (theirs == ours and current ~= ARGV[2]) then return {{'outrun', current}} end
end
if not redis.call('ZSCORE', KEYS[4], ARGV[1]) then return {{'removed', ''}} end
local count = redis.call('ZCARD', KEYS[2])
if count ~= tonumber(ARGV[3]) then return {{'count', tostring(count)}} end
redis.call('HSET', KEYS[3], unpack(ARGV, 5))
redis.call('EXPIREAT', KEYS[3], ARGV[4])
redis.call('SET', KEYS[1], ARGV[1], 'EXAT', ARGV[4])
return {{'flipped', current or ''}}
"""
_RENEW = f"""
if redis.call('GET', KEYS[1]) ~= ARGV[1] or redis.call('EXISTS', KEYS[3]) == 0 then return 0 end
local expires_at = tonumber(ARGV[2])
redis.call('EXPIREAT', KEYS[2], expires_at + {SECONDS_WITHOUT_POINTER})
redis.call('EXPIREAT', KEYS[4], expires_at + {SECONDS_WITHOUT_POINTER})
redis.call('HSET', KEYS[3], 'expires_at', ARGV[2])
redis.call('EXPIREAT', KEYS[3], expires_at)
redis.call('EXPIREAT', KEYS[1], expires_at)
return 1
"""
# What is noted as removed can never be published, and without its description readers of it begin again.
_CONDEMN = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return 0 end
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('SADD', KEYS[5], ARGV[1])
redis.call('EXPIREAT', KEYS[5], ARGV[2])
redis.call('UNLINK', KEYS[3])
return 1
"""


class Steps:
    """The steps on the keys of one tenant. Each raises OnlineError once its patience is over."""

    def __init__(self, client: Redis, keys: OnlineKeys, rules: OnlineRules) -> None:
        self._client, self._keys, self._rules = client, keys, rules
        self._patience_seconds = rules.patience_seconds
        # The clock of Redis, by which keys expire.
        seconds, _ = self._do("TIME")
        self._offset = int(seconds) - monotonic()

    def hurry(self) -> None:
        """Try each step once from now on."""
        self._patience_seconds = 0

    def now(self) -> float:
        """Seconds since 1970, by the clock of Redis."""
        return self._offset + monotonic()

    def published(self) -> str | None:
        """The version that is published."""
        version = self._do("GET", self._keys.pointer)
        return None if version is None else text(version)

    def info(self, version: str) -> VersionInfo | None:
        """What a version is, if it is there."""
        fields = self._do("HGETALL", self._keys.info(version))
        return VersionInfo.from_fields(version, pairs(fields)) if fields else None

    def begin(self, version: str, expires_at: int) -> None:
        """Note that a version is being written, before anything of it is."""
        versions = self._keys.versions
        self._all([("ZADD", versions, repr(self.now()), version), ("EXPIREAT", versions, expires_at)])

    def write(self, version: str, tickets: Sequence[OnlineTicket], expires_at: int) -> None:
        """Write a block of tickets: the list first, so that what is in Redis is always listed."""
        keys = [self._keys.versions, self._keys.ids(version)]
        keys += self._keys.documents(version, (ticket.id for ticket in tickets))
        values: list[Any] = [version, repr(self.now()), expires_at, self._rules.format.value]
        for ticket in tickets:
            values += (repr(ticket.version_at), ticket.id, ticket.document)
        self._do("EVAL", _WRITE, len(keys), *keys, *values)

    def is_noted(self, version: str) -> bool:
        """Whether a version is one that nobody has begun to remove."""
        return self._do("ZSCORE", self._keys.versions, version) is not None

    def count(self, version: str) -> tuple[int, int]:
        """How many tickets a version lists, and how many of those are there."""
        listed = found = 0
        for documents in self._blocks(version):
            listed += len(documents)
            found += int(self._do("EXISTS", *documents))
        return listed, found

    def flip(self, info: VersionInfo, expected: str | None) -> tuple[str, str]:
        """Publish a version that is whole, unless a newer one is published or, of the same instant, one not expected.

        Returns the outcome (flipped, outrun, removed, count), and the version or count that it is about.
        """
        fields = [part for field in info.to_fields().items() for part in field]
        values = [info.version, expected or "", info.count, int(info.expires_at.timestamp()), *fields]
        outcome, about = self._script(_FLIP, info.version, values)
        return text(outcome), text(about)

    def renew(self, info: VersionInfo, expires_at: int) -> bool:
        """Have a version expire later; False where something of it is missing, and then it has to be rewritten."""
        listed = 0
        for documents in self._blocks(info.version):
            listed += len(documents)
            if not all(self._all([("EXPIREAT", key, expires_at) for key in documents])):
                return False
        values = [info.version, expires_at - SECONDS_WITHOUT_POINTER]
        return listed == info.count and bool(self._script(_RENEW, info.version, values))

    def others(self) -> dict[str, float]:
        """All versions that may have keys, each with when its publisher last wrote: never, if it is being removed."""
        found = pairs(self._do("ZRANGE", self._keys.versions, 0, -1, "WITHSCORES"))
        removed = {text(version): 0.0 for version in self._do("SMEMBERS", self._keys.removed)}
        return {version: float(written_at) for version, written_at in found.items()} | removed

    def remove(self, version: str) -> bool:
        """Remove a version, its tickets before their list; False, and nothing, where it is the published one."""
        ids, expires_at = self._keys.ids(version), int(self.now() + self._rules.ttl_hours * 3600)
        if not self._script(_CONDEMN, version, [version, expires_at]):
            return False
        while block := self._do("ZRANGE", ids, 0, self._rules.block_tickets - 1):
            documents = self._keys.documents(version, map(text, block))
            self._all([("UNLINK", *documents), ("ZREM", ids, *block)])
        self._do("SREM", self._keys.removed, version)
        return True

    def _script(self, script: str, version: str, values: Sequence[Any]) -> Any:
        keys = self._keys
        names = (keys.pointer, keys.ids(version), keys.info(version), keys.versions, keys.removed)
        return self._do("EVAL", script, len(names), *names, *values)

    def _blocks(self, version: str) -> Iterator[list[str]]:
        start, size = 0, self._rules.block_tickets
        while ids := self._do("ZRANGE", self._keys.ids(version), start, start + size - 1):
            yield self._keys.documents(version, map(text, ids))
            start += size

    def _do(self, *command: Any) -> Any:
        return self._again(lambda: send(self._client, *command))

    def _all(self, commands: Sequence[Command]) -> list[Any]:
        """The replies of a transaction; Redis carries it out as a whole, or nothing of it."""

        def execute() -> list[Any]:
            with self._client.pipeline(transaction=True) as pipe:
                for command in commands:
                    send(pipe, *command)
                replies: list[Any] = pipe.execute()
            return replies

        return self._again(execute)

    def _again(self, step: Callable[[], T]) -> T:
        retrying = Retrying(
            retry=retry_if_exception(is_transient),
            stop=stop_after_delay(self._patience_seconds),
            wait=wait_random_exponential(0.05, max=2),
            reraise=True,
        )
        with in_words(self._client):
            done: T = retrying(step)
            return done
