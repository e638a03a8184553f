"""The brokers that tests run against.

Real: each broker as a process, confluent_kafka.
"""

from __future__ import annotations

from gata_assets.ingestion.kafka.connection import KafkaConnection
from gata_assets.ingestion.kafka.origin import Origin, origin_of
from gata_assets_tests.support.brokers import Broker


def test_a_broker_returns_keys_values_and_headers_in_order(kafka_broker: Broker) -> None:
    topic = kafka_broker.new_topic()
    origin = Origin("0123456789abcdef", "http/00000000000000aa", 7)
    sent = [(b"acme:%d" % number, b'{"number": %d}' % number) for number in range(50)]

    kafka_broker.send(topic, sent, headers=[origin.header])
    found = kafka_broker.read(topic, lambda messages: len(messages) >= 50)

    assert [(message.key(), message.value()) for message in found] == sent
    assert {origin_of(message.headers()) for message in found} == {origin}


def test_a_password_is_not_in_the_representation_of_a_connection() -> None:
    connection = KafkaConnection("a:1", "SASL_SSL", "PLAIN", "gata", "secret-canary")

    assert "secret-canary" not in repr(connection)
    assert connection.client_config()["sasl.password"] == "secret-canary"
