"""How an event is shown in log lines and notifications: who and what it is about, and no digits of a card.

Pure. A key in a dead letter is as it is, since it has to be read again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gata_assets.curation.files.formats import printable
from gata_assets.shop.events.event import ObjectEvent

Clean = Callable[[str], str]


@dataclass(frozen=True)
class Subject:
    """What every log line about an event has: request, bucket, key (cleaned), and stage if it is known."""

    request_id: str
    bucket: str
    key: str
    stage: str

    @classmethod
    def of(cls, event: ObjectEvent, request_id: str, stage: str, clean: Clean) -> Subject:
        """The subject of an event."""
        return cls(request_id, clean(printable(event.bucket)), clean(printable(event.key)), stage)

    def as_fields(self) -> dict[str, str]:
        """The fields of a line of JSON."""
        return {"request_id": self.request_id, "bucket": self.bucket, "key": self.key, "stage": self.stage}
