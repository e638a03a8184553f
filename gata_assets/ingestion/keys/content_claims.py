"""One name for the same content while it lands, whichever processes receive it at once under whichever names.

The key of a raw file has its name, so under two names it would land twice. The first to claim the content gives the
name, for as long as it lands; afterwards the content is found among the raw files. A claim of a process that died is
void after some minutes, which no landing takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Annotated

import msgspec

from gata_assets.errors import ConflictError, ObjectNotFoundError
from gata_assets.storage.objects import ABSENT, ObjectStore, Version

CLAIMS = "ingestion/landings/"
VOID_AFTER = timedelta(minutes=15)
# Each time means that another process has claimed the content, or ended its claim.
_MOST_ATTEMPTS = 20


class _Claim(msgspec.Struct, frozen=True):
    name: str
    at: Annotated[datetime, msgspec.Meta(tz=True)]


@contextmanager
def one_name(
    store: ObjectStore, clock: Callable[[], datetime], tenant: str, table: str, digest: str, name: str
) -> Iterator[str]:
    """The name that content with this digest is to land under during the context: `name`, or that of who was first.

    Raises ConflictError if the claim keeps changing, or StoreError.
    """
    key = f"{CLAIMS}{tenant}/{table}/{digest}.json"
    own = msgspec.json.encode(_Claim(name, clock()))
    seen = ABSENT
    for _ in range(_MOST_ATTEMPTS):
        try:
            version = store.write(key, own, expected=seen, is_private=True)
        except ConflictError:
            try:
                found, seen = _read(store, key)
            except ObjectNotFoundError:
                seen = ABSENT
                continue
            if found and clock() < found.at + VOID_AFTER:
                yield found.name
                return
            continue
        try:
            yield name
        finally:
            with suppress(ConflictError):
                store.delete(key, expected=version)
        return
    raise ConflictError(f"{store.uri(key)} is being changed by other requests: send it again.")


def _read(store: ObjectStore, key: str) -> tuple[_Claim | None, Version]:
    """A claim, None if it is damaged, and its version."""
    content, version = store.read_versioned(key)
    try:
        return msgspec.json.decode(content, type=_Claim), version
    except ValueError:
        return None, version
