"""Mappings of raw files as values and as JSON: names, words and formats other than the table's own.

`mapped_table` applies them; where they are kept, and which files have which, belongs to `curation.mappings`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import msgspec

from gata_assets.errors import MappingError

# Separators by name, where the character itself is hard to type.
SEPARATORS: Mapping[str, str] = {"tab": "\t", "comma": ",", "semicolon": ";", "bar": "|", "colon": ":", "space": " "}


@dataclass(frozen=True)
class RawMapping:
    """How particular raw files differ from what their table accepts anyway, by the table's columns.

    Attributes:
        columns: the names that files give a column instead of its own; a name may be that of two columns. A column
            without names is left out: nothing of the file is read as it.
        constants: the value that a column has in all rows, which files do not have.
        substitutes: by column, the one whose value it has where the file has none of its own.
        words: the value by the word that files use for it.
        instants: how files write instants and days, see `ColumnSpec`.
        whole_numbers: columns of texts whose whole numbers files write as decimals: `1.0` means `1`.
        scales: the least and the greatest value in files; the column's own bounds are meant.
        separator: the character between columns of CSV.
        header: the columns of CSV without a header.
        has_typed_names: whether names have types behind them: `user_id:token`.
        ignores_unknown: whether columns that the table does not have are ignored.
        discards_invalid: whether an invalid value of a column that may be empty costs the value, and not its row.
        endings: the format of files by endings that imply none: `{"inter": "csv"}`.
    """

    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    substitutes: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    instants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    whole_numbers: tuple[str, ...] = ()
    scales: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    separator: str | None = None
    header: tuple[str, ...] = ()
    has_typed_names: bool = False
    ignores_unknown: bool = False
    discards_invalid: bool = False
    endings: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def copies(self) -> dict[str, str]:
        """By column, the one before it that has the same name in files, and so the same values."""
        first: dict[tuple[str, ...], str] = {}
        return {
            column: other
            for column, names in self.columns.items()
            if names and (other := first.setdefault(names, column)) != column
        }

    @property
    def filled(self) -> frozenset[str]:
        """The columns that files do not have, since the mapping gives them their values."""
        return frozenset({*self.constants, *self.copies})


NO_MAPPING = RawMapping()


def encode_mapping(mapping: RawMapping) -> bytes:
    """A mapping as JSON, without what it leaves as it is."""
    given = {name: value for name, value in msgspec.to_builtins(mapping).items() if value}
    return msgspec.json.format(msgspec.json.encode(given), indent=2)


def decode_mapping(content: bytes) -> RawMapping:
    """A mapping from JSON; raises MappingError for anything else, and for unknown keys."""
    try:
        found = msgspec.json.decode(content, type=dict[str, Any])
        return mapping_from(found)
    except msgspec.MsgspecError as error:
        raise MappingError(f"a mapping is a JSON object: {error}.") from None


def mapping_from(found: Mapping[str, Any]) -> RawMapping:
    """A mapping from plain values; a single name or format may stand for a list of one. Raises MappingError."""
    known = [field.name for field in fields(RawMapping)]
    if unknown := sorted({*found} - {*known}):
        raise MappingError(f"a mapping has no {', '.join(unknown)}. It may have {', '.join(known)}.")
    listed = {
        key: {column: [names] if isinstance(names, str) else names for column, names in found[key].items()}
        for key in ("columns", "instants")
        if isinstance(found.get(key), Mapping)
    }
    mark = found.get("separator")
    separator = {"separator": SEPARATORS.get(mark, mark)} if isinstance(mark, str) else {}
    try:
        return msgspec.convert({**found, **listed, **separator}, RawMapping)
    except msgspec.MsgspecError as error:
        raise MappingError(f"a mapping is written otherwise: {error}.") from None


def merge_mappings(base: RawMapping, over: RawMapping) -> RawMapping:
    """A mapping with what another says instead, column by column."""
    columns = {**base.columns, **over.columns}
    constants = {**base.constants, **over.constants}
    return RawMapping(
        # A column has names or a constant: the later word counts.
        columns={name: names for name, names in columns.items() if name not in over.constants},
        constants={name: value for name, value in constants.items() if name not in over.columns},
        substitutes={**base.substitutes, **over.substitutes},
        words={**base.words, **{name: {**base.words.get(name, {}), **words} for name, words in over.words.items()}},
        instants={**base.instants, **over.instants},
        whole_numbers=tuple(dict.fromkeys((*base.whole_numbers, *over.whole_numbers))),
        scales={**base.scales, **over.scales},
        separator=over.separator or base.separator,
        header=over.header or base.header,
        has_typed_names=over.has_typed_names or base.has_typed_names,
        ignores_unknown=over.ignores_unknown or base.ignores_unknown,
        discards_invalid=over.discards_invalid or base.discards_invalid,
        endings={**base.endings, **over.endings},
    )


def typed_name(name: str) -> str:
    """A name without the type behind it: `user_id` of `user_id:token`."""
    return name.rpartition(":")[0] or name


def own_names(names: Iterable[str], mapping: RawMapping) -> list[str]:
    """The columns' names of a header, without types where the mapping says that they have some."""
    return [typed_name(name) if mapping.has_typed_names else name for name in names]
