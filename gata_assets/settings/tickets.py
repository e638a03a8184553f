"""The settings of tickets: where they are read from, windows, low-volume labels, the split."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from gata_assets.settings.values import (
    LAKE,
    SQLITE,
    Seed,
    SettingsGroup,
    SourceKind,
    arn,
    column_name,
    label,
    select_statement,
    ticket_url,
    wrong,
)
from gata_assets.tickets.rules import (
    DEFAULT_TEST_SHARE,
    SAMPLE_FALLBACK_LABEL,
    LabelFormat,
    LowVolumePolicy,
    NearDuplicatePolicy,
    OnInvalidTickets,
    PreparationRules,
    SplitMethod,
    TextNormalization,
)

SAMPLE_TICKETS_FILE = Path("gata-sample.sqlite")
# Whose tickets are that are read from a table, which names no tenant.
TENANT_OF_TICKETS = "default"
_Arn = Annotated[str, AfterValidator(arn)]
_Days = Annotated[int, Field(ge=1, le=3660)]


class TicketSettings(SettingsGroup):
    """The settings of tickets; periods are days, thresholds are shares of 1, labels are Zendesk group ids."""

    url: Annotated[SecretStr | None, AfterValidator(ticket_url)] = Field(
        None, alias="TICKETS_URL", examples=["postgresql://reader@db.example:5432/gata"]
    )
    """Where tickets are read from: a SQLite file, a PostgreSQL database, or a tenant's lake (lake://acme)."""
    db_arn: _Arn | None = Field(None, examples=["arn:aws:rds:us-east-1:123456789012:cluster:gata"])
    """The Aurora cluster to read through the RDS Data API, instead of TICKETS_URL."""
    db_secret_arn: _Arn | None = Field(
        None, examples=["arn:aws:secretsmanager:us-east-1:123456789012:secret:gata-reader"]
    )
    """The Secrets Manager secret of the cluster's reader (JSON: dbname, username, password)."""
    query: Annotated[str | None, AfterValidator(select_statement)] = Field(
        None,
        alias="TICKETS_QUERY",
        examples=[
            "SELECT number AS id, body AS processed_data, ended AS closed, team AS closed_group_id_mapped FROM cases"
        ],
    )
    """A SELECT statement that gives the columns of the ticket table from tables of your own, in place of it."""
    requester_column: Annotated[str | None, AfterValidator(column_name)] = Field(
        None, alias="TICKETS_REQUESTER_COLUMN", examples=["requester_id"]
    )
    """The column of the ticket table, or of TICKETS_QUERY, that has the id of who asked, spelled as in the database. It
    says which tickets are of a person who is erased or exported."""
    low_volume_fallback_label: Annotated[int | str | None, BeforeValidator(label)] = Field(
        None, examples=["25000000000101"]
    )
    """The group that low-volume tickets are relabeled to, by number or name; required with tickets of your own."""
    training_period: _Days = 90
    """Days of closed tickets in the training window."""
    low_volume_period: _Days = 365
    """Days of closed tickets that are searched for low-volume labels."""
    low_volume_threshold: float = Field(0.033, gt=0, lt=1)
    """A label whose share of the training window is below this is low-volume."""
    low_volume_min_count: int = Field(10, ge=2)
    """The minimum number of tickets for a low-volume label to be trained on."""
    low_volume_policy: LowVolumePolicy = LowVolumePolicy.DOCUMENTED
    """What happens to low-volume tickets in the general dataset."""
    split_method: SplitMethod = SplitMethod.BY_TEXT
    """How tickets are divided: by distinct text, or as scikit-learn's train_test_split does."""
    test_share: float = Field(DEFAULT_TEST_SHARE, ge=0.01, le=0.5)
    """The share of each label's tickets that is tested on; the others train."""
    split_seed: Seed = 42
    """The seed of the split by text (the scikit-learn one always uses 42)."""
    label_format: LabelFormat = LabelFormat.INTEGER
    """How `label` is written into data.json; the fine-tuning job needs integers."""

    text_normalization: TextNormalization = TextNormalization.STRICT
    """Whether texts must be reduced to [a-z0-9?.! ] already, or are reduced when they are read (normalize)."""
    max_emptied_share: float = Field(0.1, ge=0, le=1, alias="MAX_EMPTIED_TEXTS_SHARE")
    """A batch fails when normalization leaves no letter or digit in a greater share of a window's texts."""
    on_invalid_tickets: OnInvalidTickets = OnInvalidTickets.FAIL
    """Whether a ticket that cannot train fails its batch, or is left out, counted and kept in quarantine."""
    max_invalid_share: float = Field(0.1, ge=0, le=1, alias="MAX_INVALID_TICKETS_SHARE")
    """A greater share of invalid tickets in a window is a warning."""
    max_ticket_bytes: int | None = Field(None, ge=1, examples=["60000"])
    """Tickets with a longer text are left out, counted; the RDS Data API reads no row over 64 KB."""
    near_duplicates: NearDuplicatePolicy = NearDuplicatePolicy.COUNT
    """Whether near-duplicate texts on both sides of the split are counted, or kept on one side (group)."""
    near_duplicate_similarity: float = Field(0.8, ge=0.5, le=1)
    """The Jaccard similarity of two texts' word 3-grams from which they are near-duplicates."""
    max_twin_share: float = Field(0.05, ge=0, le=1)
    """A greater share of test rows with a near-duplicate in train is a warning."""
    statement_seconds: int = Field(600, ge=1, le=86_400, alias="STATEMENT_TIMEOUT_SECONDS")
    """The longest time that a statement may take in the PostgreSQL of TICKETS_URL."""

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if self.low_volume_period < self.training_period:
            raise wrong(
                f"LOW_VOLUME_PERIOD ({self.low_volume_period}) is shorter than TRAINING_PERIOD "
                f"({self.training_period}): the low-volume window reaches back as far. Example: LOW_VOLUME_PERIOD=365"
            )
        if (self.db_arn is None) != (self.db_secret_arn is None):
            missing, given = ("DB_SECRET_ARN", "DB_ARN") if self.db_arn else ("DB_ARN", "DB_SECRET_ARN")
            raise wrong(f"{missing} is missing: it goes with {given}")
        if self.db_arn and self.url:
            raise wrong("TICKETS_URL and DB_ARN are both set; unset one of them")
        if self.query and self.source_kind is SourceKind.LAKE:
            raise wrong(
                "TICKETS_QUERY goes with a database, and TICKETS_URL names a lake, whose tickets have the columns that "
                "are needed; LABEL_FIELD chooses the label. Unset TICKETS_QUERY"
            )
        if self.requester_column and self.source_kind is SourceKind.LAKE:
            raise wrong(
                "TICKETS_REQUESTER_COLUMN goes with a database, and TICKETS_URL names a lake, which knows who asked. "
                "Unset TICKETS_REQUESTER_COLUMN"
            )
        if self.source_kind is not SourceKind.SAMPLE and self.low_volume_fallback_label is None:
            raise wrong(
                "LOW_VOLUME_FALLBACK_LABEL is missing: with tickets of your own it must name the group that "
                "low-volume tickets go to. Example: LOW_VOLUME_FALLBACK_LABEL=25000000000101"
            )
        return self

    @property
    def source_kind(self) -> SourceKind:
        """Which ticket source the settings choose."""
        if self.db_arn:
            return SourceKind.DATA_API
        if self.url is None:
            return SourceKind.SAMPLE
        if self.lake_tenant is not None:
            return SourceKind.LAKE
        return SourceKind.SQLITE if self.url.get_secret_value().startswith(SQLITE) else SourceKind.POSTGRESQL

    @property
    def lake_tenant(self) -> str | None:
        """The tenant whose lake tickets are read from; None where they are read from elsewhere."""
        url = self.url.get_secret_value() if self.url else ""
        return url.removeprefix(LAKE) if url.startswith(LAKE) and not self.db_arn else None

    @property
    def tenant(self) -> str:
        """Whose tickets batches are prepared from."""
        return self.lake_tenant or TENANT_OF_TICKETS

    @property
    def sqlite_path(self) -> Path:
        """The embedded store's file: TICKETS_URL's, or the sample's while it is unset."""
        if self.url is None:
            return SAMPLE_TICKETS_FILE
        return Path(self.url.get_secret_value().removeprefix(SQLITE))

    @property
    def rules(self) -> PreparationRules:
        """What shapes the datasets; only the sample tickets have a default fallback label."""
        fallback = SAMPLE_FALLBACK_LABEL if self.low_volume_fallback_label is None else self.low_volume_fallback_label
        same = self.model_dump(include={field.name for field in fields(PreparationRules)})
        renamed = {"training_period_days": self.training_period, "low_volume_period_days": self.low_volume_period}
        return PreparationRules(**same | renamed | {"low_volume_fallback_label": fallback})
