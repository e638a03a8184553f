"""The formats of texts that a column may declare: what its texts are, and how one is normalized."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from gata_assets.tables.masking.contacts import normalized_emails, normalized_phones


@dataclass(frozen=True)
class TextFormat:
    """A format: what is true of its texts, as the end of a rule's name; `normalize` gives null for other texts."""

    words: str
    normalize: Callable[[pl.Series], pl.Series]


FORMATS: Mapping[str, TextFormat] = {
    "email": TextFormat("is_an_email_address", normalized_emails),
    "phone": TextFormat("is_a_phone_number", normalized_phones),
}
