"""Identifiers that are e-mail addresses: tokens with a key, rejected without one.

All real, nothing is faked; the table is declared here.
"""

from __future__ import annotations

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
ADDRESSES = st.builds(
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


@given(st.lists(ADDRESSES | st.text(), unique=True, min_size=1))
@example(["a@x.com", "A@x.com", " a@x.com", "a@x.com "])
def test_two_identifiers_never_become_the_same_and_none_has_an_address(identifiers: list[str]) -> None:
    masked, counts = mask_values(VISITS, rows_of(identifiers), TOKENS)
    assert masked["visit_id"].n_unique() == len(identifiers)
    again, none = mask_values(VISITS, masked, TOKENS)
    assert again.equals(masked) and not none
    is_rejected = broken(identifiers, NO_TOKENS).get("visit_id_is_no_email_address", [])
    assert sum(is_rejected) == counts["visit_id"] == counts["customer_id"]
