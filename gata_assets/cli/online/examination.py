"""What `gata doctor` finds of Redis: which it is, what it may evict, whether it has the JSON module, and the rights.

A publish of one ticket of a tenant that cannot exist shows that all rights are there; its keys expire within minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from redis import Redis, RedisError

from gata_assets.cli.online.reading import connected
from gata_assets.errors import OnlineError
from gata_assets.lake.online.publisher import publish
from gata_assets.lake.online.tickets import OnlineTicket, OnlineTickets
from gata_assets.online import DocumentFormat, OnlineReader
from gata_assets.online.connection import place_of
from gata_assets.settings.model import Settings

# No name of a tenant has capitals.
PROBE_TENANT = "DOCTOR"
_TICKET = b'{"id":1,"version_at":"2026-01-02T03:04:05Z","created_at":"2026-01-02T03:04:05Z"}'
_SHORT_HOURS = 1 / 60

Found = tuple[str, bool | None, str]


def examine_online(settings: Settings) -> Iterator[Found]:
    """Each finding as a subject, whether it is well (None: undecided), and what was found; raises OnlineError."""
    with connected(settings, PROBE_TENANT) as client:
        yield from _describe(client, settings)
        rules = replace(settings.online.rules, ttl_hours=_SHORT_HOURS)
        now = datetime.now(UTC)
        # The second one removes the first.
        for number in range(2):
            at = now + timedelta(microseconds=number)
            given = OnlineTickets(PROBE_TENANT, at, f"probe {at.isoformat()}", [OnlineTicket(1, 1.0, _TICKET)])
            if left := publish(client, given, rules).not_removed:
                raise OnlineError(left)
        OnlineReader(client, PROBE_TENANT, prefix=rules.prefix).newest(1)
    yield "online, rights", True, "a ticket was published, read and replaced; what is left expires in minutes"


def _describe(client: Redis, settings: Settings) -> Iterator[Found]:
    try:
        info: dict[str, Any] = client.info()
        has_module = any(module.get("name") == "ReJSON" for module in info.get("modules", []))
    except RedisError:
        # A publisher needs no right to ask.
        found = f"{place_of(client)}; its user may not ask for its version and eviction policy (INFO)"
        yield "online", None, found
        return
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = info.get("valkey_version", info.get("redis_version", "of an unknown version"))
    module = "with the JSON module" if has_module else "without the JSON module"
    form = settings.online.json_form
    is_possible = has_module or form is DocumentFormat.STRINGS
    advice = "" if is_possible else ". Set ONLINE_JSON=strings, or load the module"
    yield "online", is_possible, f"{name} {version} at {place_of(client)}, {module}; ONLINE_JSON={form.value}{advice}"
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy == "noeviction":
        yield "online, eviction", True, "noeviction: a publish that has no room fails, and the version before stays"
    else:
        yield (
            "online, eviction",
            None,
            f"maxmemory-policy is {policy}, by which single tickets may vanish from a version: set it to noeviction",
        )
