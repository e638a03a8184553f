"""Messages of a topic that are no event of any table: as they came, with the reason.

They are in the segment of their offsets beside its events, so that both count or neither does. The roll-up moves them
to Parquet in quarantine for good. `kafka/consuming` says which messages are rejected, and judges them again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

QUARANTINE = "ingestion/quarantine/"
ENDING, _DIGITS = ".parquet", 20
Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class RejectedMessage:
    """A message as it came, and why it is no event: a short word, never a value of it."""

    offset: int
    reason: str
    key: bytes | None
    payload: bytes | None
    headers: Headers
    received_at: datetime

    @property
    def size(self) -> int:
        """The bytes of its value, key and headers."""
        headers = sum(len(name) + len(value or b"") for name, value in self.headers)
        return len(self.payload or b"") + len(self.key or b"") + headers


def rejected_key(stream: str, first: int) -> str:
    """Where the rejected messages of a rolled-up range are, by the first offset of the range."""
    return f"{rejected_folder(stream)}{first:0{_DIGITS}d}{ENDING}"


def rejected_folder(stream: str) -> str:
    """The folder of a stream's rejected messages."""
    return f"{QUARANTINE}{stream}/"
