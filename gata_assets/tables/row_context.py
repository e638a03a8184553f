"""What the rows of a file are validated against, besides their table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from gata_assets.tables.columns.column_spec import ReferenceMode
from gata_assets.tables.erased_people import ErasedPeople
from gata_assets.tables.masking.tokens import NO_TOKENS, Tokens


@dataclass(frozen=True)
class RowContext:
    """The context of a run that validates rows: the event window `[start_at, end_at)`, and by column the values of the
    referenced table and what happens to rows with other values; `committed_at` is the commit time of a file's changes
    if its rows have none, `tokens` the masks of its values, `loaded_at` when the file landed. Rows of people `erased`
    do not count.
    """

    start_at: datetime | None = None
    end_at: datetime | None = None
    known: Mapping[str, pl.Series] = field(default_factory=dict)
    modes: Mapping[str, ReferenceMode] = field(default_factory=dict)
    committed_at: datetime | None = None
    tokens: Tokens = NO_TOKENS
    loaded_at: datetime | None = None
    erased: ErasedPeople | None = None
