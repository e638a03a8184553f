"""Replaces a few texts of a column: most have nothing to hide, and are not touched."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl


def replace_at(texts: pl.Series, rows: pl.Series, hide: Callable[[str], tuple[str, int]]) -> tuple[pl.Series, int]:
    """Hide something in the texts at some rows.

    Args:
        texts: Strings and nulls.
        rows: Rows with a text in which it may be.
        hide: Of a text, what is to be there instead, and how often something was hidden.

    Returns:
        The texts, and how often something was hidden in all.
    """
    hidden, places, count = [], [], 0
    for row, text in zip(rows.to_list(), texts.gather(rows).to_list(), strict=True):
        found, times = hide(text)
        if times:
            hidden.append(found)
            places.append(row)
            count += times
    if not count:
        return texts, 0
    return texts.clone().scatter(places, pl.Series(hidden, dtype=pl.String)), count
