"""The settings of interactions: tenants, what makes a raw row valid, windows, sampling and the engine."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from gata_assets.curation.policy import CurationRules
from gata_assets.interactions.rules import InteractionRules, InteractionType, SamplingRules, SamplingStrategy
from gata_assets.settings.group import SettingsGroup
from gata_assets.settings.values import EngineKind, comma_separated, tenant_names
from gata_assets.tables.spec import ReferenceMode


class InteractionSettings(SettingsGroup):
    """The settings of interactions; periods are days."""

    tenants: Annotated[tuple[str, ...], BeforeValidator(comma_separated), AfterValidator(tenant_names)] | None = Field(
        default=None,
        description="Whose interactions are prepared, between commas; unset: `sample` with the sample tickets.",
        examples=["acme,globex"],
    )
    period: int = Field(
        default=90,
        ge=1,
        le=36_600,
        alias="INTERACTION_PERIOD",
        description="Days of interactions that a batch is built from.",
        examples=["90"],
    )
    seen_items_period: int | None = Field(
        default=None,
        ge=1,
        le=36_600,
        description="Days for which an item that a user has seen is no negative; unset, INTERACTION_PERIOD.",
        examples=["365"],
    )
    earliest_interaction: date = Field(
        default=date(2020, 1, 1),
        description="An interaction before this day is invalid.",
        examples=["2020-01-01"],
    )
    max_hours_ahead: int = Field(
        default=24,
        ge=0,
        le=8760,
        description="An interaction that many hours later than its file is invalid.",
        examples=["24"],
    )
    unknown_items: ReferenceMode = Field(
        default=ReferenceMode.WARN,
        description="What becomes of an interaction with an item that the catalog does not have.",
        examples=[choice.value for choice in ReferenceMode],
    )
    positive_interaction_types: Annotated[tuple[InteractionType, ...], BeforeValidator(comma_separated)] = Field(
        default=(InteractionType.CLICK, InteractionType.PURCHASE, InteractionType.LIKE),
        min_length=1,
        description="The types of interaction that make a positive, between commas.",
        examples=["click,purchase,like"],
    )
    min_interactions_per_user: int = Field(
        default=5, ge=1, le=10**6, description="A user with fewer positives is left out.", examples=["5"]
    )
    min_interactions_per_item: int = Field(
        default=5, ge=1, le=10**6, description="An item with fewer positives is left out.", examples=["5"]
    )
    max_interactions_per_user: int = Field(
        default=50, ge=1, le=10**6, description="The most positives of one user; the newest are kept.", examples=["50"]
    )
    negative_sampling_ratio: int = Field(
        default=4, ge=1, le=1000, description="Negatives per positive.", examples=["4"]
    )
    negative_sampling_strategy: SamplingStrategy = Field(
        default=SamplingStrategy.UNIFORM,
        description="How negatives are drawn from what a user has not seen.",
        examples=[strategy.value for strategy in SamplingStrategy],
    )
    negative_sampling_power: float = Field(
        default=0.75,
        ge=0,
        le=4,
        allow_inf_nan=False,
        description="The power of the popularity, with NEGATIVE_SAMPLING_STRATEGY=popularity.",
        examples=["0.75"],
    )
    negative_sampling_seed: int = Field(
        default=42, ge=0, lt=2**63, description="The seed of the negatives.", examples=["42"]
    )
    engine: EngineKind = Field(
        default=EngineKind.POLARS,
        alias="INTERACTION_ENGINE",
        description="What builds features and training rows: this machine, or a Spark cluster.",
        examples=[kind.value for kind in EngineKind],
    )
    spark_master: str | None = Field(
        default=None,
        pattern=r"^(local(\[[0-9*,]+\])?|local-cluster\[[0-9,]+\]|spark://\S+|yarn|k8s://\S+)$",
        description="The Spark master to run on, with INTERACTION_ENGINE=spark.",
        examples=["spark://master:7077", "yarn", "local[2]"],
    )
    spark_remote: str | None = Field(
        default=None,
        pattern=r"^sc://\S+$",
        description="The Spark Connect server to run on, instead of SPARK_MASTER.",
        examples=["sc://spark:15002"],
    )

    @model_validator(mode="after")
    def _interactions_belong_together(self) -> Self:
        if self.seen_items_period is not None and self.seen_items_period < self.period:
            raise PydanticCustomError(
                "seen_items",
                "SEEN_ITEMS_PERIOD ({seen}) is shorter than INTERACTION_PERIOD ({period}); what a user has seen in the "
                "window is never a negative. Example: SEEN_ITEMS_PERIOD=365",
                {"seen": self.seen_items_period, "period": self.period},
            )
        if self.engine is EngineKind.SPARK and (self.spark_master is None) == (self.spark_remote is None):
            raise PydanticCustomError(
                "engine",
                "INTERACTION_ENGINE=spark needs SPARK_MASTER or SPARK_REMOTE, one of them. Example: "
                "SPARK_MASTER=local[2]",
            )
        return self

    @property
    def curation_rules(self) -> CurationRules:
        """What makes a raw row valid."""
        return CurationRules(
            earliest_at=datetime.combine(self.earliest_interaction, datetime.min.time(), UTC),
            at_most_ahead=timedelta(hours=self.max_hours_ahead),
            references={"items": self.unknown_items},
        )

    @property
    def rules(self) -> InteractionRules:
        """What shapes features and training rows."""
        return InteractionRules(
            period_days=self.period,
            seen_period_days=self.seen_items_period or self.period,
            sampling=SamplingRules(
                positive_types=frozenset(self.positive_interaction_types),
                min_interactions_per_user=self.min_interactions_per_user,
                min_interactions_per_item=self.min_interactions_per_item,
                max_interactions_per_user=self.max_interactions_per_user,
                ratio=self.negative_sampling_ratio,
                strategy=self.negative_sampling_strategy,
                power=self.negative_sampling_power,
                seed=self.negative_sampling_seed,
            ),
        )
