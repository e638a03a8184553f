"""stub"""

from __future__ import annotations

import polars as pl


def _each(texts, read):
    distinct = texts.drop_nulls().unique()
    return texts.replace_strict(distinct, pl.Series([read(text) for text in distinct], dtype=pl.String), default=None, return_dtype=pl.String)


def normalized_emails(texts: pl.Series) -> pl.Series:
    import email_validator

    def read(text):
        try:
            return email_validator.validate_email(text, check_deliverability=False).normalized.lower()
        except ValueError:
            return None
    return _each(texts, read)


def normalized_phones(texts: pl.Series) -> pl.Series:
    import phonenumbers

    def read(text):
        try:
            number = phonenumbers.parse(text, None)
        except phonenumbers.NumberParseException:
            return None
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if phonenumbers.is_valid_number(number) else None
    return _each(texts, read)
