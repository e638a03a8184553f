"""Whether a broker answers, for those who watch the service: asked once in some seconds, whoever wants to know."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import monotonic

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from gata_assets.ingestion.kafka.connection import KafkaConnection

_ASKED_SECONDS, _PATIENCE_SECONDS = 5.0, 1.5


class BrokerProbe:
    """Asks the brokers for their metadata, at most once in 5 seconds and for at most 1.5 seconds."""

    def __init__(self, connection: KafkaConnection, clock: Callable[[], float] = monotonic) -> None:
        """`clock` has seconds. Raises nothing, also if no broker can be reached."""
        self._connection, self._clock = connection, clock
        self._client: AdminClient | None = None
        self._asked_at = float("-inf")
        self._is_connected = False
        self._asking = Lock()

    def __call__(self) -> bool:
        """Whether a broker answers, or did a few seconds ago; while another thread asks, what was known before."""
        if self._clock() - self._asked_at >= _ASKED_SECONDS and self._asking.acquire(blocking=False):
            try:
                self._is_connected = self._ask()
                self._asked_at = self._clock()
            finally:
                self._asking.release()
        return self._is_connected

    def _ask(self) -> bool:
        try:
            self._client = self._client or AdminClient({**self._connection.client_config(), "log_level": 0})
            self._client.list_topics(timeout=_PATIENCE_SECONDS)
        except KafkaException:
            return False
        return True
