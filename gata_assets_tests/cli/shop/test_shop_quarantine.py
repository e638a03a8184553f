"""`gata quarantine` of a shop: rejected rows, files validated again, and what waits.

Real: the commands in process, raw files of a generated shop in a directory. Nothing is faked.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from gata_assets.sandbox.sample_shop import write_sample_shop
from gata_assets.sandbox.shop.parameters import parameters_of
from gata_assets.storage.local import LocalStore
from gata_assets_tests.support.command import gata

SOURCE = "shop/ecommerce"
KEY = {"MASKING_KEY": "k" * 32}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    parameters = parameters_of("ecommerce", orders=60, share=0.04, seed=1, first_day=date(2025, 12, 20))
    write_sample_shop(LocalStore(str(tmp_path / "gata-data")), parameters)
    assert gata(tmp_path, "prepare", "2026010300", "--only", "shop").returncode == 0
    return tmp_path


def events(directory: Path, *words: str, **variables: str) -> list[dict[str, object]]:
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


def test_rows_of_a_tenant_do_not_wait(tmp_path: Path) -> None:
    ran = gata(tmp_path, "quarantine", "waiting", "--tenant", "acme")
    assert ran.returncode == 2
    assert "rows of a shop alone wait for others: shop/NAME" in ran.stderr
