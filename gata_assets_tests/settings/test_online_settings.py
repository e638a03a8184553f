"""The settings of the online slice. Pure; nothing is faked."""

from __future__ import annotations

import pytest

from gata_assets.errors import SettingsError
from gata_assets.lake.online.tickets import OnlineRules
from gata_assets.online.info import DocumentFormat
from gata_assets.settings.model import parse_settings
from gata_assets_tests.support.canaries import canary


def test_without_settings_there_is_no_redis_and_the_rules_are_the_defaults() -> None:
    online = parse_settings({}).online
    assert (online.url, online.rules) == (None, OnlineRules())


def test_all_settings_become_rules() -> None:
    values = {"ONLINE_LIMIT": "7", "ONLINE_STATUSES": "open, new", "ONLINE_TTL_HOURS": "1.5", "ONLINE_JSON": "module"}
    values |= {"ONLINE_PREFIX": "app:x", "ONLINE_PATIENCE_SECONDS": "3"}
    assert parse_settings(values).online.rules == OnlineRules(
        prefix="app:x",
        limit=7,
        statuses=("new", "open"),
        ttl_hours=1.5,
        format=DocumentFormat.MODULE,
        patience_seconds=3,
    )


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://redis:6379/2",
        "rediss://user:pass%40word@redis.example:6380/0?ssl_ca_certs=/ca.pem",
        "unix:///run/redis.sock",
        "unix://user:password@/run/redis.sock?db=1",
    ],
)
def test_urls_of_redis_are_taken(url: str) -> None:
    found = parse_settings({"REDIS_URL": url}).online.url
    assert found
    assert found.get_secret_value() == url


@pytest.mark.parametrize("url", ["http://{}@redis", "redis.example:{}", "redis://", "redis://:{}@host:6379/x"])
def test_another_url_is_refused_and_not_shown(url: str) -> None:
    secret = canary("url of redis")
    with pytest.raises(SettingsError, match=r"REDIS_URL.* is not the URL of a Redis") as raised:
        parse_settings({"REDIS_URL": url.format(secret)})
    assert secret not in str(raised.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ONLINE_STATUSES", "open,deleted"),
        ("ONLINE_LIMIT", "0"),
        ("ONLINE_TTL_HOURS", "0.5"),
        ("ONLINE_JSON", "yes"),
        # Braces would decide in which slot of a cluster keys are.
        ("ONLINE_PREFIX", "a{b}"),
        ("ONLINE_PREFIX", "a b"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        parse_settings({variable: value})
