"""How an event is shown in log lines and notifications: who and what it is about, and no digits of a card.

Pure. A key in a dead letter is as it is, since it has to be read again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from gata_assets.curation.files.formats import printable
from gata_assets.shop.events.event import ObjectEvent

Clean = Callable[[str], str]
# Groups of digits with a space, a dash or nothing between them.
_DIGIT_GROUPS = re.compile(r"\d+(?:[ _-]\d+)*")
_FEWEST_DIGITS, _MOST_DIGITS = 13, 19
_SHOWN_DIGITS = 4


def without_cards(text: str) -> str:
    """A text with the numbers in it that may be a card's by Luhn's check cut to their last four digits."""
    return _DIGIT_GROUPS.sub(lambda found: _shorten(found[0]), text)


def _shorten(text: str) -> str:
    """The first groups that are a card's number together, cut; then the rest."""
    groups = list(re.finditer(r"\d+", text))
    for first, start in enumerate(groups):
        digits = ""
        for end in groups[first:]:
            digits += end[0]
            if len(digits) > _MOST_DIGITS:
                break
            if len(digits) >= _FEWEST_DIGITS and _has_check_digit(digits):
                rest = _shorten(text[end.end() :])
                return f"{text[: start.start()]}…{digits[-_SHOWN_DIGITS:]}{rest}"
    return text


def _has_check_digit(digits: str) -> bool:
    """Luhn's formula, ISO/IEC 7812-1 annex B."""
    numbers = [int(digit) for digit in digits[::-1]]
    return (sum(numbers[::2]) + sum(sum(divmod(2 * number, 10)) for number in numbers[1::2])) % 10 == 0


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
