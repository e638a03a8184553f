"""Which rows of bronze are versions of tickets, which of two rows of one version counts, and which version is current.

Content decides, never the order of files: pages repeat tickets at their borders, files come late and twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from gata_assets.lake.schema import DELETED, PLACES

# The place of a row's day among those that are ordered together, which takes half the time of one by one.
PARTITION = "partition"
_VERSION = (PARTITION, "id", "version_at")
_GIVEN, _ROW = "given_values", "row"


def version_instant() -> pl.Expr:
    """When a version was made.

    An export that does not say has the last instant that it gives: of its update, its solving, or its creation.
    """
    ended = pl.max_horizontal("solved_at", "closed_at")
    return pl.coalesce("generated_timestamp", "updated_at", ended, "created_at").alias("version_at")


def order_versions(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with their `version_at`, one for each version, by partition, id and version.

    Of two rows of one version the one with the most given values counts, then the greatest content, value by value; of
    two rows of the same content the first place.
    """
    dated = rows.with_columns(version_instant())
    ordered = dated.select(*_VERSION).with_row_index(_ROW).sort(*_VERSION)
    is_repeated = (
        ordered.select(pl.struct(_VERSION).is_duplicated()).to_series() if len(ordered) else pl.Series([False])
    )
    if not is_repeated.any():
        return dated[ordered[_ROW]]
    repeated = ordered.filter(is_repeated)
    kept = _first_of_each(dated[repeated[_ROW]].with_columns(repeated[_ROW]))
    chosen = pl.concat([ordered.filter(~is_repeated), ordered.filter(pl.col(_ROW).is_in(kept.implode()))])
    return dated[chosen.sort(*_VERSION)[_ROW]]


def _first_of_each(rows: pl.DataFrame) -> pl.Series:
    """The numbers of the rows that count among rows of which several are one version."""
    content = [name for name in rows.columns if name not in (*PLACES, *_VERSION, _ROW)]
    given = rows.with_columns(pl.sum_horizontal(pl.col(content).is_not_null()).alias(_GIVEN))
    by: Sequence[tuple[str, bool]] = [
        *((name, False) for name in _VERSION),
        (_GIVEN, True),
        *((name, True) for name in content),
        ("source_file", False),
        ("source_record", False),
    ]
    names, descending = zip(*by, strict=True)
    # A missing value is the least, so that it comes last where the greatest is first.
    best = given.sort(names, descending=descending, nulls_last=descending)
    return best.unique(_VERSION, keep="first", maintain_order=True)[_ROW]


def is_newest() -> pl.Expr:
    """Whether a row is the newest version of its ticket, of rows by id and version."""
    return (pl.col("id") != pl.col("id").shift(-1)).fill_null(value=True)


def is_current() -> pl.Expr:
    """Whether a row is the newest version of a ticket that was not deleted."""
    return is_newest() & (pl.col("status") != DELETED).fill_null(value=True)


def repeated_versions() -> pl.Expr:
    """How many versions are there more than once."""
    return pl.len() - pl.struct("id", "version_at").n_unique()


def unordered_versions() -> pl.Expr:
    """How many versions are less than the one before."""
    id_before, at_before = pl.col("id").shift(1), pl.col("version_at").shift(1)
    return ((pl.col("id") < id_before) | ((pl.col("id") == id_before) & (pl.col("version_at") < at_before))).sum()
