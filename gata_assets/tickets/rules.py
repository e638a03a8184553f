"""The preparation rules of a batch, as plain values.

Everything that determines a dataset's content belongs here and is stored in its manifest; the locations of sources and
targets do not.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

# The default of LOW_VOLUME_FALLBACK_LABEL for the sample tickets.
SAMPLE_FALLBACK_LABEL = 25_000_000_000_101


class LowVolumePolicy(StrEnum):
    """How the general dataset treats low-volume tickets.

    `documented`: relabeled to the fallback label if the low-volume dataset is built, otherwise removed.
    `router`: label 0 if it is built (the router then asks the low-volume model), otherwise the fallback label.
    """

    DOCUMENTED = "documented"
    ROUTER = "router"


class SplitMethod(StrEnum):
    """How tickets are split into train and test."""

    BY_TEXT = "by-text"
    SKLEARN = "sklearn"


class LabelFormat(StrEnum):
    """How `label` is written into the training files."""

    INTEGER = "integer"
    STRING = "string"


@dataclass(frozen=True)
class PreparationRules:
    """Everything that determines a batch's datasets; periods are days, the threshold is a share (0 to 1)."""

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
