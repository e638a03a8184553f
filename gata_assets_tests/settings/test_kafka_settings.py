"""The settings of Kafka. Pure; nothing is faked."""

from __future__ import annotations

import pytest

from gata_assets.errors import SettingsError
from gata_assets.ingestion.kafka.connection import KafkaConnection
from gata_assets.settings.model import parse_settings

LOGIN = {
    "KAFKA_BOOTSTRAP_SERVERS": "a:9092, [::1]:9093",
    "KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
    "KAFKA_SASL_MECHANISM": "scram-sha-256",
    "KAFKA_SASL_USERNAME": "gata",
    "KAFKA_SASL_PASSWORD": "canary-7f3a91c2",
    "KAFKA_SSL_CA": "/ca.pem",
}


def test_without_brokers_there_is_no_connection() -> None:
    assert parse_settings({}).kafka.connection is None


def test_a_connection_has_the_login_and_shows_no_password() -> None:
    settings = parse_settings(LOGIN)

    assert settings.kafka.connection == KafkaConnection(
        "a:9092,[::1]:9093", "SASL_SSL", "SCRAM-SHA-256", "gata", "canary-7f3a91c2", "/ca.pem"
    )
    assert "canary-7f3a91c2" not in repr(settings) + repr(settings.kafka.connection)


def test_a_tables_rows_are_produced_to_its_first_topic() -> None:
    topics = parse_settings({"KAFKA_TOPICS": "orders-raw=orders,orders-old=orders"}).kafka.topics

    assert topics.tables == {
        "interactions-raw": "interactions",
        "items-catalog": "items",
        "events-clickstream": "interactions",
        "orders-raw": "orders",
        "orders-old": "orders",
    }
    assert [topics.topic_of(table) for table in ("interactions", "orders", "returns")] == [
        "interactions-raw",
        "orders-raw",
        None,
    ]


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"KAFKA_BOOTSTRAP_SERVERS": "https://a:9092"}, "brokers as host:port"),
        ({"KAFKA_BOOTSTRAP_SERVERS": "a"}, "brokers as host:port"),
        ({"KAFKA_TOPIC_ITEMS": "a b"}, "is not a topic's name"),
        ({"KAFKA_TOPIC_ITEMS": "a" * 246}, "is not a topic's name"),
        ({"KAFKA_TOPIC_ITEMS": "training-data"}, "name training-data twice"),
        ({"KAFKA_TOPICS": "items-catalog=orders"}, "name items-catalog twice"),
        ({"KAFKA_TOPICS": "orders"}, "topics with their tables"),
        ({"KAFKA_SASL_USERNAME": "gata"}, "set all of them or none"),
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "set all of them or none"),
        ({**LOGIN, "KAFKA_SECURITY_PROTOCOL": "SSL"}, "set all of them or none"),
        ({"KAFKA_SSL_CA": "/ca.pem"}, "KAFKA_SSL_CA belongs to"),
    ],
)
def test_what_does_not_go_together_is_refused(values: dict[str, str], fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        parse_settings(values)


def test_a_topic_of_an_unknown_table_is_refused() -> None:
    topics = parse_settings({"KAFKA_TOPICS": "orders-raw=orders"}).kafka.topics

    topics.require_tables(["interactions", "items", "orders"])
    with pytest.raises(SettingsError, match="orders-raw has rows of a table orders, and there is none"):
        topics.require_tables(["interactions", "items"])
