"""Rows of people in what is stored of a table: staged, rejected and curated rows, object by object, named or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import SEEK_END
from typing import cast

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from gata_assets.curation.staged_partitions import StagedPartitionWriter, read_batches
from gata_assets.curation.validator import FileValidator
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.columns.arrays import Bools
from gata_assets.tables.masking.rows import TOKEN
from gata_assets.tables.people.named_people import Subjects
from gata_assets.tables.row_rules import RowContext, validate_columns
from gata_assets.tables.spec import TableSpec

# The kinds of stored rows.
STAGED, REJECTED, CURATED = "staged", "rejected rows", "curated"
# Of rows whose values are looked at alone: no value depends on it, and all changes have a commit time.
ANY_CONTEXT = RowContext(committed_at=datetime(1970, 1, 1, tzinfo=UTC))
# A row in quarantine may have megabytes.
_ROWS_AT_ONCE = 1_000


def subject_tables(validator: FileValidator) -> list[TableSpec]:
    """The tables whose rows name a person."""
    return [spec for spec in validator.tables.values() if spec.subject_columns]


def stored_keys(validator: FileValidator, table: str) -> Iterator[tuple[str, str]]:
    """The objects with rows of a table, each with the kind of its rows, kind by kind."""
    places = validator.places
    folders = {STAGED: places.staged(table), REJECTED: places.quarantine(table), CURATED: places.curated(table)}
    for kind, folder in folders.items():
        yield from ((kind, key) for key in validator.store.list_keys(folder))


def stored_rows(store: ObjectStore, key: str) -> Iterator[pl.DataFrame]:
    """The rows of an object, a bounded number at a time; none of what has no rows, such as a manifest.

    Raises one of DAMAGED, ObjectNotFoundError or StoreError.
    """
    if key.endswith(f".{StagedPartitionWriter.ending}"):
        with store.open_read(key) as file:
            size = file.seek(0, SEEK_END)
            file.seek(0)
            for batch in read_batches(file, size):
                yield pl.DataFrame(batch)
    elif key.endswith(".parquet"):
        with store.local_copy(key) as path:
            for batch in pq.ParquetFile(path).iter_batches(_ROWS_AT_ONCE):
                yield cast("pl.DataFrame", pl.from_arrow(batch))


def rejected_values(spec: TableSpec, rows: pl.DataFrame) -> pl.DataFrame:
    """The values of rejected rows, as far as they can be read."""
    columns = [column.name for column in spec.raw_columns if column.name in rows.columns]
    values = validate_columns(spec, rows.select(columns), ANY_CONTEXT).values
    # A token has no column's format.
    tokens = [one.name for one in spec.raw_columns if one.subject and one.personal == TOKEN and one.name in columns]
    return values.with_columns(rows.select(tokens))


def are_rejected_theirs(
    spec: TableSpec, rows: pl.DataFrame, people: Subjects, is_mention: Callable[[str], bool]
) -> Bools:
    """Which rejected rows are about people: by their columns, or if they could not be read, by what they contain."""
    found = people.rows_of(spec, rejected_values(spec, rows))
    are_theirs = np.zeros(len(rows), dtype=np.bool_) if found is None else found
    mentions = [text is not None and is_mention(text) for text in rows["row"].to_list()]
    return are_theirs | np.array(mentions, dtype=np.bool_)
