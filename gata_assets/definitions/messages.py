"""Assembles what reads messages of topics: the registry, the decoder, the judge, the roll-up and upkeep."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gata_assets.ingestion.kafka.consuming.decoding import MessageDecoder
from gata_assets.ingestion.kafka.consuming.judging import Judge
from gata_assets.ingestion.kafka.origin import target_id
from gata_assets.ingestion.kafka.relay.cursors import kept_from
from gata_assets.ingestion.segments.rollup import RollUp
from gata_assets.ingestion.upkeep.rounds import Upkeep
from gata_assets.settings.model import Settings
from gata_assets.settings.table_specs import all_tables
from gata_assets.settings.tenants import named_tenants
from gata_assets.storage.objects import ObjectStore

if TYPE_CHECKING:
    from gata_assets.ingestion.schemas.registry import SchemaRegistry


def has_registry(settings: Settings) -> bool:
    """Whether the settings name a schema registry."""
    return bool(settings.registry.glue_schema_registry or settings.registry.schema_registry_url)


def build_registry(settings: Settings) -> SchemaRegistry:
    """The schema registry of the settings, which name one; needs the extra `kafka`."""
    found = settings.registry
    if found.glue_schema_registry:
        from gata_assets.ingestion.schemas.glue import open_glue

        return open_glue(found.glue_schema_registry, settings.target.region)
    from gata_assets.ingestion.schemas.confluent import ConfluentRegistry

    url, password = found.schema_registry_url, found.schema_registry_password
    return ConfluentRegistry(
        url.get_secret_value() if url else "",
        user=found.schema_registry_user,
        password=password.get_secret_value() if password else None,
    )


def build_decoder(settings: Settings) -> MessageDecoder:
    """What turns messages into lines of raw files; asks the registry once a message is Avro. Raises SettingsError."""
    open_registry = (lambda: build_registry(settings)) if has_registry(settings) else None
    return MessageDecoder(
        all_tables(settings), open_registry, max_bytes=settings.consumer.consumer_rules.at_most_message_bytes
    )


def build_roll_up(settings: Settings, store: ObjectStore) -> RollUp:
    """What turns events of all sources into raw files, for a target; raises SettingsError."""
    # What `gata publish` has not produced yet is kept for it.
    kept = kept_from if settings.kafka.connection else None
    return RollUp(store, lambda: datetime.now(UTC), decode=build_decoder(settings), kept_from=kept)


def open_upkeep(settings: Settings, store: ObjectStore) -> Upkeep:
    """The upkeep of what ingestion has in a target; raises SettingsError."""
    return Upkeep(store, lambda: datetime.now(UTC), build_roll_up(settings, store))


def build_judge(settings: Settings, store: ObjectStore, decoder: MessageDecoder) -> Judge:
    """What says which messages are events, for a target; raises SettingsError or StoreError."""
    return Judge(
        settings.kafka.topics.tables,
        decoder,
        target_id(store),
        tenants=named_tenants(settings),
        max_bytes=settings.consumer.consumer_rules.at_most_message_bytes,
    )
