"""The rules of features and training rows, as plain values.

Everything that determines a table's content belongs here and is stored in its manifest; the locations of sources and
targets do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class InteractionType(StrEnum):
    """What a user did with an item; members are in the order of their codes 0, 1, 2, … in encoded tables."""

    VIEW = "view"
    CLICK = "click"
    PURCHASE = "purchase"
    LIKE = "like"
    ADD_TO_CART = "add_to_cart"
    DISLIKE = "dislike"

    @property
    def code(self) -> int:
        """The type's code in encoded tables."""
        return _CODES[self]


# The number of a user's latest interactions in `recent_items` and `recent_interactions`.
RECENT_INTERACTIONS = 50

_CODES = {kind: code for code, kind in enumerate(InteractionType)}


class SamplingStrategy(StrEnum):
    """How negatives are drawn from the items that a user has not seen.

    `uniform`: each item equally likely. `popularity`: in proportion to (interactions in the window + 1) ** power.
    """

    UNIFORM = "uniform"
    POPULARITY = "popularity"


@dataclass(frozen=True)
class SamplingRules:
    """Everything that determines a batch's training rows, except its windows."""

    positive_types: frozenset[InteractionType]
    min_interactions_per_user: int
    min_interactions_per_item: int
    max_interactions_per_user: int
    ratio: int
    strategy: SamplingStrategy
    power: float
    seed: int


class UnknownItemsAction(StrEnum):
    """What happens when too many interactions have an item that the catalog lacks: a warning, or the batch fails."""

    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class CatalogRules:
    """Up to which share of a window's interactions the catalog may lack the item; it shapes no table."""

    max_unknown_share: float = 0.1
    action: UnknownItemsAction = UnknownItemsAction.WARN


@dataclass(frozen=True)
class InteractionRules:
    """Everything that determines features and training rows; `seen_period_days` is at least `period_days`."""

    period_days: int
    seen_period_days: int
    sampling: SamplingRules

    def as_settings(self) -> dict[str, str | int | float | list[str]]:
        """The rules under the names of their settings, for a manifest."""
        sampling = self.sampling
        return {
            "INTERACTION_PERIOD": self.period_days,
            "SEEN_ITEMS_PERIOD": self.seen_period_days,
            "POSITIVE_INTERACTION_TYPES": [kind.value for kind in InteractionType if kind in sampling.positive_types],
            "MIN_INTERACTIONS_PER_USER": sampling.min_interactions_per_user,
            "MIN_INTERACTIONS_PER_ITEM": sampling.min_interactions_per_item,
            "MAX_INTERACTIONS_PER_USER": sampling.max_interactions_per_user,
            "NEGATIVE_SAMPLING_RATIO": sampling.ratio,
            "NEGATIVE_SAMPLING_STRATEGY": sampling.strategy.value,
            "NEGATIVE_SAMPLING_POWER": sampling.power,
            "NEGATIVE_SAMPLING_SEED": sampling.seed,
        }
