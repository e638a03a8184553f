"""E-mail addresses and phone numbers: valid or not, in one normalized form, and hidden in texts.

All real, the libraries included; nothing is faked, and nothing asks a network.
"""

from __future__ import annotations

import subprocess
import sys

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gata_assets.tables.masking.contacts import (
    email_forms,
    hide_emails_in_text,
    normalized_emails,
    normalized_phones,
    phone_forms,
    valid_emails,
    valid_phones,
)

MEGABYTE = 1_000_000
PHONE_PIECES = (*"0123456789+-(). /x#;=٣４", "ext.", "+49", "+1", "tel:", "212", "555", "a", "\u200b", ";ext=5", "\n")
EMAIL_PIECES = (
    *'aZ1._-+"@*\\<>()[] \n',
    "é",
    "例",
    "example",
    ".com",
    "@b.co",
    "[1.2.3.4]",
    "xn--",
    "＠",
    "\u200b",
    "%40",
)


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("jane.doe@example.com", "jane.doe@example.com"),
        ("Jane.Doe+Tag@EXAMPLE.com", "jane.doe+tag@example.com"),
        (" jane@example.com\n", "jane@example.com"),
        ("jane@xn--bcher-kva.example.org", "jane@bücher.example.org"),
        ("Élise@bücher.de", "Élise@bücher.de"),
        ("用户@例子.公司", "用户@例子.公司"),
        *((text, None) for text in ("", " ", "jane", "jane@", "@example.com", "jane@example", "jane@@example.com")),
        *((text, None) for text in ("a b@example.com", '"a b"@example.com', "Jane <jane@example.com>", "a@[1.2.3.4]")),
        *(
            (text, None)
            for text in ("jane@x.test", "jane@printer.local", "jane@localhost", "a@b.com,c@d.com", ".a@b.com")
        ),
        *(
            (text, None)
            for text in ("a..b@c.com", "a" * 65 + "@example.com", "a@" + "b." * 130 + "com", "a" * MEGABYTE)
        ),
        *((text, None) for text in ("@" * MEGABYTE, "a@" + "b." * 300_000 + "com", " " * MEGABYTE)),
    ],
    ids=lambda text: text and text[:30],
)
def test_an_email_address_has_one_normalized_form(text: str, normalized: str | None) -> None:
    forms = email_forms(pl.Series([text]))
    assert (forms.is_valid.to_list(), forms.normalized.to_list()) == ([normalized is not None], [normalized])


@pytest.mark.parametrize(
    ("text", "region", "normalized"),
    [
        ("+49 171 1234567", None, "+491711234567"),
        ("+49 (0)171 / 123-45-67", None, "+491711234567"),
        ("tel:+49-30-123456", None, "+4930123456"),
        ("＋４９ １７１ １２３４５６７", None, "+491711234567"),
        ("+1 212-555-2368 ext. 5", None, "+12125552368"),
        ("+1 212-555-2368 x5", "DE", "+12125552368"),
        ("0171 1234567", "DE", "+491711234567"),
        ("(212) 555-2368", "US", "+12125552368"),
        *((text, None, None) for text in ("", " ", "+", "0171 1234567", "1234", "+49", "+999 1234567", "n/a", "none")),
        *((text, None, None) for text in ("+1 800 FLOWERS", "call +49 171 1234567", "+49 171 1234567 or 8", "+49 1 1")),
        *(
            (text, None, None)
            for text in ("+491711234567, +491711234568", "9" * MEGABYTE, "+" * MEGABYTE, "+49" + " " * 99)
        ),
        ("0171 1234567", "US", None),
    ],
    ids=lambda text: text and text[:30],
)
def test_a_phone_number_has_one_normalized_form(text: str, region: str | None, normalized: str | None) -> None:
    forms = phone_forms(pl.Series([text]), region=region)
    assert (forms.is_valid.to_list(), forms.normalized.to_list()) == ([normalized is not None], [normalized])


def test_null_is_neither_valid_nor_invalid() -> None:
    emails, phones = pl.Series("e", [None, "a@b.co", "x"]), pl.Series("p", [None, "+491711234567", "x"])
    assert valid_emails(emails).to_list() == [None, True, False] == valid_phones(phones).to_list()
    assert normalized_emails(emails).to_list() == [None, "a@b.co", None]
    assert normalized_phones(phones).to_list() == [None, "+491711234567", None]
    assert (valid_emails(emails).name, normalized_phones(phones).name) == ("e", "p")


def test_repeated_texts_have_the_same_form() -> None:
    assert normalized_emails(pl.Series(["A@b.co", "x", "A@b.co", "x"])).to_list() == ["a@b.co", None, "a@b.co", None]


@pytest.mark.parametrize("texts", [[], [None], [None, None]])
def test_columns_without_a_text_have_forms_without_one(texts: list[None]) -> None:
    for forms in (email_forms(pl.Series(texts, dtype=pl.String)), phone_forms(pl.Series(texts, dtype=pl.String))):
        assert forms.is_valid.to_list() == texts == forms.normalized.to_list()
        assert (forms.is_valid.dtype, forms.normalized.dtype) == (pl.Boolean, pl.String)


@pytest.mark.parametrize("region", ["", "de", "XX", "Germany"])
def test_an_unknown_region_is_refused(region: str) -> None:
    with pytest.raises(ValueError, match="region"):
        valid_phones(pl.Series(["0171 1234567"]), region=region)


@given(st.text() | st.lists(st.sampled_from(EMAIL_PIECES), max_size=20).map("".join))
def test_any_text_is_an_email_address_or_not_and_its_form_is_its_own(text: str) -> None:
    form = normalized_emails(pl.Series([text]))
    again = email_forms(form)
    assert again.normalized.to_list() == form.to_list()
    assert again.is_valid.to_list() == [None if form[0] is None else True]


@given(
    st.text() | st.lists(st.sampled_from(PHONE_PIECES), max_size=20).map("".join), st.sampled_from([None, "DE", "US"])
)
def test_any_text_is_a_phone_number_or_not_and_its_form_is_its_own(text: str, region: str | None) -> None:
    form = normalized_phones(pl.Series([text]), region=region)
    again = phone_forms(form)
    assert again.normalized.to_list() == form.to_list()
    assert again.is_valid.to_list() == [None if form[0] is None else True]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Mail jane.doe+x@example.co.uk, please.", "Mail ***, please."),
        ("<jane@example.com>;joe@example.com", "<***>;***"),
        ('{"email": "jane@example.com"}', '{"email": "***"}'),
        ("VALUES ('jane@example.com', 'x')", "VALUES ('***', 'x')"),
        ("mailto:jane@example.com?subject=x", "mailto:***?subject=x"),
        ('"jane doe"@example.com', "***"),
        ("用户@例子.公司です", "***"),
        ("jane@[192.0.2.1] jane%40example.com", "*** ***"),
        ("a@b.com@c.com", "***"),
        *((text, text) for text in ("", "no address", "5 @ 3.50", "jane @ home", "@jane", "a@b", "***")),
    ],
)
def test_email_addresses_in_a_text_are_hidden(text: str, found: str) -> None:
    hidden, count = hide_emails_in_text(pl.Series("note", [None, text]))
    assert hidden.to_list() == [None, found] and hidden.name == "note"
    assert count == found.count("***") - text.count("***")


@given(st.lists(st.sampled_from(EMAIL_PIECES), max_size=30).map("".join))
@example("a@b.co*@b.co")
@example('"a@b.co"＠[1.2.3.4]')
def test_hidden_email_addresses_stay_hidden(text: str) -> None:
    found, _ = hide_emails_in_text(pl.Series([text]))
    again, count = hide_emails_in_text(found)
    assert again.to_list() == found.to_list() and count == 0


@given(st.emails())
def test_no_email_address_is_left_in_a_text(address: str) -> None:
    found, count = hide_emails_in_text(pl.Series([f"Write to {address} soon"]))
    assert "@" not in found[0] and count >= 1


@pytest.mark.process
def test_the_libraries_are_imported_by_the_first_text_alone() -> None:
    script = (
        "import sys, gata_assets.tables.masking.contacts as c, polars as pl;"
        "from gata_assets.tables.masking.phones_in_text import hide_phones_in_text;"
        "hide_phones_in_text(pl.Series(['o-1', 'n/a +1', '10:00']));"
        "c.valid_emails(pl.Series([None], dtype=pl.String)); c.valid_phones(pl.Series(['n/a']));"
        "print({'phonenumbers', 'email_validator'} & {*sys.modules})"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "set()\n"
