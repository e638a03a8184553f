"""Interactions with items that the catalog lacks: how many, and what the two spellings look like.

If the ids of one item are written in two ways, `7` and `7.0`, none is known to be the other: a user's own items are
drawn as negatives. No id is shown, only its shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from gata_assets.interactions.rules import CatalogRules, InteractionType
from gata_assets.tables.outcomes import Outcome

if TYPE_CHECKING:
    from gata_assets.interactions.features.tables import ItemCounts

_TYPES = len(InteractionType)
# Shapes are counted in a sample of the ids, evenly spaced, and shown up to a length.
_SAMPLED_IDS = 10_000
_MAX_SHAPE = 24
# No word of an id is left: letters and digits of any script, then all that is not ASCII. Zeros come last, when all else
# is ASCII: `ø` stands for digits with leading ones, and a zero alone is a digit as others are.
_SHAPES = (
    (r"[\p{N}--0]\p{N}*", "9"),
    (r"(?:[\p{Lu}\p{Lt}]\p{M}*)+", "A"),
    (r"[\p{L}\p{M}--\p{Lu}\p{Lt}]+", "a"),
    (r"[^ -~]+", "?"),
    (r"(?:\s)+", " "),
    ("0+9|00+", "ø"),
    ("0", "9"),
    ("ø", "09"),
)
_LEGEND = "9: digits, 09: with leading zeros, A: capital letters, a: other letters"


@dataclass(frozen=True)
class UnknownItems:
    """The interactions of a window, those with an unknown item, and the ids to compare."""

    interactions: int
    unknown_interactions: int
    items: int
    unknown_ids: pl.Series
    catalog_ids: pl.Series

    @property
    def numbers(self) -> dict[str, int | float]:
        """Counts for metadata and manifests."""
        return {"unknown_items": len(self.unknown_ids), "unknown_item_interactions": self.unknown_interactions}


def find_unknown_items(item_counts: ItemCounts, catalog: pl.DataFrame) -> UnknownItems:
    """Look up the items of a window's interactions in the catalog (`item_id`)."""
    totals = item_counts.counts[:, :_TYPES].sum(axis=1, dtype="uint64")
    items = pl.DataFrame({"item_id": item_counts.items.ids.rename("item_id"), "rows": totals})
    items = items.filter(pl.col("rows") > 0)
    unknown = items.join(catalog.select("item_id"), on="item_id", how="anti")
    return UnknownItems(
        interactions=int(items["rows"].sum()),
        unknown_interactions=int(unknown["rows"].sum()),
        items=len(items),
        unknown_ids=unknown["item_id"],
        catalog_ids=catalog["item_id"],
    )


def check_unknown_items(found: UnknownItems, rules: CatalogRules) -> Outcome:
    """Whether the share of interactions with an unknown item is at most that of the rules."""
    rule = (
        f"at most {rules.max_unknown_share * 100:g} % of the window's interactions have an item that the catalog lacks"
    )
    share = found.unknown_interactions / found.interactions if found.interactions else 0.0
    if share <= rules.max_unknown_share:
        return Outcome(rule, 0, found.interactions, "", unit="interactions")
    seen, known = common_shape(found.unknown_ids), common_shape(found.catalog_ids)
    if known is None:
        shapes = f"The catalog has no item. The unknown ids look like `{seen}`"
    elif seen == known:
        shapes = f"They look like `{seen}`, as the catalog's do ({_LEGEND}): their shapes do not explain it"
    else:
        shapes = f"They look like `{seen}`, the catalog's like `{known}` ({_LEGEND})"
    advice = (
        f"{len(found.unknown_ids):,} of {found.items:,} items are unknown, and may be drawn as negatives of users who "
        f"have met them. {shapes}. If an item is written in two ways, write it in one (whole numbers that were read as "
        "decimals end in .0) and upload the corrected files with `gata ingest … --replaces`; if items are missing, "
        "upload them with `gata ingest items`. MAX_UNKNOWN_ITEMS_SHARE sets the share."
    )
    return Outcome(rule, found.unknown_interactions, found.interactions, advice, unit="interactions")


def common_shape(ids: pl.Series) -> str | None:
    """The most common shape of ids: digits as 9 (09 with leading zeros), capitals as A, other letters as a, repetitions
    once; None without ids.

    Of equally common ones the first in the order of texts.
    """
    if ids.is_empty():
        return None
    shapes = ids.gather_every(-(-len(ids) // _SAMPLED_IDS)).rename("shape").cast(pl.String)
    for pattern, letter in _SHAPES:
        shapes = shapes.str.replace_all(pattern, letter)
    most = shapes.value_counts().sort(["count", "shape"], descending=[True, False])["shape"][0]
    return str(most) if len(most) <= _MAX_SHAPE else f"{most[:_MAX_SHAPE]}…"
