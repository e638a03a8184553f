"""Columns of JSON, whose values are kept as they came, and the column that takes what a table has no column for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import polars as pl

from gata_assets.curation.readers.json_files.objects import NOT_READ, fields_as_they_came
from gata_assets.curation.readers.raw_block import KnownColumn
from gata_assets.tables.documents.json_texts import only_shallow
from gata_assets.tables.spec import TableSpec

Text = bytes | msgspec.Raw
# What a field of a row may be that is no column of JSON.
Value = str | int | float | bool | None


class KeptJson:
    """What a table keeps of JSON: `names` of columns that rows have, and `inside` those which nested fields are read
    from too.
    """

    def __init__(self, spec: TableSpec) -> None:
        self._more = spec.more
        self.names = [column.name for column in spec.raw_columns if column.json and spec.names_of(column)]
        sources = {name: column for column in self.names for name in spec.names_of(spec.column(column))}
        nests = dict.fromkeys(column.within for column in spec.raw_columns if column.within in sources)
        self.inside = {nest: sources[nest] for nest in nests if nest}
        left_out = (name for name, names in spec.mapping.columns.items() if not names)
        self._known = frozenset([*spec.sources, *spec.mapping.filled, *left_out])
        self._decode = {nest: _decoder(spec, nest) for nest in self.inside}

    def others_of(self, text: Text) -> bytes | None:
        """The fields of a row that the table does not have, as a JSON object in their order; None without any.

        Raises one of NOT_READ.
        """
        if self._more is None:
            return None
        known = self._known
        others = {name: value for name, value in fields_as_they_came(text).items() if name not in known}
        return msgspec.json.encode(others) if others else None

    def fill(self, columns: Mapping[str, list[Any]]) -> None:
        """Fill columns by the fields of a nested object that is a column of JSON itself; what they have counts.

        A field of another type is in the column of JSON alone.
        """
        for nest, name in self.inside.items():
            names, decode = self._decode[nest]
            for place, value in enumerate(columns[name]):
                if value is None:
                    continue
                try:
                    found = decode(value)
                except NOT_READ:
                    continue
                for field, column in names.items():
                    if columns[column][place] is None:
                        columns[column][place] = getattr(found, field)

    def texts(
        self, columns: dict[str, list[Any]], more: list[bytes | None], beside: Mapping[str, Sequence[bytes | None]]
    ) -> dict[str, pl.Series]:
        """Take the columns of JSON out of `columns`: their bytes, or what is beside the rows for those without any."""
        found = {}
        for name in self.names:
            content = [
                None if value is None or (one := bytes(value)) == b"null" else one for value in columns.pop(name)
            ]
            if name in beside:
                content = [other if own is None else own for own, other in zip(content, beside[name], strict=True)]
            found[name] = pl.Series(name, content, dtype=pl.Binary)
        return found | ({self._more: pl.Series(self._more, more, dtype=pl.Binary)} if self._more else {})


def _decoder(spec: TableSpec, nest: str) -> tuple[dict[str, str], Any]:
    """The columns by the fields of a structure that reads them from a nested object, and its decoder."""
    inner = [column for column in spec.raw_columns if column.within == nest]
    found = [(column.name, name) for column in inner for name in spec.names_of(column)]
    fields = {f"f{number}": pair for number, pair in enumerate(found)}
    names = {field: name for field, (_, name) in fields.items()}
    kind = msgspec.defstruct("Inside", [(field, Value, None) for field in fields], rename=names, gc=False)
    return {field: column for field, (column, _) in fields.items()}, msgspec.json.Decoder(kind).decode


def as_utf_8(content: pl.Series) -> pl.Series:
    """Bytes as texts, null for those that are none."""
    try:
        return content.cast(pl.String)
    except pl.exceptions.PolarsError:
        return pl.Series(content.name, list(map(_text_or_none, content)), dtype=pl.String)


def _text_or_none(content: bytes | None) -> str | None:
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError:
        return None


def is_given(value: object) -> bool:
    """Whether a value of a row is there and not null."""
    return value is not None and not (isinstance(value, msgspec.Raw) and bytes(value) == b"null")


def known(texts: pl.Series) -> KnownColumn:
    """Texts that are JSON as they came: their values, but for those that are nested too deeply."""
    return KnownColumn(only_shallow(texts), texts.is_not_null(), texts.gather)
