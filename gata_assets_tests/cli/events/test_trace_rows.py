"""`gata trace --table`: curated rows traced to files, records, requests, streams and offsets, over entire chains.

Real: the commands in this process, the HTTP service on a port, a broker, roll-up, validation and curation in a
directory. Given: the service's clock.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gata_assets.ingestion.keys.key_store import KeyStore
from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets.sandbox.sample_shop import write_sample_shop
from gata_assets.sandbox.shop.parameters import parameters_of
from gata_assets.shop.places import ShopLayout
from gata_assets.storage.local import LocalStore
from gata_assets.tables.manifests import plain_name
from gata_assets_tests.support.brokers import Broker
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.command import Ran, gata
from gata_assets_tests.support.http_service import TENANT, RunningService
from gata_assets_tests.support.raw_worlds import NOW, curator_of, encode, interaction
from gata_assets_tests.support.topics import consumer_of, message, running, stored_messages, until

DAY = date(2026, 1, 2)


def lines(ran: Ran, code: int = 0) -> list[dict[str, Any]]:
    assert ran.returncode == code, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def trace(directory: Path, table: str, *words: str, tenant: str = TENANT, **values: str) -> Ran:
    key = [word for name, value in values.items() for word in ("--key", f"{name}={value}")]
    return gata(directory, "trace", "--tenant", tenant, "--table", table, *key, *words)


def curate(store: LocalStore, day: date = DAY) -> None:
    curator = curator_of(store, now=datetime.now(UTC))
    curator.validate_new(ITEMS)
    curator.refresh(ITEMS)
    curator.validate_new(INTERACTIONS)
    list(curator.curate(INTERACTIONS, [day]))


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """The target of commands in `tmp_path`."""
    return LocalStore(str(tmp_path / "gata-data"))


@pytest.fixture
def service(store: LocalStore) -> Iterator[RunningService]:
    """A service with a key of the tenant."""
    secret, _ = KeyStore(store, lambda: NOW).create(TENANT, ["ingest"])
    with RunningService(store, secret=secret) as found:
        yield found


@pytest.mark.server
def test_a_row_of_an_event_is_traced_to_its_stream_offset_and_request(
    service: RunningService, store: LocalStore, tmp_path: Path
) -> None:
    for number in range(3):
        event = interaction(user_id=f"u{number}")
        answer = service.post("/v1/events?table=interactions", event, {"X-Request-ID": f"request-{number}"})
    lines(gata(tmp_path, "events", "rollup", "--all"))
    curate(store)
    asked = {"user_id": "u1", "item_id": "i1", "timestamp": "2026-01-02T03:04:05Z"}
    [found, last] = lines(trace(tmp_path, INTERACTIONS, **asked))
    assert (found["stream"], found["offset"], found["request_id"]) == (answer.json["stream"], 1, "request-1")
    assert (found["record"], found["source"], found["received_at"]) == (2, "http", NOW.isoformat())
    assert (found["curated_partition"], found["counts"], found["topic"]) == (str(DAY), True, None)
    assert last == {
        "event": "ROWS_TRACED",
        "table": INTERACTIONS,
        "rows": 1,
        "records": 1,
        "is_current": True,
        "waiting": 0,
    }
    [of_record] = lines(gata(tmp_path, "trace", found["raw"], "2", "--tenant", TENANT))
    assert {name: of_record[name] for name in ("stream", "offset", "request_id")} == {
        name: found[name] for name in ("stream", "offset", "request_id")
    }
    shown = trace(tmp_path, INTERACTIONS, "--summary", "table", **asked).stdout
    assert f"Row 1 of {DAY}: record 2 counts" in shown
    assert "request id: request-1" in shown and "1 curated rows, of 1 records." in shown


def test_a_row_of_a_message_is_traced_to_its_topic_partition_and_offset(
    noida_broker: Broker, store: LocalStore, tmp_path: Path
) -> None:
    topic = noida_broker.new_topic(1)
    noida_broker.send(topic, [message(number) for number in range(3)])
    with running(consumer_of(noida_broker.connection, topic, store)):
        until(lambda: stored_messages(store, topic) == 3)
    lines(gata(tmp_path, "events", "rollup", "--all"))
    curate(store, date(2026, 1, 10))
    [found, _] = lines(trace(tmp_path, INTERACTIONS, user_id="u2"))
    assert (found["topic"], found["partition"], found["offset"]) == (topic, 0, 2)
    assert (found["stream"], found["record"], found["request_id"]) == (f"kafka/{topic}/0", 3, None)


@pytest.mark.server
def test_a_row_of_an_uploaded_file_is_traced_to_its_record_and_request(
    service: RunningService, store: LocalStore, tmp_path: Path
) -> None:
    # Lines are no records: a value has a line break.
    rows = [interaction(user_id="a", device_type="two\nlines"), interaction(rating="9"), interaction(user_id="b")]
    uploaded = service.upload(encode(rows, "csv"), "January.csv")
    curate(store)
    asked = {"user_id": "b", "interaction_type": "view", "rating": ""}
    [found, _] = lines(trace(tmp_path, INTERACTIONS, **asked))
    assert (found["record"], found["file_id"], found["counts"]) == (3, uploaded.json["file_id"], True)
    assert found["request_id"] == uploaded.headers["x-request-id"]
    assert (found["landed_at"], found["stream"], found["offset"]) == (NOW.isoformat(), None, None)
    # The first request stays when the same content comes again, and when rows are validated again.
    service.upload(encode(rows, "csv"), "again.csv")
    lines(gata(tmp_path, "quarantine", "--tenant", TENANT, "--replay"))
    curate(store)
    assert lines(trace(tmp_path, INTERACTIONS, **asked))[0]["request_id"] == uploaded.headers["x-request-id"]


def test_wrong_words_are_refused_and_no_value_is_said(store: LocalStore, tmp_path: Path) -> None:
    value = canary("value")
    for words, said in (
        ((), "Give FILE and RECORD, or --table and --key."),
        (("FILE",), "Give FILE and RECORD"),
        (("FILE", "1", "--table", INTERACTIONS, "--key", f"user_id={value}"), "Give FILE and RECORD"),
        (("--table", INTERACTIONS), "--table and --key go together"),
        (("--table", INTERACTIONS, "--key", value), "COLUMN=VALUE"),
        (("--table", "unheard_of", "--key", f"user_id={value}"), "there are: interactions, items"),
        (("--table", ITEMS, *("--key", f"item_id={value}") * 2), "a column is given twice"),
    ):
        ran = gata(tmp_path, "trace", "--tenant", TENANT, *words)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert said in ran.stderr and value not in ran.stderr
    for table, values, said in (
        (ITEMS, {"title": value}, "has the key item_id"),
        (INTERACTIONS, {"owner": value}, "has no column owner"),
        (INTERACTIONS, {"timestamp": value}, "The value of timestamp is not written as Datetime"),
        (INTERACTIONS, {"interaction_type": value}, "is not one of view, click"),
        (INTERACTIONS, {"user_id": value}, "no validated file has such a row"),
    ):
        ran = trace(tmp_path, table, **values)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert said in ran.stderr and value not in ran.stderr


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop whose order tables and customers are curated."""
    directory = tmp_path_factory.mktemp("shop")
    parameters = parameters_of("ecommerce", orders=30, share=0.04, seed=1, first_day=date(2025, 12, 20))
    write_sample_shop(LocalStore(str(directory / "gata-data")), parameters)
    assert gata(directory, "prepare", "2026010300", "--only", "shop").returncode == 0
    return directory


def curated_changes(shop: Path, table: str) -> list[dict[str, Any]]:
    """The visible rows of a shop's table."""
    store = LocalStore(str(shop / "gata-data"))
    folder, end = ShopLayout("ecommerce").curated(table), f"/{table}.parquet"
    keys = [key for key in store.list_keys(folder) if plain_name(key).endswith(end)]
    return [row for key in keys for row in pl.read_parquet(store.read(key)).to_dicts()]


@pytest.mark.parametrize(("table", "key"), [("customers", "customer_id"), ("orders", "order_id")])
def test_a_row_of_a_shop_is_traced_to_the_change_that_counts(table: str, key: str, shop: Path) -> None:
    rows = curated_changes(shop, table)
    for row in rows[:: len(rows) // 3]:
        *found, last = lines(trace(shop, table, tenant="shop/ecommerce", **{key: row[key]}))
        assert (last["rows"], last["records"], last["is_current"]) == (1, len(found), True)
        [counts] = [place for place in found if place["counts"]]
        assert counts["raw"] == ShopLayout("ecommerce").raw(table) + row["source_file"]
        # These are Parquet, whose lines are records.
        assert counts["record"] == row["source_line"]


def test_a_row_of_a_shop_that_waits_is_said_to_wait(shop: Path) -> None:
    words = ("quarantine", "waiting", "--tenant", "shop/ecommerce", "--rows", "--table", "orders", "--limit", "0")
    waiting = {row["order_id"] for row in lines(gata(shop, *words, "--json"))}
    earlier = waiting & {row["order_id"] for row in curated_changes(shop, "orders")}
    assert earlier and waiting - earlier
    ran = trace(shop, "orders", tenant="shop/ecommerce", order_id=min(waiting - earlier))
    assert (ran.returncode, "1 rows with it waited too long" in ran.stderr) == (1, True)
    last = lines(trace(shop, "orders", tenant="shop/ecommerce", order_id=min(earlier)))[-1]
    assert (last["rows"], last["waiting"]) == (1, 1)
    ran = trace(shop, "orders", "--summary", "table", tenant="shop/ecommerce", order_id=min(earlier))
    assert "1 changes of it wait for other rows" in ran.stdout
