"""Sources of webhooks in the store, and their secrets.

Real: a directory and S3 over HTTP on loopback (moto), Secrets Manager likewise. Clocks are moved by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gata_assets.errors import DamagedTableError, WebhookError
from gata_assets.ingestion.webhooks.secrets import WebhookSecrets, secrets_manager
from gata_assets.ingestion.webhooks.source import WebhookSource
from gata_assets.ingestion.webhooks.source_store import CACHED_SECONDS, WEBHOOKS, WebhookStore
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.support.http_service import no_secrets_manager
from gata_assets_tests.support.memory_store import MemoryStore
from gata_assets_tests.support.moved_clock import BEGIN, MovedClock

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:webhooks/shop-A1b2C3"
SHOP = WebhookSource(
    "shop", "acme", "interactions", "standard", ("WEBHOOK_SECRET_SHOP",), is_flattened=False, created_at=BEGIN
)
CANARY = "whsec_canaryCanaryCanary"


class CountingStore(MemoryStore):
    """A store in memory that counts listings."""

    listings = 0

    def list_keys(self, prefix: str) -> Iterator[str]:
        self.listings += 1
        return super().list_keys(prefix)


def test_sources_are_added_found_replaced_and_removed(any_store: ObjectStore) -> None:
    sources = WebhookStore(any_store, MovedClock(), cached_seconds=0)
    assert (sources.list(), sources.find("shop")) == ([], None)
    sources.add(SHOP)
    other = replace(SHOP, name="crm", secrets=("WEBHOOK_SECRET_CRM", ARN), scheme="github", is_flattened=True)
    sources.add(other)
    assert sources.list() == [other, SHOP]
    assert sources.find("crm") == other
    with pytest.raises(WebhookError, match="is there already"):
        sources.add(SHOP)
    newer = replace(SHOP, table="items")
    sources.add(newer, replaces=True)
    assert sources.find("shop") == newer
    sources.remove("shop")
    assert sources.find("shop") is None
    for name in ("shop", "../keys/x"):
        with pytest.raises(WebhookError, match="no source"):
            sources.remove(name)
    with pytest.raises(WebhookError, match="no source"):
        sources.add(SHOP, replaces=True)


def test_a_change_counts_within_seconds_and_names_that_are_guessed_cost_nothing() -> None:
    store, clock = CountingStore(), MovedClock()
    sources = WebhookStore(store, clock)
    for number in range(50):
        assert sources.find(f"guess-{number}") is None
    assert store.listings == 1
    WebhookStore(store, clock).add(SHOP)
    clock.move(CACHED_SECONDS)
    assert sources.find("shop") == SHOP
    assert store.listings == 2


def test_the_record_of_a_source_has_the_names_of_its_secrets() -> None:
    store = MemoryStore()
    WebhookStore(store, MovedClock()).add(SHOP)
    assert json.loads(store.read(f"{WEBHOOKS}shop.json")) == {
        "version": 1,
        "name": "shop",
        "tenant": "acme",
        "table": "interactions",
        "scheme": "standard",
        "secrets": ["WEBHOOK_SECRET_SHOP"],
        "is_flattened": False,
        "created_at": BEGIN.isoformat(),
    }


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"version": 2}', b"\xff", b'{"name": "canary"}'], ids=["none", "{}", "2", "ff", "part"]
)
def test_a_damaged_record_stops_its_own_source_alone(content: bytes) -> None:
    store = MemoryStore()
    sources = WebhookStore(store, MovedClock(), cached_seconds=0)
    sources.add(SHOP)
    store.write(f"{WEBHOOKS}crm.json", content)
    assert sources.find("shop") == SHOP
    for ask in (sources.list, lambda: sources.find("crm")):
        with pytest.raises(DamagedTableError, match=r"crm\.json is damaged") as damaged:
            ask()
        assert "canary" not in str(damaged.value)
    # A record under another name is not that source.
    store.write(f"{WEBHOOKS}crm.json", store.read(f"{WEBHOOKS}shop.json"))
    with pytest.raises(DamagedTableError, match="its name is another"):
        sources.find("crm")
    sources.remove("crm")
    assert sources.list() == [SHOP]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Shop"},
        {"name": "shop_"},
        {"name": "x" * 31},
        {"name": "a/b"},
        {"tenant": "ingestion"},
        {"secrets": ()},
        {"secrets": ("WEBHOOK_SECRET_A", "WEBHOOK_SECRET_A")},
        {"secrets": ("WEBHOOK_SECRET_A", "WEBHOOK_SECRET_B", "WEBHOOK_SECRET_C")},
        {"secrets": ("AWS_SECRET_ACCESS_KEY",)},
        {"secrets": (CANARY,)},
        {"secrets": ("arn:aws:s3:::bucket/key",)},
    ],
)
def test_what_cannot_be_registered_is_refused_without_repeating_a_secret(wrong: dict[str, object]) -> None:
    store = MemoryStore()
    with pytest.raises(WebhookError) as refused:
        WebhookStore(store, MovedClock()).add(replace(SHOP, **wrong))  # type: ignore[arg-type]
    assert CANARY not in str(refused.value)
    assert list(store.list_keys("")) == []


def test_a_secret_of_a_variable_is_that_of_the_service() -> None:
    variables = {"WEBHOOK_SECRET_SHOP": f" {CANARY}\n", "WEBHOOK_SECRET_EMPTY": ""}
    secrets = WebhookSecrets(variables, no_secrets_manager)
    assert secrets.find("WEBHOOK_SECRET_SHOP") == CANARY
    for name in ("WEBHOOK_SECRET_EMPTY", "WEBHOOK_SECRET_OTHER"):
        with pytest.raises(WebhookError, match=f"no variable {name}"):
            secrets.find(name)


@pytest.mark.server
def test_a_secret_of_secrets_manager_is_read_again_after_a_minute(bucket: str) -> None:
    clock = MovedClock()
    client = secrets_manager("us-east-1")
    name = f"webhooks/{bucket}"
    secrets = WebhookSecrets({}, lambda: client, clock=lambda: clock().timestamp())
    with pytest.raises(WebhookError, match="ResourceNotFoundException"):
        secrets.find(ARN)
    arn = client.create_secret(Name=name, SecretString=CANARY)["ARN"]
    client.delete_secret(SecretId=arn)
    with pytest.raises(WebhookError, match="InvalidRequestException"):
        secrets.find(arn)
    client.restore_secret(SecretId=arn)
    # What failed is not asked for again at once.
    with pytest.raises(WebhookError, match="InvalidRequestException"):
        secrets.find(arn)
    clock.move(5)
    assert secrets.find(arn) == CANARY
    client.put_secret_value(SecretId=arn, SecretString="whsec_newer")
    assert secrets.find(arn) == CANARY
    clock.move(60)
    assert secrets.find(arn) == "whsec_newer"
    client.put_secret_value(SecretId=arn, SecretBinary=b"binary")
    clock.move(60)
    with pytest.raises(WebhookError, match="SecretString") as refused:
        secrets.find(arn)
    assert "binary" not in str(refused.value)
