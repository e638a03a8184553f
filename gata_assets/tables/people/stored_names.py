"""What stands for a person in the stored rows of a table that masks its columns: tokens in place of ids."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from gata_assets.tables.masking.rows import mask_texts, mask_values, normalize_contacts
from gata_assets.tables.masking.tokens import Tokens, is_token
from gata_assets.tables.spec import TableSpec


def stored_names(spec: TableSpec, ids: Sequence[str], tokens: Tokens) -> set[str]:
    """The tokens that a table's valid and rejected rows have in place of ids; none where it keeps them as they are."""
    found = set[str]()
    for name in spec.subject_columns:
        texts = pl.DataFrame({name: ids}, schema={name: pl.String()})
        for masked, _ in (
            mask_values(spec, normalize_contacts(spec, texts), tokens),
            mask_texts(spec, texts, tokens),
        ):
            found |= {text for text in masked[name].to_list() if is_token(text)}
    return found - {*ids}
