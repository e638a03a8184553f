"""No card number, e-mail address or phone number, of a customer or in free text, is stored outside of raw files.

Real: raw files as CSV, JSON Lines and Parquet, and the curator. Faked: the store, in memory; the clock is an argument.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from random import Random

import polars as pl
import pytest

from gata_assets.settings.model import parse_settings
from gata_assets.settings.shop_rules import shop_tables
from gata_assets.shop.places import RAW
from gata_assets.tables.masking.tokens import NO_TOKENS, Tokens
from gata_assets_tests.shop.engine import PLACES, RULES, Curator, stored_rows
from gata_assets_tests.shop.stories import at
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.memory_store import MemoryStore

NOW = at(48)
DAY = "year=2026/month=01/day=02/"
EMAIL, PHONE, NAME = f"{canary('mail')}@example.com", "+49 151 23456789", canary("name")
# As an identifier, and as a reference to it.
ADDRESS = f"{canary('address')}@example.com"
PHONE_ID = f"+49151{Random('id').randrange(10**7, 10**8)}"
# What a shop of these regions has; its references and keys in national notation are ids.
SHOP = shop_tables(parse_settings({"SHOP_PHONE_REGIONS": "US,DE"}))
IDENTIFIERS = ("customer_id", "order_id", "payment_id")
Row = Mapping[str, str | None]


def card(name: str) -> str:
    """A card number: its last digit is the check digit (Luhn)."""
    digits = "4" + "".join(Random(name).choices("0123456789", k=14))
    doubled = sum(sum(map(int, str(int(digit) * (2 - place % 2)))) for place, digit in enumerate(digits))
    return digits + str(-doubled % 10)


def phone(name: str) -> str:
    """A German mobile number, without the country's code and without its 0."""
    return "1511 " + "".join(Random(name).choices("0123456789", k=7))


def local(name: str) -> str:
    """An American number, without its area code."""
    digits = "".join(Random(name).choices("23456789", k=7))
    return f"{digits[:3]}-{digits[3:]}"


CUSTOMER = {"customer_id": "c1", "email": EMAIL, "phone": PHONE, "name": NAME, "city": None, "country": "DE"}
CUSTOMER |= {"created_at": "2026-01-01T00:00:00Z", "notes": None}
ORDER = {"order_id": "o1", "customer_id": "c1", "ordered_at": "2026-01-01T00:00:00Z", "status": "paid"}
ORDER |= {"currency": "EUR", "total_amount": "0.00", "note": None}
PAYMENT = {"payment_id": "y1", "order_id": "o1", "method": "card", "card_number": None, "amount": "1.00"}
PAYMENT |= {"currency": "EUR", "status": "captured", "paid_at": "2026-01-01T00:00:00Z"}
# Amounts may have as many digits as a card number, and are numbers.
AMOUNTS = ("total_amount", "amount")
TABLES: dict[str, Row] = {"customers": CUSTOMER, "orders": ORDER, "payments": PAYMENT}


def rows_of(table: str) -> list[Row]:
    """A valid row, for each column some with a card number and phone numbers there, and some whose identifiers are
    addresses or phone numbers; texts stay valid, others are rejected.
    """
    whole = TABLES[table]
    found: list[Row] = [whole, *({**whole, next(iter(whole)): contact} for contact in (ADDRESS, PHONE_ID))]
    if table == "orders":
        found += [{**whole, "order_id": f"a{at}", "customer_id": of} for at, of in enumerate((ADDRESS, PHONE_ID), 1)]
    for name in (*(name for name in whole if name not in AMOUNTS), "Op", "dms_timestamp"):
        found.append({"Op": "I", **whole, f"{next(iter(whole))}": f"x-{name}", name: card(f"{table} {name}")})
        text = f"call {card(table + name)}, +49 {phone(table + name)} or 0049{phone(name + table)} 10 to 12"
        if name not in IDENTIFIERS:
            text += f" or 0{phone(f'{table} DE {name}')}, (415) {local(f'{table} US {name}')}, thanks"
        found.append({"Op": "I", **whole, f"{next(iter(whole))}": f"z-{name}", name: text})
    # Rejected for another reason, with an address that is that of the valid row.
    return [*found, {**whole, next(iter(whole)): "r1", "country": "XX", "status": "none"}]


def cards_of(table: str) -> list[str]:
    names = (*TABLES[table], "Op", "dms_timestamp")
    return [card(f"{table} {name}") for name in names] + [card(table + name) for name in names]


def phones_of(table: str) -> list[str]:
    names = (*TABLES[table], "Op", "dms_timestamp")
    international = [phone(table + name) for name in names] + [phone(name + table) for name in names]
    national = [number for name in names for number in (phone(f"{table} DE {name}"), local(f"{table} US {name}"))]
    return international + national


def frame_of(rows: Sequence[Row], table: str) -> pl.DataFrame:
    names = ("Op", "dms_timestamp", *TABLES[table])
    return pl.DataFrame(
        [{"Op": "I", "dms_timestamp": "2026-01-01 00:00:00", **row} for row in rows],
        schema=dict.fromkeys(names, pl.String()),
    )


def content_of(table: str, ending: str) -> bytes:
    frame, unreadable = frame_of(rows_of(table), table), card(f"{table} unreadable")
    if ending == "parquet":
        sink = BytesIO()
        frame.write_parquet(sink)
        return sink.getvalue()
    if ending == "csv":
        ragged = f"I,{unreadable},{EMAIL},{PHONE},{NAME}\n"
        return frame.write_csv().encode() + ragged.encode() + f'I,a"{unreadable}"b{EMAIL},1\n'.encode()
    lines = [json.dumps(row) for row in frame.to_dicts()]
    return "\n".join(
        [*lines, f'{{"email": "{EMAIL}", "note": "{unreadable}', f'["{unreadable}", "{NAME}"]', ""]
    ).encode()


def curate(ending: str, tokens: Tokens) -> tuple[MemoryStore, list[str]]:
    store, warnings = MemoryStore(), list[str]()
    for table in TABLES:
        store.write(f"{PLACES.raw(table)}{DAY}LOAD00000001.{ending}", content_of(table, ending))
        # A file that is refused as a whole: it has no header.
        store.write(f"{PLACES.raw(table)}{DAY}LOAD00000002.csv", f"{card(table)},{EMAIL},{PHONE}\n1,2,3\n".encode())
    rules = RULES.__class__(**{**RULES.__dict__, "tokens": tokens})
    curator = Curator(store, "store", rules, NOW)
    curator.tables = SHOP
    for table in curator.tables:
        for report in curator.validate_new(table, warnings.append):
            warnings.append(repr(report))
    warnings += map(repr, curator.curate())
    return store, warnings


def texts_of(store: MemoryStore) -> dict[str, str]:
    """What each file outside of raw ones contains, as text; of Parquet its rows too."""
    found = {}
    for key in store.list_keys(""):
        if not key.startswith(RAW):
            content = store.read(key)
            decoded = str(pl.read_parquet(content).to_dicts()) if content[:4] == b"PAR1" else ""
            found[key] = key + decoded + content.decode(errors="replace")
    return found


@pytest.mark.parametrize("tokens", [NO_TOKENS, Tokens(b"k" * 32)], ids=["without a key", "with a key"])
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_nothing_personal_is_stored_outside_of_raw_files(ending: str, tokens: Tokens) -> None:
    store, warnings = curate(ending, tokens)
    texts = {**texts_of(store), "warnings": "\n".join(warnings)}
    secrets = [EMAIL, EMAIL.partition("@")[0], PHONE, PHONE.replace(" ", ""), NAME, ADDRESS.partition("@")[0], PHONE_ID]
    for table in TABLES:
        secrets += [*cards_of(table), *phones_of(table), card(table), card(f"{table} unreadable")]
    assert [(key, secret[:2]) for key, text in texts.items() for secret in secrets if secret in text] == []
    quarantined = [key for key in texts if "/quarantine/" in key]
    assert len(quarantined) == len(TABLES)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_an_address_has_one_token_in_valid_and_rejected_rows(ending: str) -> None:
    tokens = Tokens(b"k" * 32)
    store, _ = curate(ending, tokens)
    valid = {row["email"] for row in stored_rows(store, "customers") if row["customer_id"] == "c1"}
    [key] = [key for key in store.list_keys("") if "/quarantine/customers" in key]
    rejected = pl.read_parquet(store.read(key)).filter(pl.col("customer_id") == "r1")
    assert valid == {*rejected["email"]} == {tokens.token("email", EMAIL)}
    assert rejected["name"].to_list() == ["***"]


@pytest.mark.parametrize(("kind", "contact", "order"), [("email", ADDRESS, "a1"), ("phone", PHONE_ID, "a2")])
def test_a_contact_that_is_an_identifier_joins_by_its_token(kind: str, contact: str, order: str) -> None:
    tokens = Tokens(b"k" * 32)
    store, _ = curate("csv", tokens)
    token = tokens.token(kind, contact)
    assert [row["email"] for row in stored_rows(store, "customers") if row["customer_id"] == token] == [
        tokens.token("email", EMAIL)
    ]
    assert [row["order_id"] for row in stored_rows(store, "orders") if row["customer_id"] == token] == [order]
    assert token in {row["order_id"] for row in stored_rows(store, "orders")}


def test_without_a_key_a_contact_that_is_an_identifier_is_rejected_and_hidden() -> None:
    store, _ = curate("csv", NO_TOKENS)
    [key] = [key for key in store.list_keys("") if "/quarantine/orders" in key]
    rejected = pl.read_parquet(store.read(key))
    kinds = ("email_address", "phone_number")
    rules = {f"{name}_is_no_{kind}" for name in ("order_id", "customer_id") for kind in kinds}
    rows = rejected.filter(pl.col("rules").list.set_intersection(list(rules)).list.len() > 0)
    assert {rule for row in rows["rules"] for rule in row} >= rules
    found = rows.filter(~pl.col("order_id").str.contains("call") & ~pl.col("customer_id").str.contains("call"))
    stored = found.select("order_id", "customer_id").sort("order_id").rows()
    assert stored == [("***", "c1"), ("***", "c1"), ("a1", "***"), ("a2", "***")]


def test_masked_columns_hide_the_same_in_each_format() -> None:
    found = []
    for ending in ("csv", "jsonl", "parquet"):
        store, _ = curate(ending, NO_TOKENS)
        rows = sorted(stored_rows(store, "customers"), key=lambda row: str(row["customer_id"]))
        found.append([{**row, "source_file": "", "source_line": 0, "folder": ""} for row in rows])
    assert found[0] == found[1] == found[2] != []
