"""Where a message that we produced comes from: a header, so that what we produced does not come in once more.

A target has an identity, which the header names: of another target's messages all are read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from secrets import token_hex

from gata_assets.errors import ConflictError, DamagedTableError, ObjectNotFoundError
from gata_assets.storage.objects import ABSENT, ObjectStore

ORIGIN_HEADER = "gata-origin"
TARGET_KEY = "ingestion/kafka/target"
_TARGET = re.compile(r"[0-9a-f]{16}")
_ORIGIN = re.compile(r"([0-9a-f]{16}):([A-Za-z0-9._/-]{1,400})@(0|[1-9][0-9]{0,18})")


@dataclass(frozen=True)
class Origin:
    """Where a message comes from.

    Attributes:
        target: the identity of the target whose relay produced it (`target_id`).
        place: the stream of an event (`http/{writer}`), the file of a row (`file/{tenant}/{table}/{file id}`), or the
            manifest of a dataset (`dataset/{key}`).
        number: the event's offset in its stream, the number of the row among the valid rows of its file (from 1), 0 for
            a dataset.
    """

    target: str
    place: str
    number: int

    @property
    def header(self) -> tuple[str, bytes]:
        """The header of its message."""
        return ORIGIN_HEADER, f"{self.target}:{self.place}@{self.number}".encode()


# As confluent_kafka declares `Message.headers()`, which gives a list, with bytes.
Headers = dict[str, str | bytes | None] | list[tuple[str, str | bytes | None]] | None


def origin_of(headers: Headers) -> Origin | None:
    """The origin that a message's headers name; None if they name none, or not as we do.

    A message is ours, and to be skipped, if the
    origin's target is that of the consumer's own store.
    """
    for name, value in headers.items() if isinstance(headers, dict) else headers or ():
        text = value.decode("latin-1") if isinstance(value, bytes) else value or ""
        if name == ORIGIN_HEADER and (found := _ORIGIN.fullmatch(text)):
            return Origin(found[1], found[2], int(found[3]))
    return None


def target_id(store: ObjectStore) -> str:
    """The identity of a target: 16 random hexadecimal digits, stored when it is first asked for.

    Raises DamagedTableError or StoreError.
    """
    try:
        found = store.read(TARGET_KEY)
    except ObjectNotFoundError:
        identity = token_hex(8)
        try:
            store.write(TARGET_KEY, identity.encode(), expected=ABSENT)
        except ConflictError:
            found = store.read(TARGET_KEY)
        else:
            return identity
    if not _TARGET.fullmatch(found.decode("latin-1")):
        raise DamagedTableError(
            f"{store.uri(TARGET_KEY)} is not the identity of a target (16 hexadecimal digits). Restore it from a "
            "version or a copy: with another, what was produced from here would be read as if it were new.",
            key=TARGET_KEY,
        )
    return found.decode()
