"""Brings Redis up to date with the lake: the slice is looked up, published, and what Redis lists is held against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis import Redis

from gata_assets.errors import NotPublishedError, OutrunError, VersionGoneError
from gata_assets.lake.check_names import SLICE_IS_COMPLETE, SLICE_IS_FRESH, SLICE_IS_IN_ORDER
from gata_assets.lake.online.publisher import Published, publish_to
from gata_assets.lake.online.slice import LakeSlice, with_slice
from gata_assets.lake.online.tickets import OnlineRules
from gata_assets.online.connection import open_client
from gata_assets.online.keys import OnlineKeys
from gata_assets.online.reader import OnlineReader
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.people.tombstones import TombstoneReader
from gata_assets.tables.outcomes import Outcome

_ADVICE = "Publish again; if it stays, others write below ONLINE_PREFIX, or keys are evicted (use noeviction)."


@dataclass(frozen=True)
class PublishedSlice:
    """What a publish did: the numbers for its asset's page, what Redis has, by check, and what identifies the slice."""

    numbers: Mapping[str, Any]
    outcomes: Mapping[str, list[Outcome]]
    digest: str


def publish_slice(
    store: ObjectStore,
    tenant: str,
    url: str,
    rules: OnlineRules,
    *,
    timeout_seconds: float,
    tombstones: TombstoneReader,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> PublishedSlice:
    """Publish the newest tickets of a tenant's lake, and check what Redis has then.

    Raises as `publisher.publish` and `slice.with_slice` do; OutrunError also where a newer version is published before
    this one is checked.
    """

    def publish(found: LakeSlice) -> tuple[LakeSlice, Published]:
        return found, publish_to(url, found.given(), rules, timeout_seconds=timeout_seconds)

    found, published = with_slice(store, tenant, rules, clock, publish, tombstones=tombstones)
    keys = OnlineKeys(tenant, rules.prefix)
    with open_client(url, keys.pointer, timeout_seconds=timeout_seconds, retries=1) as client:
        outcomes = check_published(client, keys, found, published.version)
    numbers = {
        "dagster/row_count": published.count,
        "bytes": published.sent_bytes,
        "renewed": int(published.is_renewed),
        "removed_versions": published.removed_versions,
        "flip_milliseconds": round(published.flip_seconds * 1_000, 3),
        "version": published.version,
        "lake_seen_at": found.data_at.isoformat(),
        **({"not_removed": published.not_removed} if published.not_removed else {}),
        **({} if published.count else {"reason": "no current ticket has one of ONLINE_STATUSES"}),
    }
    return PublishedSlice(numbers, outcomes, found.digest)


def check_published(client: Redis, keys: OnlineKeys, expected: LakeSlice, version: str) -> dict[str, list[Outcome]]:
    """Check that Redis has the tickets of the lake in this version: all of them, of now, newest first.

    Raises OutrunError if a newer version is published, and OnlineError.
    """
    try:
        found = OnlineReader(client, keys.tenant, decode=bytes, prefix=keys.prefix).pinned()
        listed, counted = found.listed(), found.count()
    except (NotPublishedError, VersionGoneError) as error:
        raise OutrunError(str(error)) from None
    if found.name != version:
        raise OutrunError(
            f"Version {found.name} of {keys.tenant} was published after this one; there is nothing to do."
        )
    wanted = expected.instants
    ids, known = {ticket_id for ticket_id, _ in listed}, {ticket_id for ticket_id, _ in wanted}
    is_counted = counted == found.info.count == len(listed)
    unlike = sum(ours != theirs for ours, theirs in zip(wanted, listed, strict=False))
    checked = len(wanted)
    stale = max(instant for _, instant in wanted) - max((instant for _, instant in listed), default=0) if wanted else 0
    is_old = found.info.digest != expected.digest or stale > 0
    return {
        SLICE_IS_COMPLETE: [
            Outcome("every ticket is listed", len(known - ids), checked, _ADVICE, "tickets"),
            Outcome("no other ticket is listed", len(ids - known), len(listed), _ADVICE, "tickets"),
            Outcome("as many as the version says", int(not is_counted), 1, _ADVICE, "versions"),
        ],
        SLICE_IS_FRESH: [Outcome("the version is of the lake as it is", int(is_old), 1, _ADVICE, "versions")],
        SLICE_IS_IN_ORDER: [Outcome("tickets are newest first", unlike, checked, _ADVICE, "tickets")],
    }
