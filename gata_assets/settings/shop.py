"""The settings of the shop: where its files are, whose, masking, the catalog, queue and topics; and its older names."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from gata_assets.settings.governance.keys import masking_keys
from gata_assets.settings.values import (
    SettingsGroup,
    bucket_name,
    comma_separated,
    never_off,
    queue_url,
    regions_of_phones,
    source_names,
    topic,
    wrong,
)
from gata_assets.shop.prod.source import Compression

_Bucket = Annotated[str, AfterValidator(bucket_name)] | None
_Topic = Annotated[str, AfterValidator(topic)] | None


# Variables of earlier jobs that mean nothing here, with the reason.
REFUSED = {"BATCH_SIZE": "files are read in blocks of bytes, whatever their number of rows"}


class ShopSettings(SettingsGroup):
    """The settings of the shop tables."""

    sources: Annotated[tuple[str, ...], BeforeValidator(comma_separated), AfterValidator(source_names)] | None = Field(
        None, alias="SHOP_SOURCES", examples=["ecommerce"]
    )
    """The shops whose raw files are processed, separated by commas, or none; if unset, those in the target, as for
    TENANTS. `gata shop process` needs it."""
    raw_bucket: _Bucket = Field(None, alias="SHOP_RAW_BUCKET", examples=["my-shop-raw"])
    """The bucket of the shops' raw files; if unset, they are below shop/raw/ in the target."""
    curated_bucket: _Bucket = Field(None, alias="SHOP_CURATED_BUCKET", examples=["my-shop-curated"])
    """The bucket of the shops' curated tables; if unset, they are below shop/curated/ in the target."""
    prod_bucket: _Bucket = Field(None, alias="SHOP_PROD_BUCKET", examples=["my-shop-prod"])
    """The bucket of the shops' tables for analysts; if unset, they are below shop/prod/ in the target."""
    kms_key: str | None = Field(
        None,
        alias="SHOP_KMS_KEY",
        pattern=r"^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/\S+|alias/\S+|[0-9a-f-]{36}|mrk-[0-9a-f]{32})$",
        examples=["arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"],
    )
    """The KMS key that curated and prod files are encrypted with (SSE-KMS); if unset, the bucket's own encryption."""
    earliest_date: date = Field(date(2000, 1, 1), alias="SHOP_EARLIEST_DATE")
    """The earliest day that an instant of a shop's row may have; rows before it are rejected."""
    parked_days: int = Field(7, ge=0, le=3660)
    """Days for which rows wait for what they refer to, before they go to quarantine."""
    masking_key: Annotated[SecretStr | None, AfterValidator(masking_keys)] = Field(
        None, examples=["32-random-characters-of-your-own"]
    )
    """The key by which e-mail addresses and phone numbers, and masked columns of TABLE_SPECS, become tokens, at least
    16 bytes; if unset, they become *** and cannot be joined, and rows whose identifiers are e-mail addresses or phone
    numbers are rejected. To change it, give both as VERSION:KEY, separated by commas (the old one as 1:KEY): the
    highest version makes new tokens, and people are erased by those of all."""
    phone_regions: (
        Annotated[tuple[str, ...], BeforeValidator(comma_separated), AfterValidator(regions_of_phones)] | None
    ) = Field(None, alias="SHOP_PHONE_REGIONS", examples=["US,DE"])
    """The countries whose phone numbers are hidden in free text in national notation too, separated by commas; if
    unset, only numbers with + or 00 are. Tables of TABLE_SPECS may declare their own."""
    compression: Compression = Field(Compression.ZSTD, alias="SHOP_COMPRESSION")
    """How the files of prod are compressed."""
    grace_hours: int = Field(24, alias="SHOP_GRACE_HOURS", ge=0, le=24 * 365)
    """Hours for which superseded files of prod stay: longer than any query takes."""
    glue_database: str | None = Field(
        None, alias="SHOP_GLUE_DATABASE", pattern=r"^[a-z0-9_]{1,255}$", examples=["shop_prod"]
    )
    """The Glue database that the tables for analysts are registered in; if unset, the catalog is a file in prod."""
    dlq_url: Annotated[str, AfterValidator(queue_url)] | None = Field(
        None, alias="SHOP_DLQ_URL", examples=["https://sqs.us-east-1.amazonaws.com/123456789012/gata-shop-dlq"]
    )
    """The SQS queue of events that failed for good; if unset, they are kept below shop/dead-letters/ in the target."""
    data_topic_arn: _Topic = Field(
        None, alias="SHOP_DATA_TOPIC_ARN", examples=["arn:aws:sns:us-east-1:123456789012:gata-shop-data"]
    )
    """The SNS topic that invalid data is reported to, with counts alone; if unset, it is reported in the log."""
    operations_topic_arn: _Topic = Field(
        None, alias="SHOP_OPERATIONS_TOPIC_ARN", examples=["arn:aws:sns:us-east-1:123456789012:gata-shop-operations"]
    )
    """The SNS topic that events that failed for good are reported to; if unset, they are reported in the log."""
    validation_enabled: Annotated[bool, BeforeValidator(never_off("rows are always validated"))] = True
    """Whether rows are validated: always."""
    deduplication_enabled: Annotated[
        bool, BeforeValidator(never_off("of the changes of a row the latest always counts"))
    ] = True
    """Whether of the changes of a row only the latest counts: always."""
    pci_dss_enabled: Annotated[bool, BeforeValidator(never_off("card numbers are never stored"))] = True
    """Whether card numbers are cut to their last four digits before anything is stored: always."""
    config_json: SecretStr | None = Field(None, examples=['{"PARKED_DAYS": 14}'])
    """An object of JSON with settings by their names, below the environment and the settings file."""
    config_file: Path | None = Field(None, examples=["/app/config/config.json"])
    """A file with such an object, below CONFIG_JSON."""

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        named = {
            "SHOP_RAW_BUCKET": self.raw_bucket,
            "SHOP_CURATED_BUCKET": self.curated_bucket,
            "SHOP_PROD_BUCKET": self.prod_bucket,
        }
        if self.kms_key and not (self.curated_bucket and self.prod_bucket):
            raise wrong(
                "SHOP_KMS_KEY needs SHOP_CURATED_BUCKET and SHOP_PROD_BUCKET: it encrypts what is written there"
            )
        given = [(name, bucket) for name, bucket in named.items() if bucket]
        for number, (name, bucket) in enumerate(given):
            for other, another in given[:number]:
                if bucket == another:
                    raise wrong(f"{other} and {name} are the same bucket: leave both unset, or name two")
        return self
