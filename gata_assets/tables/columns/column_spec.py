"""What a column is, as a value: type, checks, and how raw files may write it. `spec` has tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import polars as pl


class ReferenceMode(StrEnum):
    """What happens to a row with an unknown reference: it is counted, or rejected.

    Of tables of changes it is parked until that row arrives; a part is judged together with the row that it refers to.
    """

    WARN = "warn"
    REJECT = "reject"
    PARK = "park"
    PART = "part"

    @property
    def is_of_changes(self) -> bool:
        """Whether it is decided after rows were validated by themselves."""
        return self in (ReferenceMode.PARK, ReferenceMode.PART)


@dataclass(frozen=True)
class Reference:
    """A column's values are those of a column of another table."""

    table: str
    column: str
    mode: ReferenceMode = ReferenceMode.WARN


# How instants may be written; anything else with a percent sign is a pattern of strptime.
ISO_8601, DAY, EPOCH_S, EPOCH_MS = "iso8601", "day", "epoch_s", "epoch_ms"


@dataclass(frozen=True)
class Check:
    """A rule of a column, by pandera's name and limits; `evaluate` is pandera's own check, where it is loaded."""

    name: str
    limits: Mapping[str, Any] = field(default_factory=dict)
    evaluate: Callable[[pl.LazyFrame, str], Any] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class ColumnSpec:
    """A column: its declaration in pandera and, from `aliases` on, the keys of its metadata.

    Attributes:
        aliases: other names that raw files may give it.
        words: the value by the word that files may use for it.
        instants: how instants and days are written; the first that fits counts.
        within: the nested field of JSON and Parquet that may contain it too.
        references: the table and column whose values it has, as `"items.item_id"`, which warns, or
            `{"table": "items", "column": "item_id", "mode": "reject"}`.
        json: whether its values are JSON of any kind, whose text is kept as it came.
        format: "email" or "phone" if its texts are such, which are normalized.
        personal: whether it contains personal data; "token", "hidden" or "last_four" if it is masked so before it is
            stored.
        subject: whether it names the person whom the row is about: erasing the person removes the row.
        code_of: the column whose value this one encodes as its position in the allowed values; it is in no raw file.
        key_of: the column whose 64-bit key this one is; it is in no raw file.
        rules: names of rules by kind: `given`, `type`, `window`, `reference`, or pandera's name of a check.
    """

    name: str
    dtype: pl.DataType
    nullable: bool = False
    unique: bool = False
    description: str = ""
    checks: tuple[Check, ...] = ()
    aliases: tuple[str, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    instants: tuple[str, ...] = ()
    within: str | None = None
    references: Reference | None = None
    json: bool = False
    format: str | None = None
    personal: bool | str = False
    subject: bool = False
    code_of: str | None = None
    key_of: str | None = None
    rules: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_plain_text(self) -> bool:
        """Whether any text is a value of it, given the column's checks."""
        return self.dtype == pl.String() and self.format is None and not self.json

    @property
    def is_derived(self) -> bool:
        """Whether it is derived from another column, so that no raw file has it."""
        return bool(self.code_of or self.key_of)

    @property
    def allowed_values(self) -> tuple[Any, ...] | None:
        """The values that it may have, in the model's order; None without such a list."""
        return next((tuple(check.limits["allowed_values"]) for check in self.checks if check.name == "isin"), None)
