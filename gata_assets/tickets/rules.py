"""The rules by which a batch is prepared, as plain values that come in as arguments.

What shapes the datasets belongs here and goes into their manifests; where data is read from or written to does not.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

# The group of the sample tickets that stands in for LOW_VOLUME_FALLBACK_LABEL while no database is named.
SAMPLE_FALLBACK_LABEL = 25_000_000_000_101


class LowVolumePolicy(StrEnum):
    """What becomes of low-volume tickets in the general dataset.

    `documented`: relabelled to the fallback label when the low-volume dataset is made, removed when it is not.
    `router`: label 0 when it is made (the router then asks the low-volume model), the fallback label when not.
    """

    DOCUMENTED = "documented"
    ROUTER = "router"


class SplitMethod(StrEnum):
    """How tickets are divided into train and test."""

    BY_TEXT = "by-text"
    SKLEARN = "sklearn"


class LabelFormat(StrEnum):
    """How `label` is written into the training files."""

    INTEGER = "integer"
    STRING = "string"


@dataclass(frozen=True)
class PreparationRules:
    """All that shapes the datasets of a batch; periods are days, the threshold is a share of 1."""

    training_period_days: int
    low_volume_period_days: int
    low_volume_threshold: float
    low_volume_min_count: int
    low_volume_policy: LowVolumePolicy
    low_volume_fallback_label: int
    split_method: SplitMethod
    split_seed: int
    label_format: LabelFormat

    def as_settings(self) -> dict[str, str | int | float]:
        """The rules under the names of their settings, for a manifest."""
        renamed = {"training_period_days": "TRAINING_PERIOD", "low_volume_period_days": "LOW_VOLUME_PERIOD"}
        return {renamed.get(name, name.upper()): value for name, value in asdict(self).items()}
