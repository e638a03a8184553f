"""`publish`: the tickets of a tenant into Redis, so that readers see the version before or this one, and no mix.

A new version is written beside the published one and counted; then one pointer is set, if no newer version is published
and nothing of this one is missing; then older versions are removed. Whatever ends a publisher, its version is removed:
by itself, by the next publisher, or when it expires.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter

from redis import Redis
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from gata_assets.errors import DataRuleError, OnlineError, OutrunError
from gata_assets.lake.online.steps import SECONDS_WITHOUT_POINTER, Steps
from gata_assets.lake.online.tickets import OnlineRules, OnlineTicket, OnlineTickets
from gata_assets.online.connection import open_client
from gata_assets.online.info import VersionInfo
from gata_assets.online.keys import ORDER_LENGTH, OnlineKeys, version_name


@dataclass(frozen=True)
class Published:
    """What a publish did.

    Attributes:
        version: that is published now.
        replaced: the version that was published before; None where there was none.
        count: of tickets.
        sent_bytes: of their JSON; 0 where nothing was written.
        is_renewed: whether the published version has these tickets already, and only its expiry changed.
        removed_versions: older and abandoned ones.
        flip_seconds: from the finished count to the answer that the pointer is set.
        not_removed: why something is left to remove, which the next publish tries again; None where nothing is.
    """

    version: str
    replaced: str | None
    count: int
    sent_bytes: int
    is_renewed: bool
    removed_versions: int
    flip_seconds: float
    not_removed: str | None = None


def publish(client: Redis, given: OnlineTickets, rules: OnlineRules) -> Published:
    """Publish the newest tickets of a tenant.

    A connection that fails is tried again for `rules.patience_seconds`. Where the published version has the same digest
    and rules, and all of its tickets, only its expiry is renewed, and `given.tickets` is not read.

    Raises:
        OutrunError: A publisher that looked at the lake later was faster.
        DataRuleError: There are more tickets than the limit, or one comes twice.
        OnlineError: Redis did not respond, or refused.

    After any of them the version that was published before still is.
    """
    keys = OnlineKeys(given.tenant, rules.prefix)
    steps = Steps(client, keys, rules)
    expires_at = int(steps.now() + rules.ttl_hours * 3600) + SECONDS_WITHOUT_POINTER
    before = steps.published()
    version = version_name(given.data_at, secrets.token_hex(4))
    if before and before[:ORDER_LENGTH] > version[:ORDER_LENGTH]:
        raise _outrun(before, given)
    if renewed := _renew(steps, before, given, rules, expires_at):
        return renewed
    steps.begin(version, expires_at)
    try:
        sent_bytes, info = _write(steps, version, given, rules, expires_at)
        started = perf_counter()
        outcome, about = steps.flip(info, before)
        flip_seconds = perf_counter() - started
        _require_flipped(outcome, about, info, given)
    except BaseException as error:
        _take_back(steps, version, error)
        raise
    # Asked again, since the first answer was lost, Redis names the own version.
    replaced = before if about == version else about or None
    removed, not_removed = _remove_others(steps, version, replaced, rules)
    return Published(version, replaced, info.count, sent_bytes, False, removed, flip_seconds, not_removed)


def publish_to(url: str, given: OnlineTickets, rules: OnlineRules, *, timeout_seconds: float = 10) -> Published:
    """Publish to the Redis of a URL, which may be away for `rules.patience_seconds` when it is connected to.

    As `publish`; `timeout_seconds` is for how long Redis may be silent.
    """
    key = OnlineKeys(given.tenant, rules.prefix).pointer
    connecting = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, OnlineError) and error.is_transient),
        stop=stop_after_delay(rules.patience_seconds),
        wait=wait_random_exponential(0.05, max=2),
        reraise=True,
    )
    with connecting(open_client, url, key, timeout_seconds=timeout_seconds) as client:
        return publish(client, given, rules)


def _write(
    steps: Steps, version: str, given: OnlineTickets, rules: OnlineRules, expires_at: int
) -> tuple[int, VersionInfo]:
    """Write a version and count it; returns the bytes of its tickets, and what it is."""
    count = sent_bytes = 0
    seen: set[int] = set()
    for block in _blocks(given.tickets, rules):
        count += len(block)
        seen.update(ticket.id for ticket in block)
        if count > rules.limit:
            raise DataRuleError(
                f"More than {rules.limit:,} tickets of {given.tenant} were given for Redis (ONLINE_LIMIT): choose the "
                "newest before. Nothing was published."
            )
        if repeated := count - len(seen):
            raise DataRuleError(
                f"{repeated:,} of {count:,} tickets of {given.tenant} have the id of another: each ticket belongs into "
                "the slice once, by its newest version. Nothing was published."
            )
        sent_bytes += sum(len(ticket.document) for ticket in block)
        steps.write(version, block, expires_at)
    listed, found = steps.count(version)
    if not steps.is_noted(version):
        newer = steps.published()
        if newer and newer[:ORDER_LENGTH] >= version[:ORDER_LENGTH]:
            raise _outrun(newer, given)
        raise _removed(version, given)
    if (listed, found) != (count, count):
        raise OnlineError(
            f"Of {count:,} tickets of {given.tenant} that were written Redis lists {listed:,} and has {found:,}: "
            "others write below ONLINE_PREFIX, or keys are evicted (use the policy noeviction). Nothing was published."
        )
    return sent_bytes, VersionInfo(
        version=version,
        count=count,
        digest=given.digest,
        data_at=given.data_at,
        published_at=datetime.fromtimestamp(steps.now(), UTC),
        expires_at=datetime.fromtimestamp(expires_at - SECONDS_WITHOUT_POINTER, UTC),
        limit=rules.limit,
        statuses=rules.statuses,
        format=rules.format,
    )


def _require_flipped(outcome: str, about: str, info: VersionInfo, given: OnlineTickets) -> None:
    if outcome == "outrun":
        raise _outrun(about, given)
    if outcome == "removed":
        raise _removed(info.version, given)
    if outcome == "count":
        raise OnlineError(
            f"Redis lists {about} tickets of version {info.version} of {given.tenant} in place of {info.count:,}: "
            "others write below ONLINE_PREFIX. Nothing was published."
        )


def _removed(version: str, given: OnlineTickets) -> OnlineError:
    return OnlineError(
        f"Version {version} of {given.tenant} was removed before it was published: this publisher paused for longer "
        "than others wait. Publish again."
    )


def _outrun(newer: str, given: OnlineTickets) -> OutrunError:
    return OutrunError(
        f"Version {newer} of {given.tenant} was published by another publisher, which looked at the lake no earlier. "
        "It stays, and nothing of this one is left; there is nothing to do."
    )


def _renew(
    steps: Steps, published: str | None, given: OnlineTickets, rules: OnlineRules, expires_at: int
) -> Published | None:
    """Renew the published version where it is what would be written; None where it is not."""
    info = steps.info(published) if published else None
    # One that is to expire earlier than before is rewritten: while it is renewed, tickets could expire first.
    if info is None or info.expires_at.timestamp() > expires_at - SECONDS_WITHOUT_POINTER:
        return None
    if (info.digest, info.limit, info.statuses, info.format) != (
        given.digest,
        rules.limit,
        rules.statuses,
        rules.format,
    ):
        return None
    if not steps.renew(info, expires_at):
        return None
    removed, not_removed = _remove_others(steps, info.version, None, rules)
    return Published(info.version, info.version, info.count, 0, True, removed, 0.0, not_removed)


def _remove_others(steps: Steps, version: str, replaced: str | None, rules: OnlineRules) -> tuple[int, str | None]:
    """Remove versions that can never be published again; how many, and why not all.

    Those are the one that was replaced, older ones, and newer ones whose publisher wrote nothing for long. What cannot
    be removed now is left to the next publish: the new version is published all the same.
    """
    removed, abandoned = 0, steps.now() - rules.abandoned_minutes * 60
    try:
        for other, written_at in steps.others().items():
            is_older = other == replaced or other[:ORDER_LENGTH] < version[:ORDER_LENGTH]
            if other != version and (is_older or written_at < abandoned):
                removed += steps.remove(other)
    except OnlineError as error:
        return removed, str(error)
    return removed, None


def _take_back(steps: Steps, version: str, error: BaseException) -> None:
    """Remove the own version after a failure, which is what the caller is to see."""
    steps.hurry()
    try:
        steps.remove(version)
    except OnlineError as later:
        error.add_note(f"Its version was not removed either, which the next publish does: {later}")


def _blocks(tickets: Iterable[OnlineTicket], rules: OnlineRules) -> Iterator[list[OnlineTicket]]:
    """Tickets in blocks of so many, and of so many bytes unless a single one has more."""
    block: list[OnlineTicket] = []
    size = 0
    for ticket in tickets:
        if block and (len(block) == rules.block_tickets or size + len(ticket.document) > rules.block_bytes):
            yield block
            block, size = [], 0
        block.append(ticket)
        size += len(ticket.document)
    if block:
        yield block
