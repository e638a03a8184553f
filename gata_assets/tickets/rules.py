"""The preparation rules of a batch, as plain values.

Everything that determines a dataset's content belongs here and is stored in its manifest; the locations of sources and
targets do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

# The default of LOW_VOLUME_FALLBACK_LABEL for the sample tickets.
SAMPLE_FALLBACK_LABEL = 25_000_000_000_101
# The share of tickets to test on, unless TEST_SHARE says another.
DEFAULT_TEST_SHARE = 0.1


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


class TextNormalization(StrEnum):
    """What is done to texts before they are checked.

    `strict`: white space becomes single spaces, and the source has done the rest. `normalize`: any text is reduced to
    what the fine-tuning job accepts (`tables.text_normalization`).
    """

    STRICT = "strict"
    NORMALIZE = "normalize"


class OnInvalidTickets(StrEnum):
    """What a ticket that cannot train does to its batch."""

    FAIL = "fail"
    QUARANTINE = "quarantine"


class NearDuplicatePolicy(StrEnum):
    """What is done about near-duplicate texts on both sides of the split.

    `count`: they are counted. `group`: near-duplicates stay on one side, where their label has others.
    """

    OFF = "off"
    COUNT = "count"
    GROUP = "group"


@dataclass(frozen=True)
class PreparationRules:
    """Everything that determines a batch's datasets; periods are days, thresholds are shares (0 to 1).

    `max_twin_share`, `max_invalid_share` and `max_emptied_share` are for checks alone and shape no dataset.
    """

    training_period_days: int
    low_volume_period_days: int
    low_volume_threshold: float
    low_volume_min_count: int
    low_volume_policy: LowVolumePolicy
    low_volume_fallback_label: int | str
    split_method: SplitMethod
    split_seed: int
    label_format: LabelFormat
    on_invalid_tickets: OnInvalidTickets = OnInvalidTickets.FAIL
    max_ticket_bytes: int | None = None
    near_duplicates: NearDuplicatePolicy = NearDuplicatePolicy.COUNT
    near_duplicate_similarity: float = 0.8
    max_twin_share: float = 0.05
    max_invalid_share: float = 0.1
    text_normalization: TextNormalization = TextNormalization.STRICT
    test_share: float = DEFAULT_TEST_SHARE
    max_emptied_share: float = 0.1

    def as_settings(self) -> dict[str, str | int | float | None]:
        """The rules under the names of their settings, for a manifest."""
        renamed = {"training_period_days": "TRAINING_PERIOD", "low_volume_period_days": "LOW_VOLUME_PERIOD"}
        shaping = {name: value for name, value in asdict(self).items() if name not in _FOR_CHECKS}
        return {renamed.get(name, name.upper()): value for name, value in shaping.items()}

    def differ_from(self, settings: Mapping[str, object]) -> bool:
        """Whether a manifest's settings differ from these; one that an earlier release did not have had its default."""
        theirs, ours = {**NEW_SETTINGS, **settings}, self.as_settings()
        if NearDuplicatePolicy.GROUP not in (theirs["NEAR_DUPLICATES"], ours["NEAR_DUPLICATES"]):
            # They are counted or not: that changes no file.
            for name in ("NEAR_DUPLICATES", "NEAR_DUPLICATE_SIMILARITY"):
                del theirs[name], ours[name]
        return theirs != ours


_FOR_CHECKS = ("max_twin_share", "max_invalid_share", "max_emptied_share")

# Settings that were added after the first manifests, with what earlier releases did.
NEW_SETTINGS: Mapping[str, object] = {
    "ON_INVALID_TICKETS": OnInvalidTickets.FAIL,
    "MAX_TICKET_BYTES": None,
    "NEAR_DUPLICATES": NearDuplicatePolicy.COUNT,
    "NEAR_DUPLICATE_SIMILARITY": 0.8,
    "TEXT_NORMALIZATION": TextNormalization.STRICT,
    "TEST_SHARE": DEFAULT_TEST_SHARE,
}
