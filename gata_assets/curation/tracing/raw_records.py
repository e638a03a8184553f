"""The valid rows of a raw file, each with the number of its record: read again as when they were validated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import cast

import polars as pl

from gata_assets.curation.files.formats import FileFormat, RawSource
from gata_assets.curation.files.open_files import read_validated
from gata_assets.tables.row_rules import RowContext
from gata_assets.tables.spec import TableSpec, read_by_row


@dataclass(frozen=True)
class NumberedRows:
    """Valid rows of a block in the order of the file, the number of each, how many others are not valid, and how many
    records the block has, those of people who were erased included.
    """

    rows: pl.DataFrame
    records: pl.Series
    rejected: int
    count: int


def read_numbered(
    source: RawSource,
    form: FileFormat,
    spec: TableSpec,
    context: RowContext,
    *,
    max_decoded_bytes: int,
    is_by_row: bool,
) -> Iterator[NumberedRows]:
    """The valid rows of a raw file, block by block; raises as `read_validated`.

    `is_by_row` says that it has rows of many senders (`read_by_row`).
    """
    start, ordered = 0, _in_order(spec, is_by_row=is_by_row)
    for count, block in read_validated(source, form, ordered, context, "", max_decoded_bytes=max_decoded_bytes):
        records = pl.int_range(start + 1, start + count + 1, eager=True)
        invalid = block.rejected["source_record"].to_pylist()
        others = pl.Series("record", [*invalid, *block.erased], dtype=pl.Int64)
        valid = records.filter(~records.is_in(others.implode()))
        yield NumberedRows(cast("pl.DataFrame", pl.from_arrow(block.valid)), valid, len(invalid), count)
        start += count


@cache
def _in_order(spec: TableSpec, *, is_by_row: bool) -> TableSpec:
    """A table whose valid rows stay in the order of their records."""
    return replace(read_by_row(spec) if is_by_row else spec, partition_by=None)
