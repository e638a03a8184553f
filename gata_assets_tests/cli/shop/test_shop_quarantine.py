"""`gata quarantine` of a shop: rejected rows, files validated again, and what waits.

Real: the commands in process, raw files of a generated shop in a directory. Nothing is faked.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gata_assets.sandbox.sample_shop import write_sample_shop
from gata_assets.sandbox.shop.parameters import parameters_of
from gata_assets.storage.local import LocalStore
from gata_assets_tests.shop.engine import TABLES
from gata_assets_tests.support.command import gata

SOURCE = "shop/ecommerce"
KEY = {"MASKING_KEY": "k" * 32}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("shop")
    parameters = parameters_of("ecommerce", orders=60, share=0.04, seed=1, first_day=date(2025, 12, 20))
    write_sample_shop(LocalStore(str(directory / "gata-data")), parameters)
    assert gata(directory, "prepare", "2026010300", "--only", "shop").returncode == 0
    return directory


def events(directory: Path, *words: str, **variables: str) -> list[dict[str, Any]]:
    ran = gata(directory, *words, "--json", **variables)
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_what_was_rejected_is_counted_printed_and_validated_again(shop: Path) -> None:
    counted = events(shop, "quarantine", "--tenant", SOURCE)
    rules = {str(line["rule"]) for line in counted if line["event"] == "ROWS_IN_QUARANTINE"}
    assert {"email_is_an_email_address", "phone_is_a_phone_number"} <= rules
    rows = events(shop, "quarantine", "rows", "--tenant", SOURCE, "--rule", "email_is_an_email_address")
    assert {row["email"] for row in rows} == {"***"}
    # With another key files are outdated, until they are validated again.
    assert "FILE_OUTDATED" in {line["event"] for line in events(shop, "quarantine", "--tenant", SOURCE, **KEY)}
    again = events(shop, "quarantine", "--tenant", SOURCE, "--replay", **KEY)
    assert {line["event"] for line in again} == {"FILE_VALIDATED"}
    rows = events(shop, "quarantine", "rows", "--tenant", SOURCE, "--rule", "email_is_an_email_address", **KEY)
    assert all(str(row["email"]).startswith("email_") for row in rows)


def test_what_waits_is_counted_by_rule(shop: Path) -> None:
    *waiting, last = events(shop, "quarantine", "waiting", "--tenant", SOURCE)
    assert {line["rule"] for line in waiting if line["table"] == "orders"} == {
        "customer_is_known",
        "order_total_is_sum_of_items",
    }
    assert last == {"event": "WAITING_LISTED", "source": SOURCE, "oldest_parked_at": None}


def test_what_waits_is_printed_and_every_counted_row_is_there(shop: Path) -> None:
    counted = events(shop, "quarantine", "waiting", "--tenant", SOURCE)[:-1]
    rows = events(shop, "quarantine", "waiting", "--tenant", SOURCE, "--rows", "--limit", "0")
    found = Counter((row["table"], row["verdict"], rule) for row in rows for rule in row["rules"])
    assert found == {(line["table"], line["verdict"], line["rule"]): line["rows"] for line in counted} != {}
    payment = next(row for row in rows if row["table"] == "payments")
    assert set(TABLES["payments"].curated_schema) < set(payment)
    assert datetime.fromisoformat(payment["paid_at"]).tzinfo and Decimal(payment["amount"])
    assert {row["card_number"] and row["card_number"][:-4] for row in rows if "card_number" in row} <= {"*" * 12, None}


def test_a_table_a_verdict_a_rule_and_a_limit_choose_waiting_rows(shop: Path) -> None:
    words = ("quarantine", "waiting", "--tenant", SOURCE)
    choice = ("--table", "orders", "--rule", "customer_is_known", "--verdict", "quarantined")
    [line, _] = events(shop, *words, *choice)
    rows = events(shop, *words, *choice, "--rows", "--limit", "0")
    assert len(rows) == line["rows"] > 1
    assert all(row["table"] == "orders" and "customer_is_known" in row["rules"] for row in rows)
    ran = gata(shop, *words, *choice, "--rows", "--limit", "1", "--summary", "table")
    assert str(rows[0]["order_id"]) in ran.stdout and str(rows[1]["order_id"]) not in ran.stdout
    assert "The first 1 rows; --limit shows more." in ran.stderr
    assert "--limit" not in gata(shop, *words, *choice, "--rows", "--limit", str(len(rows))).stderr
    none = gata(shop, *words, "--verdict", "parked", "--rows")
    assert (none.returncode, none.stdout, "No such row" in none.stderr) == (0, "", True)
    for wrong in (("--table", "order"), ("--rule", "is_nice"), ("--rows", "--limit", "0", "--summary", "table")):
        assert gata(shop, *words, *wrong).returncode == 2


def test_no_further_day_is_read_once_the_limit_is_reached(shop: Path) -> None:
    days = shop / "gata-data" / "shop" / "curated" / "ecommerce" / "curated" / "orders"
    last = max(days.glob("2*/*_waiting-*"))
    content = last.read_bytes()
    last.write_bytes(content[:-1])
    words = ("quarantine", "waiting", "--tenant", SOURCE, "--rows", "--json", "--limit")
    codes = [gata(shop, *words, limit).returncode for limit in ("1", "0")]
    last.write_bytes(content)
    assert codes == [0, 1]


def test_rows_of_a_tenant_do_not_wait(tmp_path: Path) -> None:
    ran = gata(tmp_path, "quarantine", "waiting", "--tenant", "acme")
    assert ran.returncode == 2
    assert "rows of a shop alone wait for others: shop/NAME" in ran.stderr
