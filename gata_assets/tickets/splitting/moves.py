"""What became of tickets from one batch to another: which came or went, and which changed their label or their side.

Pure: tables in, counts out; texts are joined and never shown.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

_SCHEMA = {"id": pl.Int64, "label": pl.Int64, "side": pl.String}


def find_sides(tickets: pl.DataFrame, texts: Mapping[str, pl.Series]) -> pl.DataFrame:
    """The side on which each ticket of a batch is.

    Args:
        tickets: `id`, `label` and `text`, one row per ticket.
        texts: The texts of each side's file (`train`, `test`), in any order, with repetitions.

    Returns:
        `id`, `label` and `side`: `train`, `test`, `both` for a text that both files have, null for one that neither
        has.
    """
    has = {side: pl.col("text").is_in(of_side.unique().implode()) for side, of_side in texts.items()}
    train, test = (has.get(side, pl.lit(value=False)) for side in ("train", "test"))
    side = pl.when(train & test).then(pl.lit("both")).when(train).then(pl.lit("train")).when(test).then(pl.lit("test"))
    return tickets.select("id", "label", side.alias("side")).cast(_SCHEMA)  # type: ignore[arg-type]


def compare_sides(first: pl.DataFrame, second: pl.DataFrame) -> dict[str, int]:
    """Count what differs between the tickets of two batches, both as from `find_sides`.

    A ticket that is in both batches and changes both its label and its side counts for each.
    """
    both = first.join(second, on="id", suffix="_now")
    then, now = pl.col("side"), pl.col("side_now")
    counts = both.select(
        (pl.col("label") != pl.col("label_now")).sum().alias("changed_label"),
        ((then == "train") & (now == "test")).sum().alias("from_train_to_test"),
        ((then == "test") & (now == "train")).sum().alias("from_test_to_train"),
    ).row(0, named=True)
    return {
        "in_both": len(both),
        "only_in_first": len(first) - len(both),
        "only_in_second": len(second) - len(both),
        **{name: int(count) for name, count in counts.items()},
    }
