"""What the client of Kafka reports, as sentences: what failed, where, and which settings to look at.

The client tries again by itself, for ever. So a command asks the brokers before it begins, and ends where waiting does
not help: they refuse the login, or one side does not accept the other's encryption.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from gata_assets.errors import BrokerError, SettingsError
from gata_assets.ingestion.kafka.connection import KafkaConnection

T = TypeVar("T")
_LONGEST = 400
# Times and counts, by which lines of the same failure would differ.
_VARYING = re.compile(r"\s*\((?:after \d+ms in state [^)]*|\d+ identical error\(s\) suppressed)\)")
_TLS = "Look at KAFKA_SECURITY_PROTOCOL, and at KAFKA_SSL_CA, which has the certificates that sign the brokers'."
_LOGIN = "Look at KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD."
_AWAY = (
    "Look whether the brokers run, at KAFKA_BOOTSTRAP_SERVERS, and at KAFKA_SECURITY_PROTOCOL: brokers that expect TLS "
    "or a login close other connections, or leave them without an answer."
)
_RIGHTS = "Give this login the rights that the brokers' administrator has for it."
_ADVICE = {
    KafkaError._SSL: _TLS,
    KafkaError._AUTHENTICATION: _LOGIN,
    KafkaError.SASL_AUTHENTICATION_FAILED: _LOGIN,
    KafkaError.UNSUPPORTED_SASL_MECHANISM: _LOGIN,
    KafkaError._TRANSPORT: _AWAY,
    KafkaError._ALL_BROKERS_DOWN: _AWAY,
    KafkaError._RESOLVE: _AWAY,
    KafkaError._TIMED_OUT: _AWAY,
    KafkaError.UNKNOWN_TOPIC_OR_PART: "Create the topic.",
    KafkaError._UNKNOWN_TOPIC: "Create the topic.",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: _RIGHTS,
    KafkaError.GROUP_AUTHORIZATION_FAILED: _RIGHTS,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: _RIGHTS,
    KafkaError.INVALID_SESSION_TIMEOUT: "Set KAFKA_SESSION_SECONDS to what the brokers allow.",
}
_REFUSALS = frozenset(code for code, advice in _ADVICE.items() if advice in (_TLS, _LOGIN))
_ASK_SECONDS = 0.5


def explain(connection: KafkaConnection, error: KafkaError | None) -> str:
    """What failed, by the client's name of it and its words, of which brokers, and what to do; None is no answer."""
    if error is None:
        return f"{connection.bootstrap_servers}: no answer. {_AWAY}"
    words = _VARYING.sub("", error.str()).strip().rstrip(".")[:_LONGEST]
    return f"{connection.bootstrap_servers}: {error.name()}: {words}. {_ADVICE.get(error.code(), '')}".rstrip()


def is_refusal(error: KafkaError | None) -> bool:
    """Whether it is the login or the encryption that fails, so that waiting does not help."""
    return error is not None and error.code() in _REFUSALS


class ClientErrors:
    """Keeps, of what a client reports, the last error that says why it has no broker."""

    def __init__(self) -> None:
        self.last: KafkaError | None = None

    def note(self, error: KafkaError) -> None:
        """Take an error of the client's, as its `error_cb`; that all brokers are down follows from others."""
        if self.last is None or error.code() != KafkaError._ALL_BROKERS_DOWN:
            self.last = error


def opened(connection: KafkaConnection, client: Callable[[], T]) -> T:
    """A client of the brokers; raises SettingsError if it cannot be set up with what the settings say."""
    try:
        return client()
    except KafkaException as error:
        found = error.args[0]
        words = found.str() if isinstance(found, KafkaError) else type(found).__name__
        where = f" The file is {connection.ssl_ca}." if connection.ssl_ca and "ssl.ca.location" in words else ""
        raise SettingsError(
            f"The client of Kafka cannot be set up: {words.rstrip('.')[:_LONGEST]}.{where} Look at the settings that "
            "begin with KAFKA_."
        ) from None


def require_brokers(connection: KafkaConnection, patience_seconds: float = 5.0) -> None:
    """Return as soon as a broker answers, or if none did in time: they may come later.

    Raises BrokerError if they refuse the login or the encryption, or SettingsError for settings that no client takes.
    """
    errors = ClientErrors()
    config: dict[str, Any] = {**connection.client_config(), "log_level": 0, "error_cb": errors.note}
    client = opened(connection, lambda: AdminClient(config))
    until = monotonic() + patience_seconds
    while monotonic() < until:
        try:
            client.list_topics(timeout=_ASK_SECONDS)
        except KafkaException:
            client.poll(0)
        else:
            return
        if errors.last is not None and is_refusal(errors.last):
            raise BrokerError(explain(connection, errors.last))
