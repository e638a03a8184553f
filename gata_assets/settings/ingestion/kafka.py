"""The settings of Kafka: brokers, login, topics."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from gata_assets.ingestion.kafka.connection import KafkaConnection
from gata_assets.ingestion.kafka.topics import LONGEST_TOPIC, KafkaTopics, is_topic_name
from gata_assets.settings.values import SettingsGroup, comma_separated, wrong


def _servers(value: str) -> str:
    names = [name.strip() for name in value.split(",")]
    if not all(re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+):[0-9]{1,5}", name) for name in names):
        raise wrong("must be brokers as host:port, with commas between them")
    return ",".join(names)


def _topic(value: str) -> str:
    if not is_topic_name(value):
        raise wrong(f"is not a topic's name (1 to {LONGEST_TOPIC} of A-Z a-z 0-9 . _ -)")
    return value


def _topics_with_tables(pairs: tuple[str, ...]) -> tuple[str, ...]:
    for pair in pairs:
        topic, _, table = pair.partition("=")
        if not (is_topic_name(topic) and re.fullmatch("[a-z0-9][a-z0-9_]{0,62}", table)):
            raise wrong("must be topics with their tables as topic=table, with commas between them")
    return pairs


_Topic = Annotated[str, AfterValidator(_topic)]


class KafkaSettings(SettingsGroup):
    """The settings of Kafka."""

    bootstrap_servers: Annotated[str, AfterValidator(_servers)] | None = Field(
        None, alias="KAFKA_BOOTSTRAP_SERVERS", examples=["kafka-1:9092,kafka-2:9092"]
    )
    """The brokers, as host:port with commas between them; if unset, there is no Kafka, and all else works."""
    interactions: _Topic = Field("interactions-raw", alias="KAFKA_TOPIC_INTERACTIONS")
    """The topic of rows of interactions."""
    items: _Topic = Field("items-catalog", alias="KAFKA_TOPIC_ITEMS")
    """The topic of rows of items."""
    clickstream: _Topic = Field("events-clickstream", alias="KAFKA_TOPIC_CLICKSTREAM")
    """The topic of clicks of other producers; it is read, and nothing is produced to it."""
    clickstream_table: str = Field("interactions", alias="KAFKA_CLICKSTREAM_TABLE", pattern="^[a-z0-9][a-z0-9_]{0,62}$")
    """The table that messages of KAFKA_TOPIC_CLICKSTREAM are rows of; a mapping for its files names other columns."""
    more_topics: (
        Annotated[tuple[str, ...], BeforeValidator(comma_separated), AfterValidator(_topics_with_tables)] | None
    ) = Field(None, alias="KAFKA_TOPICS", examples=["orders-raw=orders"])
    """Topics of your own tables, and of `tickets` of lakes, as topic=table with commas between them."""
    features: _Topic = Field("features-processed", alias="KAFKA_TOPIC_FEATURES")
    """The topic that gets a message for each finished dataset of features."""
    training: _Topic = Field("training-data", alias="KAFKA_TOPIC_TRAINING")
    """The topic that gets a message for each finished dataset of training rows."""
    group_id: str = Field("data-pipeline-consumer", alias="KAFKA_GROUP_ID", pattern=r"^[A-Za-z0-9._-]{1,249}$")
    """The consumer group that offsets are committed for."""
    security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], BeforeValidator(str.upper)
    ] = Field("PLAINTEXT", alias="KAFKA_SECURITY_PROTOCOL")
    """How the brokers are spoken to: encrypted with SSL, with a login with SASL."""
    sasl_mechanism: Annotated[Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], BeforeValidator(str.upper)] | None = (
        Field(None, alias="KAFKA_SASL_MECHANISM", examples=["SCRAM-SHA-512"])
    )
    """How the login is proven, with a protocol of SASL."""
    sasl_username: str | None = Field(None, alias="KAFKA_SASL_USERNAME", examples=["gata"])
    """The user's name, with a protocol of SASL."""
    sasl_password: SecretStr | None = Field(None, alias="KAFKA_SASL_PASSWORD", examples=["the-password-of-the-brokers"])
    """The password of KAFKA_SASL_USERNAME."""
    ssl_ca: Path | None = Field(None, alias="KAFKA_SSL_CA", examples=["/etc/ssl/kafka-ca.pem"])
    """The file of the certificates that sign the brokers', with SSL; if unset, those of the machine."""

    @property
    def connection(self) -> KafkaConnection | None:
        """How the brokers are reached; None without Kafka."""
        if self.bootstrap_servers is None:
            return None
        return KafkaConnection(
            self.bootstrap_servers,
            self.security_protocol,
            self.sasl_mechanism,
            self.sasl_username,
            self.sasl_password.get_secret_value() if self.sasl_password else None,
            str(self.ssl_ca) if self.ssl_ca else None,
        )

    @property
    def topics(self) -> KafkaTopics:
        """Which topic has what."""
        more = (pair.partition("=") for pair in self.more_topics or ())
        tables = {
            self.interactions: "interactions",
            self.items: "items",
            self.clickstream: self.clickstream_table,
            **{topic: table for topic, _, table in more},
        }
        return KafkaTopics(tables, self.features, self.training)

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        login = (self.sasl_mechanism, self.sasl_username, self.sasl_password)
        if self.security_protocol.startswith("SASL") != all(login) or any(login) != all(login):
            raise wrong(
                "KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD belong to KAFKA_SECURITY_PROTOCOL="
                "SASL_SSL or SASL_PLAINTEXT: set all of them or none"
            )
        if self.ssl_ca and not self.security_protocol.endswith("SSL"):
            raise wrong("KAFKA_SSL_CA belongs to KAFKA_SECURITY_PROTOCOL=SSL or SASL_SSL")
        more = [pair.partition("=")[0] for pair in self.more_topics or ()]
        named = [self.interactions, self.items, self.clickstream, self.features, self.training, *more]
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise wrong(f"the settings that begin with KAFKA_TOPIC name {', '.join(twice)} twice")
        return self
