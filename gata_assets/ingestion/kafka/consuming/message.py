"""A message as it came from a broker, as a value: nothing of it is decoded here. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gata_assets.ingestion.segments.rejected import Headers, RejectedMessage

# The names that senders give the header with the id of their request, in lower case.
_REQUEST_HEADERS = ("request-id", "x-request-id", "request_id")
_LONGEST_ID = 200
# What a message takes besides its bytes, about.
_OVERHEAD_BYTES = 400


@dataclass(frozen=True, slots=True)
class KafkaMessage:
    """A message of a partition, and when it came here."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    received_at: datetime

    @property
    def size(self) -> int:
        """What it takes in memory, about."""
        headers = sum(len(name) + len(value or b"") for name, value in self.headers)
        return _OVERHEAD_BYTES + len(self.value or b"") + len(self.key or b"") + headers

    @property
    def request_id(self) -> str:
        """The id of the request that it came by, if a header has one; else empty."""
        for name, value in self.headers:
            text = (value or b"").decode("latin-1")
            if name.lower() in _REQUEST_HEADERS and len(text) <= _LONGEST_ID and text.isascii() and text.isprintable():
                return text
        return ""

    def rejected(self, reason: str) -> RejectedMessage:
        """It as a rejected message."""
        return RejectedMessage(self.offset, reason, self.key, self.value, self.headers, self.received_at)


def message_of(rejected: RejectedMessage) -> KafkaMessage:
    """The message that was rejected, to be judged again."""
    return KafkaMessage(rejected.offset, rejected.key, rejected.payload, rejected.headers, rejected.received_at)
