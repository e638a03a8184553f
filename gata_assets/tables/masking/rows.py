"""Masks rows before they are stored: which column how is in its table's spec.

Valid rows and rejected ones alike. What cannot be divided into columns is hidden completely: anything may be in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import polars as pl

from gata_assets.tables.columns.column_spec import ColumnSpec
from gata_assets.tables.masking.card_numbers import last_four, truncate_card_numbers
from gata_assets.tables.masking.contacts import contain_emails, hide_emails_in_text
from gata_assets.tables.masking.formats import FORMATS
from gata_assets.tables.masking.national_phones import hide_national_phones_in_text
from gata_assets.tables.masking.phones_in_text import contain_phones, hide_phones_in_text
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

# What a token of an address or a phone number is called, in whatever column.
EMAIL, PHONE = "email", "phone"
# The ends of rules of identifiers.
_NO_CARD_NUMBER, _NO_EMAIL, _NO_PHONE = "_is_no_card_number", "_is_no_email_address", "_is_no_phone_number"

# Rows, and how many values were masked, by column or kind.
Masked = tuple[pl.DataFrame, Counter[str]]


def is_masked(spec: TableSpec) -> bool:
    """Whether rows of a table are masked."""
    return spec.card_numbers is not None or any(column.personal in MASKS for column in spec.columns)


def mask_values(spec: TableSpec, rows: pl.DataFrame, tokens: Tokens) -> Masked:
    """Mask valid rows, whose e-mail addresses and phone numbers are normalized.

    Identifiers are no card numbers, and without a key no e-mail addresses and phone numbers (`identifier_rules`); with
    a key those become tokens. Allowed values are neither.
    """
    plain = {*spec.key, *spec.references, *(column.name for column in spec.columns if column.allowed_values)}
    masked, counts = _mask(spec, rows, tokens, [name for name in rows.columns if name not in plain])
    for name in (name for name in _identifiers(spec) if name in rows.columns):
        found = _tokens_of_contacts(rows[name], tokens)
        if found is not None:
            masked = masked.with_columns(found.zip_with(found.is_not_null(), rows[name]))
            counts += {name: len(found) - found.null_count()}
    return masked, counts


def mask_texts(spec: TableSpec, texts: pl.DataFrame, tokens: Tokens) -> Masked:
    """Mask the texts of rejected rows, which may be anything in any column."""
    return _mask(spec, normalize_contacts(spec, texts), tokens, texts.columns)


def normalize_contacts(spec: TableSpec, texts: pl.DataFrame) -> pl.DataFrame:
    """Texts with e-mail addresses and phone numbers normalized, in the columns that have some; others as they are."""
    normalized = [
        pl.coalesce(FORMATS[column.format].normalize(texts[column.name]), texts[column.name]).alias(column.name)
        for column in spec.columns
        if column.format and column.name in texts.columns
    ]
    return texts.with_columns(normalized)


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
            contacts = _tokens_of_contacts(values, tokens) if name in identifiers else None
            if contacts is not None:
                values = values.zip_with(contacts.is_null(), pl.Series([None], dtype=pl.String))
                counts[name] += len(contacts) - contacts.null_count()
            found, of_kinds = _mask_text(values, () if name in identifiers else spec.phone_regions)
            counts += of_kinds
            if contacts is not None:
                found = contacts.zip_with(contacts.is_not_null(), found)
        masked.append(found.alias(name))
    return rows.with_columns(masked), counts


def _mask_column(column: ColumnSpec, values: pl.Series, tokens: Tokens) -> pl.Series:
    if column.personal == TOKEN:
        return tokens.tokens(column.format or column.name, values)
    if column.personal == LAST_FOUR:
        return last_four(values)
    return pl.select(pl.when(values.is_not_null()).then(pl.lit(HIDDEN))).to_series()


def _mask_text(texts: pl.Series, regions: Sequence[str]) -> tuple[pl.Series, Counter[str]]:
    # What is hidden is never part of what is searched next.
    found, cards = truncate_card_numbers(texts)
    found, phones = hide_phones_in_text(found)
    found, national = hide_national_phones_in_text(found, regions)
    found, emails = hide_emails_in_text(found)
    return found, Counter({CARD_NUMBERS: cards, PHONES_IN_TEXT: phones + national, EMAILS_IN_TEXT: emails})


def _tokens_of_contacts(identifiers: pl.Series, tokens: Tokens) -> pl.Series | None:
    """A token for each identifier that contains an e-mail address or a phone number, null for others; None if all are.

    The token is that of the identifier as it is, so that two identifiers never become the same. Of a normalized address
    or number it is the token that this has elsewhere. Without a key there is none.
    """
    contacts = _contacts(identifiers) if tokens.has_key else {}
    if not any(map(len, contacts.values())):
        return None
    found = pl.Series(identifiers.name, [None], dtype=pl.String).new_from_index(0, len(identifiers))
    for kind, rows in contacts.items():
        found = found.scatter(rows, tokens.tokens(kind, identifiers.gather(rows)))
    return found


def _contacts(identifiers: pl.Series) -> dict[str, pl.Series]:
    """By kind, the places of identifiers that contain an e-mail address or a phone number."""
    emails = contain_emails(identifiers)
    return {EMAIL: emails.arg_true(), PHONE: (contain_phones(identifiers) & ~emails).arg_true()}


def stored_tokens(specs: Iterable[TableSpec], ids: Sequence[str], tokens: Tokens) -> set[str]:
    """The tokens, by all keys, that tables may have in place of these ids of people: those of identifiers that contain
    an address or a number, and those of columns that name a person.
    """
    kinds = {one.format or one.name for spec in specs for one in spec.columns if one.subject and one.personal == TOKEN}
    contacts = _contacts(pl.Series(ids, dtype=pl.String))
    values = {kind: [ids[place] for place in places] for kind, places in contacts.items()} | dict.fromkeys(kinds, ids)
    return {token for kind, named in values.items() for one in named for token in tokens.every_token(kind, one)}


def as_stored(spec: TableSpec, identifiers: pl.Series, tokens: Tokens) -> pl.Series:
    """Identifiers of valid rows as they are stored, and as other tables have them."""
    found = None if spec.card_numbers is None else _tokens_of_contacts(identifiers, tokens)
    return identifiers if found is None else found.zip_with(found.is_not_null(), identifiers)


def identifier_rules(spec: TableSpec, values: pl.DataFrame, tokens: Tokens) -> Iterator[tuple[str, pl.Series]]:
    """By rule, the rows whose identifier would be masked so that two of them may become the same.

    A card number would be truncated, and an e-mail address or a phone number hidden, unless a key gives it a token.
    """
    for name in _identifiers(spec):
        if name not in values.columns:
            continue
        found, count = truncate_card_numbers(values[name])
        if count:
            cards = (found != values[name]).fill_null(value=False)
            # Many phone numbers look like card numbers.
            contacts = _tokens_of_contacts(values[name], tokens)
            cards = cards if contacts is None else cards & contacts.is_null()
            if cards.any():
                yield f"{name}{_NO_CARD_NUMBER}", cards
        if tokens.has_key:
            continue
        for ending, rows in ((_NO_EMAIL, contain_emails(values[name])), (_NO_PHONE, contain_phones(values[name]))):
            if rows.any():
                yield f"{name}{ending}", rows


def identifier_rule_names(spec: TableSpec) -> list[str]:
    """The names of these rules."""
    return [f"{name}{ending}" for name in _identifiers(spec) for ending in (_NO_CARD_NUMBER, _NO_EMAIL, _NO_PHONE)]


def _identifiers(spec: TableSpec) -> list[str]:
    if spec.card_numbers is None:
        return []
    names = dict.fromkeys((*spec.key, *spec.references))
    return [name for name in names if spec.column(name).dtype == pl.String()]
