"""E-mail addresses and phone numbers: are they valid, and in which one form are they compared.

`email-validator` and `phonenumbers` decide, without any network; they are imported when the first text is looked at,
since other commands need neither. White space at both ends does not count, and null stays null.

E-mail addresses: of any script (SMTPUTF8), without display name, quoted local part or address literal, and of no
special-use domain (`.test`, `.local` …). Phone numbers: with `+`, or national ones of a given region; no letters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import polars as pl

# RFC 5321 allows 254 characters, and phonenumbers 250; no text is read beyond.
_LONGEST = 254
_HIDDEN = "***"

# What a phone number is written with, ASCII or not, and an extension; letters would be dialed as digits.
_PHONE = (
    r"^\s*(?:tel:)?[+＋(]?[\d\s\p{Zs}\p{Pd}\p{Cf}().,/~\[\]（）．／∼⁓～+−]{2,60}"
    r"(?:(?:;ext=|(?i:e?xt(?:ensi(?:on|ó))?)\.?|x|#)[\s:.]*\d{1,9}#?)?\s*$"
)
# A local part may be quoted, a domain may be an address, and several `@domain` in a row are one match. A local part
# begins with no quotation mark or other punctuation, which the text has around it, unless it is nothing else.
_AT = r"(?:@|＠|﹫|&#64;|%40|\\u0040)"
_LOCAL_PART = r"(?:\"[^\"\r\n]+\"|\w[\w\p{M}.!#$%&'*+/=?^`{|}~-]*|[!#$%&'*+/=?^`{|}~-]+)"
_DOMAIN = r"(?:(?:[\w\p{M}-]+\.)+[\w\p{M}-]+|\[[0-9A-Fa-f:.IPv]+\])"
_EMAIL_IN_TEXT = rf"{_LOCAL_PART}(?:{_AT}{_DOMAIN})+"


class ContactForms(NamedTuple):
    """By text whether it is valid, and its normalized form; null where there is no text, or for a form no valid one."""

    is_valid: pl.Series
    normalized: pl.Series


def email_forms(texts: pl.Series) -> ContactForms:
    """Validate and normalize e-mail addresses in one pass.

    A normalized address has its domain in lower case and in Unicode, and in its local part ASCII letters in lower case
    too: no provider tells them apart, and people write both.
    """
    return _forms(texts, _normalize_email)


def valid_emails(texts: pl.Series) -> pl.Series:
    """Whether each text is an e-mail address; `email_forms` has the normalized form from the same pass."""
    return email_forms(texts).is_valid


def normalized_emails(texts: pl.Series) -> pl.Series:
    """The normalized e-mail addresses, null for texts that are none."""
    return email_forms(texts).normalized


def phone_forms(texts: pl.Series, *, region: str | None = None) -> ContactForms:
    """Validate and normalize phone numbers in one pass.

    Args:
        texts: Strings and nulls.
        region: the country (ISO 3166, two letters) whose national numbers are valid too; without it none are.

    Returns:
        Normalized numbers are in E.164, `+4930123456`, without an extension.

    Raises:
        ValueError: the region is unknown.
    """
    if region is not None:
        from phonenumbers import SUPPORTED_REGIONS

        if region not in SUPPORTED_REGIONS:
            raise ValueError(f"'{region}' is no region of phone numbers: two capital letters, such as DE")
    is_likely = texts.str.contains(_PHONE)
    return _forms(texts, lambda text: _normalize_phone(text, region), is_likely)


def valid_phones(texts: pl.Series, *, region: str | None = None) -> pl.Series:
    """Whether each text is a phone number; `phone_forms` has the normalized form from the same pass."""
    return phone_forms(texts, region=region).is_valid


def normalized_phones(texts: pl.Series, *, region: str | None = None) -> pl.Series:
    """The phone numbers in E.164, null for texts that are none."""
    return phone_forms(texts, region=region).normalized


def contain_emails(texts: pl.Series) -> pl.Series:
    """Whether each text contains an e-mail address; false for null."""
    found = texts.str.contains(_AT).fill_null(value=False)
    rows = found.arg_true()
    return found.scatter(rows, texts.gather(rows).str.contains(_EMAIL_IN_TEXT)) if len(rows) else found


def hide_emails_in_text(texts: pl.Series) -> tuple[pl.Series, int]:
    """Replace e-mail addresses in texts by `***`.

    Args:
        texts: Strings and nulls.

    Returns:
        The texts, and how many e-mail addresses were replaced.
    """
    rows = texts.str.contains(_AT).fill_null(value=False).arg_true()
    some = texts.gather(rows)
    count = int(some.str.count_matches(_EMAIL_IN_TEXT).sum())
    if not count:
        return texts, 0
    return texts.clone().scatter(rows, some.str.replace_all(_EMAIL_IN_TEXT, _HIDDEN)), count


def _forms(
    texts: pl.Series, normalize: Callable[[str], str | None], is_likely: pl.Series | None = None
) -> ContactForms:
    """Normalize each distinct text once; None means that it is not valid."""
    is_short = texts.str.len_bytes() <= 4 * _LONGEST
    chosen = texts.filter(is_short if is_likely is None else is_short & is_likely).unique()
    forms = [normalize(text.strip()) for text in chosen.to_list()]
    found = pl.Series(forms, dtype=pl.String)
    normalized = texts.replace_strict(chosen, found, default=None, return_dtype=pl.String)
    is_valid = normalized.is_not_null().zip_with(texts.is_not_null(), pl.Series([None], dtype=pl.Boolean))
    return ContactForms(is_valid.alias(texts.name), normalized.alias(texts.name))


def _normalize_email(text: str) -> str | None:
    from email_validator import EmailNotValidError, validate_email

    try:
        found = validate_email(text, check_deliverability=False, strict=True)
    except EmailNotValidError:
        return None
    local = found.local_part
    return f"{local.lower() if local.isascii() else local}@{found.domain}"


def _normalize_phone(text: str, region: str | None) -> str | None:
    from phonenumbers import NumberParseException, PhoneNumberFormat, format_number, is_valid_number, parse

    try:
        number = parse(text, region)
    except NumberParseException:
        return None
    return format_number(number, PhoneNumberFormat.E164) if is_valid_number(number) else None
