"""Identifiers that are e-mail addresses or phone numbers: tokens with a key, rejected without one.

All real, nothing is faked; the table is declared here.
"""

from __future__ import annotations

from dataclasses import replace

import pandera.polars as pa
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gata_assets.tables.columns.column_spec import ReferenceMode
from gata_assets.tables.declaration import spec_of
from gata_assets.tables.masking.rows import mask_texts, mask_values
from gata_assets.tables.masking.tokens import NO_TOKENS, Tokens
from gata_assets.tables.row_rules import RowContext, rule_names, validate_columns

DECLARED = {"table": "visits", "key": ["visit_id"], "repetitions": "latest", "card_numbers": "truncate"}


class Visits(pa.DataFrameModel):
    """Visits of customers."""

    visit_id: str = pa.Field(unique=True)
    customer_id: str = pa.Field(metadata={"references": "customers.customer_id"})

    class Config:
        strict = True
        ordered = True
        metadata = DECLARED


VISITS, TOKENS = spec_of(Visits), Tokens(b"k" * 32)
# A valid phone number whose last digit is the check digit of a card number.
LIKE_A_CARD = "+4915112345603"
CONTACTS = st.builds("{}+49{}171 {}".format, *map(st.sampled_from, (("", "tel:"), ("", " "), ("1234567", "7654321"))))
CONTACTS |= st.builds(
    "{}{}@{}.com".format, st.sampled_from(("", " ", "user:")), st.text("aA1.é", min_size=1), st.just("x")
)


def rows_of(identifiers: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"visit_id": identifiers, "customer_id": identifiers})


def broken(identifiers: list[str], tokens: Tokens) -> dict[str, list[bool]]:
    found = validate_columns(VISITS, rows_of(identifiers), RowContext(tokens=tokens)).broken
    return {name: rows.to_list() for name, rows in found.items()}


def test_an_address_has_the_token_that_it_has_elsewhere() -> None:
    identifiers = ["jane@example.com", "Jane@example.com", "user:jane@example.com", "c-17", "5@3", "***"]
    assert broken(identifiers, TOKENS) == {}
    masked, counts = mask_values(VISITS, rows_of(identifiers), TOKENS)
    tokens = [TOKENS.token("email", address) for address in identifiers[:3]]
    assert masked["customer_id"].to_list() == [*tokens, *identifiers[3:]] == masked["visit_id"].to_list()
    assert counts == {"customer_id": 3, "visit_id": 3}
    # Rejected rows, for whatever reason, have the same.
    assert mask_texts(VISITS, rows_of(identifiers), TOKENS)[0].equals(masked)


def test_a_phone_number_has_the_token_that_it_has_elsewhere() -> None:
    # Digits alone are ids, whatever they begin with.
    phones = ["+4915112345678", "+1 415 555 2671", "whatsapp:+14155552671", LIKE_A_CARD]
    ids = ["15112345678", "004915112345679", "(415) 555-2671", "+1", "2026+17"]
    assert broken([*phones, *ids], TOKENS) == {}
    masked, counts = mask_values(VISITS, rows_of([*phones, *ids]), TOKENS)
    assert masked["customer_id"].to_list() == [*(TOKENS.token("phone", phone) for phone in phones), *ids]
    assert counts == {"customer_id": 4, "visit_id": 4}
    assert mask_texts(VISITS, rows_of(phones), TOKENS)[0].equals(masked[:4])


def test_without_a_key_a_phone_number_is_rejected_and_hidden() -> None:
    identifiers = ["+4915112345677", "tel:+1 415 555 2671", "4155552671"]
    rules = ("visit_id_is_no_phone_number", "customer_id_is_no_phone_number")
    assert broken(identifiers, NO_TOKENS) == {rule: [True, True, False] for rule in rules}
    assert {*rules} < {*rule_names(VISITS)}
    masked, _ = mask_texts(VISITS, rows_of(identifiers), NO_TOKENS)
    assert masked["visit_id"].to_list() == ["***", "tel:***", "4155552671"]


def test_what_looks_like_a_card_number_is_rejected_unless_it_becomes_a_token() -> None:
    identifiers = [LIKE_A_CARD, "4111111111111111", "c-17"]
    assert broken(identifiers, TOKENS)["visit_id_is_no_card_number"] == [False, True, False]
    assert broken(identifiers, NO_TOKENS)["visit_id_is_no_card_number"] == [True, True, False]
    masked, _ = mask_texts(VISITS, rows_of(identifiers), TOKENS)
    assert masked["visit_id"].to_list() == [TOKENS.token("phone", LIKE_A_CARD), "************1111", "c-17"]


def test_national_numbers_are_hidden_where_their_regions_are_declared() -> None:
    texts = pl.DataFrame({"visit_id": ["030 1234567"], "customer_id": ["c1"], "note": ["030 1234567 (415) 555-2671"]})
    for regions, note in (((), texts["note"][0]), (("DE",), "*** (415) 555-2671"), (("US", "DE"), "*** (***")):
        spec = replace(VISITS, phone_regions=regions)
        for masked, counts in (mask_values(spec, texts, TOKENS), mask_texts(spec, texts, TOKENS)):
            # Identifiers in national notation are ids.
            assert masked.rows() == [("030 1234567", "c1", note)]
            assert counts["phones_in_texts"] == len(regions)


def test_without_a_key_an_address_is_rejected_and_hidden() -> None:
    identifiers = ["jane@example.com", "user:jane@example.com", "c-17"]
    rules = ("visit_id_is_no_email_address", "customer_id_is_no_email_address")
    assert broken(identifiers, NO_TOKENS) == {rule: [True, True, False] for rule in rules}
    assert {*rules} < {*rule_names(VISITS)}
    masked, counts = mask_texts(VISITS, rows_of(identifiers), NO_TOKENS)
    assert masked["visit_id"].to_list() == ["***", "user:***", "c-17"]
    assert counts == {"emails_in_texts": 4}


@pytest.mark.parametrize(("known", "is_broken"), [("jane@example.com", False), ("joe@example.com", True)])
def test_a_reference_is_compared_as_it_is_stored(known: str, is_broken: bool) -> None:
    stored = pl.Series([TOKENS.token("email", known)])
    context = RowContext(known={"customer_id": stored}, modes={"customer_id": ReferenceMode.REJECT}, tokens=TOKENS)
    found = validate_columns(VISITS, rows_of(["jane@example.com"]), context)
    assert ("customer_is_known" in found.broken) is is_broken


@given(st.lists(CONTACTS | st.text(), unique=True, min_size=1))
@example(["a@x.com", "A@x.com", " a@x.com", "a@x.com "])
@example(["+49171 1234567", "+49 171 1234567", "a@x.com +49171 1234567"])
def test_two_identifiers_never_become_the_same_and_none_has_a_contact(identifiers: list[str]) -> None:
    masked, counts = mask_values(VISITS, rows_of(identifiers), TOKENS)
    assert masked["visit_id"].n_unique() == len(identifiers)
    again, none = mask_values(VISITS, masked, TOKENS)
    assert again.equals(masked) and not none
    rejected, kept = broken(identifiers, NO_TOKENS), [False] * len(identifiers)
    emails, phones = (rejected.get(f"visit_id_is_no_{kind}", kept) for kind in ("email_address", "phone_number"))
    assert (
        sum(email or phone for email, phone in zip(emails, phones, strict=True))
        == counts["visit_id"]
        == counts["customer_id"]
    )
