"""The settings of interactions: tenants, what makes a raw row valid, windows, sampling and the engine."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from gata_assets.curation.policy import CurationRules
from gata_assets.interactions.rules import (
    CatalogRules,
    InteractionRules,
    InteractionType,
    SamplingRules,
    SamplingStrategy,
    UnknownItemsAction,
)
from gata_assets.interactions.tables import TABLES
from gata_assets.settings.values import EngineKind, Seed, SettingsGroup, comma_separated, tenant_names, wrong
from gata_assets.tables.columns.column_spec import ReferenceMode
from gata_assets.tables.spec import InvalidOptional

_Count = Annotated[int, Field(ge=1, le=10**6)]


class InteractionSettings(SettingsGroup):
    """The settings of interactions; periods are days."""

    tenants: Annotated[tuple[str, ...], BeforeValidator(comma_separated), AfterValidator(tenant_names)] | None = Field(
        None, examples=["acme,globex"]
    )
    """The tenants whose interactions and own tables are prepared, separated by commas; if unset, all that have raw
    files in the target, which is listed for it; `none` for nobody.
    """
    period: int = Field(90, ge=1, le=36_600, alias="INTERACTION_PERIOD")
    """Days of interactions that a batch is built from."""
    seen_items_period: int | None = Field(None, ge=1, le=36_600, examples=["365"])
    """Days for which an item that a user has seen is not drawn as a negative; if unset, INTERACTION_PERIOD."""
    earliest_interaction: date = date(2020, 1, 1)
    """An interaction before this day is invalid."""
    max_hours_ahead: int = Field(24, ge=0, le=8760)
    """An interaction that is more than this many hours later than its file is invalid."""
    unknown_items: ReferenceMode = ReferenceMode.WARN
    """What happens to an interaction with an item that the catalog does not have."""
    invalid_optional_values: InvalidOptional = InvalidOptional.REJECT_ROW
    """What an invalid value of a column that may be empty (a rating, a price) rejects, in interactions and items: its
    row, or only the value, which is counted.
    """
    max_decoded_gigabytes: float = Field(64, gt=0, le=10**6)
    """A raw file whose values are more than this many gigabytes, however small it is compressed, is refused."""
    max_unknown_items_share: float = Field(0.1, ge=0, le=1)
    """The share of a window's interactions whose item the catalog may lack; above it, ON_UNKNOWN_ITEMS applies."""
    on_unknown_items: UnknownItemsAction = UnknownItemsAction.WARN
    """What happens to a batch above MAX_UNKNOWN_ITEMS_SHARE: it is written with a warning, or fails."""
    max_rejected_share: float = Field(0.1, ge=0, le=1)
    """The greatest share of a file's rows, and of a landing day's, that may be rejected before a check fails."""
    positive_interaction_types: Annotated[tuple[InteractionType, ...], BeforeValidator(comma_separated)] = Field(
        (InteractionType.CLICK, InteractionType.PURCHASE, InteractionType.LIKE), min_length=1
    )
    """The types of interaction that count as positives, separated by commas."""
    min_interactions_per_user: _Count = 5
    """A user with fewer positives is left out."""
    min_interactions_per_item: _Count = 5
    """An item with fewer positives is left out."""
    max_interactions_per_user: _Count = 50
    """The maximum number of positives per user; the newest are kept."""
    negative_sampling_ratio: int = Field(4, ge=1, le=1000)
    """The number of negatives per positive."""
    negative_sampling_strategy: SamplingStrategy = SamplingStrategy.UNIFORM
    """How negatives are drawn from the items that a user has not seen."""
    negative_sampling_power: float = Field(0.75, ge=0, le=4)
    """The exponent of the popularity, with NEGATIVE_SAMPLING_STRATEGY=popularity."""
    negative_sampling_seed: Seed = 42
    """The seed of the negatives."""
    engine: EngineKind = Field(EngineKind.POLARS, alias="INTERACTION_ENGINE")
    """What builds features and training rows: this machine, or a Spark cluster."""
    spark_master: str | None = Field(
        None,
        pattern=r"^(local(\[[0-9*,]+\])?|local-cluster\[[0-9,]+\]|spark://\S+|yarn|k8s://\S+)$",
        examples=["spark://master:7077"],
    )
    """The Spark master to run on, with INTERACTION_ENGINE=spark."""
    spark_remote: str | None = Field(None, pattern=r"^sc://\S+$", examples=["sc://spark:15002"])
    """The Spark Connect server to run on, instead of SPARK_MASTER."""

    @model_validator(mode="after")
    def _interactions_belong_together(self) -> Self:
        if self.seen_items_period is not None and self.seen_items_period < self.period:
            raise wrong(
                f"SEEN_ITEMS_PERIOD ({self.seen_items_period}) is shorter than INTERACTION_PERIOD ({self.period}); "
                "what a user has seen in the window is never a negative. Example: SEEN_ITEMS_PERIOD=365"
            )
        if self.engine is EngineKind.SPARK and (self.spark_master is None) == (self.spark_remote is None):
            raise wrong(
                "INTERACTION_ENGINE=spark needs either SPARK_MASTER or SPARK_REMOTE. Example: SPARK_MASTER=local[2]"
            )
        return self

    @property
    def curation_rules(self) -> CurationRules:
        """What makes a raw row valid."""
        return CurationRules(
            earliest_at=datetime.combine(self.earliest_interaction, datetime.min.time(), UTC),
            at_most_ahead=timedelta(hours=self.max_hours_ahead),
            references={"items": self.unknown_items},
            invalid_optional=dict.fromkeys(TABLES, self.invalid_optional_values),
            max_decoded_bytes=round(self.max_decoded_gigabytes * 1e9),
            max_rejected_share=self.max_rejected_share,
        )

    @property
    def catalog_rules(self) -> CatalogRules:
        """How many interactions may have an item that the catalog lacks."""
        return CatalogRules(self.max_unknown_items_share, self.on_unknown_items)

    @property
    def rules(self) -> InteractionRules:
        """What shapes features and training rows."""
        sampling = SamplingRules(
            positive_types=frozenset(self.positive_interaction_types),
            min_interactions_per_user=self.min_interactions_per_user,
            min_interactions_per_item=self.min_interactions_per_item,
            max_interactions_per_user=self.max_interactions_per_user,
            ratio=self.negative_sampling_ratio,
            strategy=self.negative_sampling_strategy,
            power=self.negative_sampling_power,
            seed=self.negative_sampling_seed,
        )
        return InteractionRules(self.period, self.seen_items_period or self.period, sampling)
