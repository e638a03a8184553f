"""When a ticket ended and which group it was in then: what a batch for training reads. Pure.

A ticket ended where its present state is solved or closed, or where an export without states says when it was. Its end
is that of the last time: what happened before it was opened again does not count.
"""

from __future__ import annotations

import polars as pl

from gata_assets.lake.labels import WHOLE_NUMBER
from gata_assets.lake.schema import CLOSED, SOLVED

ENDED_AT, ENDED_GROUP_ID, ENDED_GROUP = "ended_at", "ended_group_id", "ended_group"
# The columns that are known once all versions are.
ENDING = (ENDED_AT, ENDED_GROUP_ID, ENDED_GROUP)
_START = "start"


def with_labels(rows: pl.DataFrame) -> pl.DataFrame:
    """Offline rows with the label of an export that has one: a group's number if it is one, and its name else."""
    label = pl.col("label").str.strip_chars()
    given = pl.when(label != "").then(label)
    number = pl.when(given.str.contains(WHOLE_NUMBER)).then(given)
    return rows.with_columns(group_id=pl.coalesce("group_id", number), group=pl.coalesce("group", given))


def with_ending(rows: pl.DataFrame) -> pl.DataFrame:
    """Versions by id and version, with when the ticket had ended as of each, and its group at that moment.

    `closed_at` counts where the export has it, else `solved_at`, else the first version of the last time that it was
    solved or closed. All are null for a version of a ticket that is not.
    """
    is_ended = (pl.col("status").is_in([SOLVED, CLOSED])).fill_null(
        pl.col("closed_at").is_not_null() | pl.col("solved_at").is_not_null()
    )
    # Of one day: a number that was given twice is another ticket on the other day, and days are merged together.
    is_same = pl.all_horizontal(
        (of == of.shift(1)).fill_null(value=False) for of in (pl.col("id"), pl.col("created_at").dt.date())
    )
    begins = is_ended & ~(is_ended.shift(1).fill_null(value=False) & is_same)
    place = pl.int_range(pl.len(), dtype=pl.UInt32)
    found = rows.with_columns(
        pl.when(is_ended).then(pl.when(begins).then(place).forward_fill()).alias(_START),
    )
    start = pl.col(_START)
    ended_at = pl.coalesce("closed_at", "solved_at", pl.col("version_at").gather(start.fill_null(0)))
    at_start = {
        ENDED_AT: ended_at,
        ENDED_GROUP_ID: pl.col("group_id").gather(start.fill_null(0)),
        ENDED_GROUP: pl.col("group").gather(start.fill_null(0)),
    }
    return found.with_columns(
        pl.when(start.is_not_null()).then(value).alias(name) for name, value in at_start.items()
    ).drop(_START)
