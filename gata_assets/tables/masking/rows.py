"""Masks rows before they are stored: which column how is in its table's spec.

Valid rows and rejected ones alike. What cannot be divided into columns is hidden completely: anything may be in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import polars as pl

from gata_assets.tables.columns.column_spec import ColumnSpec
from gata_assets.tables.masking.card_numbers import last_four, truncate_card_numbers
from gata_assets.tables.masking.contacts import contain_emails, hide_emails_in_text
from gata_assets.tables.masking.formats import FORMATS
from gata_assets.tables.masking.phones_in_text import hide_phones_in_text
from gata_assets.tables.masking.tokens import Tokens
from gata_assets.tables.spec import TableSpec

HIDDEN = "***"
# How a personal column may be masked.
TOKEN, HIDE, LAST_FOUR = "token", "hidden", "last_four"
MASKS = (TOKEN, HIDE, LAST_FOUR)
# What happens to card numbers in texts.
TRUNCATE = "truncate"
# What is counted besides columns.
CARD_NUMBERS, EMAILS_IN_TEXT, PHONES_IN_TEXT = "card_numbers", "emails_in_texts", "phones_in_texts"

# How a token of an address is called, in whatever column; the ends of rules of identifiers.
EMAIL = "email"
_NO_CARD_NUMBER, _NO_EMAIL = "_is_no_card_number", "_is_no_email_address"

# Rows, and how many values were masked, by column or kind.
Masked = tuple[pl.DataFrame, Counter[str]]


def is_masked(spec: TableSpec) -> bool:
    """Whether rows of a table are masked."""
    return spec.card_numbers is not None or any(column.personal in MASKS for column in spec.columns)


def mask_values(spec: TableSpec, rows: pl.DataFrame, tokens: Tokens) -> Masked:
    """Mask valid rows, whose e-mail addresses and phone numbers are normalized.

    Identifiers are no card numbers, and no e-mail addresses without a key (`identifier_rules`); with a key those become
    tokens. Allowed values are neither.
    """
    plain = {*spec.key, *spec.references, *(column.name for column in spec.columns if column.allowed_values)}
    masked, counts = _mask(spec, rows, tokens, [name for name in rows.columns if name not in plain])
    for name in (name for name in _identifiers(spec) if name in rows.columns):
        found, emails = _tokens_of_emails(rows[name], tokens)
        masked = masked.with_columns(found)
        counts += {name: emails}
    return masked, counts


def mask_texts(spec: TableSpec, texts: pl.DataFrame, tokens: Tokens) -> Masked:
    """Mask the texts of rejected rows, which may be anything in any column."""
    normalized = [
        pl.coalesce(FORMATS[column.format].normalize(texts[column.name]), texts[column.name]).alias(column.name)
        for column in spec.columns
        if column.format and column.name in texts.columns
    ]
    return _mask(spec, texts.with_columns(normalized), tokens, texts.columns)


def _mask(spec: TableSpec, rows: pl.DataFrame, tokens: Tokens, names: list[str]) -> Masked:
    counts, masked = Counter[str](), []
    of_table, identifiers = {column.name: column for column in spec.columns}, _identifiers(spec)
    for name in names:
        values = rows[name]
        if values.dtype != pl.String():
            continue
        column = of_table.get(name)
        if column and column.personal in MASKS:
            found = _mask_column(column, values, tokens)
            counts[name] += len(values) - values.null_count()
        elif spec.card_numbers is None:
            continue
        else:
            # What is hidden is never part of what is searched next.
            found, cards = truncate_card_numbers(values)
            found, addresses = _tokens_of_emails(found, tokens) if name in identifiers else (found, 0)
            found, phones = hide_phones_in_text(found)
            found, emails = hide_emails_in_text(found)
            counts += {CARD_NUMBERS: cards, PHONES_IN_TEXT: phones, EMAILS_IN_TEXT: emails, name: addresses}
        masked.append(found.alias(name))
    return rows.with_columns(masked), counts


def _mask_column(column: ColumnSpec, values: pl.Series, tokens: Tokens) -> pl.Series:
    if column.personal == TOKEN:
        return tokens.tokens(column.format or column.name, values)
    if column.personal == LAST_FOUR:
        return last_four(values)
    return pl.select(pl.when(values.is_not_null()).then(pl.lit(HIDDEN))).to_series()


def _tokens_of_emails(identifiers: pl.Series, tokens: Tokens) -> tuple[pl.Series, int]:
    """Identifiers with a token in place of each that contains an e-mail address, and how many those are.

    The token is that of the identifier as it is, so that two identifiers never become the same. Of a normalized address
    it is the token that the address has elsewhere. Without a key there is none.
    """
    if not tokens.has_key:
        return identifiers, 0
    rows = contain_emails(identifiers).arg_true()
    if not len(rows):
        return identifiers, 0
    return identifiers.clone().scatter(rows, tokens.tokens(EMAIL, identifiers.gather(rows))), len(rows)


def as_stored(spec: TableSpec, identifiers: pl.Series, tokens: Tokens) -> pl.Series:
    """Identifiers of valid rows as they are stored, and as other tables have them."""
    return identifiers if spec.card_numbers is None else _tokens_of_emails(identifiers, tokens)[0]


def identifier_rules(spec: TableSpec, values: pl.DataFrame, tokens: Tokens) -> Iterator[tuple[str, pl.Series]]:
    """By rule, the rows whose identifier would be masked so that two of them may become the same.

    A card number would be truncated, and an e-mail address hidden, unless a key gives it a token.
    """
    for name in _identifiers(spec):
        if name not in values.columns:
            continue
        found, count = truncate_card_numbers(values[name])
        if count:
            yield f"{name}{_NO_CARD_NUMBER}", (found != values[name]).fill_null(value=False)
        if not tokens.has_key and (emails := contain_emails(values[name])).any():
            yield f"{name}{_NO_EMAIL}", emails


def identifier_rule_names(spec: TableSpec) -> list[str]:
    """The names of these rules."""
    return [f"{name}{ending}" for name in _identifiers(spec) for ending in (_NO_CARD_NUMBER, _NO_EMAIL)]


def _identifiers(spec: TableSpec) -> list[str]:
    if spec.card_numbers is None:
        return []
    names = dict.fromkeys((*spec.key, *spec.references))
    return [name for name in names if spec.column(name).dtype == pl.String()]
