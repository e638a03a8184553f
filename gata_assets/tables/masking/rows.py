"""Masks rows before they are stored: which column how is in its table's spec.

Valid rows and rejected ones alike. What cannot be divided into columns is hidden completely: anything may be in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import polars as pl

from gata_assets.tables.columns.column_spec import ColumnSpec
from gata_assets.tables.masking.card_numbers import last_four, truncate_card_numbers
from gata_assets.tables.masking.contacts import hide_emails_in_text
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

# Rows, and how many values were masked, by column or kind.
Masked = tuple[pl.DataFrame, Counter[str]]


def is_masked(spec: TableSpec) -> bool:
    """Whether rows of a table are masked."""
    return spec.card_numbers is not None or any(column.personal in MASKS for column in spec.columns)


def mask_values(spec: TableSpec, rows: pl.DataFrame, tokens: Tokens) -> Masked:
    """Mask valid rows, whose e-mail addresses and phone numbers are normalized.

    Identifiers are no card numbers (`card_number_rules`), and neither are allowed values.
    """
    plain = {*spec.key, *spec.references, *(column.name for column in spec.columns if column.allowed_values)}
    return _mask(spec, rows, tokens, [name for name in rows.columns if name not in plain])


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
    of_table = {column.name: column for column in spec.columns}
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
            found, phones = hide_phones_in_text(found)
            found, emails = hide_emails_in_text(found)
            counts += {CARD_NUMBERS: cards, PHONES_IN_TEXT: phones, EMAILS_IN_TEXT: emails}
        masked.append(found.alias(name))
    return rows.with_columns(masked), counts


def _mask_column(column: ColumnSpec, values: pl.Series, tokens: Tokens) -> pl.Series:
    if column.personal == TOKEN:
        return tokens.tokens(column.format or column.name, values)
    if column.personal == LAST_FOUR:
        return last_four(values)
    return pl.select(pl.when(values.is_not_null()).then(pl.lit(HIDDEN))).to_series()


def card_number_rules(spec: TableSpec, values: pl.DataFrame) -> Iterator[tuple[str, pl.Series]]:
    """By rule, the rows whose identifier is a card number: truncated, two of them may be the same."""
    for name in _identifiers(spec):
        if name in values.columns:
            found, count = truncate_card_numbers(values[name])
            if count:
                yield f"{name}_is_no_card_number", (found != values[name]).fill_null(value=False)


def card_number_rule_names(spec: TableSpec) -> list[str]:
    """The names of these rules."""
    return [f"{name}_is_no_card_number" for name in _identifiers(spec)]


def _identifiers(spec: TableSpec) -> list[str]:
    if spec.card_numbers is None:
        return []
    names = dict.fromkeys((*spec.key, *spec.references))
    return [name for name in names if spec.column(name).dtype == pl.String()]
