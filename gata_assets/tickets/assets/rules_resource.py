"""The preparation rules as a Dagster resource, so that the UI shows them and a run may be given others."""

from __future__ import annotations

from dataclasses import asdict, fields

import dagster as dg

from gata_assets.tickets.rules import LabelFormat, LowVolumePolicy, PreparationRules, SplitMethod


class PreparationRulesResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The fields of PreparationRules, under the same names."""

    training_period_days: int
    low_volume_period_days: int
    low_volume_threshold: float
    low_volume_min_count: int
    low_volume_policy: LowVolumePolicy
    low_volume_fallback_label: int
    split_method: SplitMethod
    split_seed: int
    label_format: LabelFormat

    @classmethod
    def of(cls, rules: PreparationRules) -> PreparationRulesResource:
        """The resource that holds these rules."""
        return cls(**asdict(rules))

    @property
    def rules(self) -> PreparationRules:
        """The rules as a plain value."""
        return PreparationRules(**{field.name: getattr(self, field.name) for field in fields(PreparationRules)})
