"""A process that appends to a log, and is killed before or after a call of its store if it is told so.

`python -m gata_assets_tests.storage.logs.appending KIND PLACE WRITER ENTRIES [CALL before|after]`
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from gata_assets.storage.local import LocalStore
from gata_assets.storage.logs.chained_log import ChainedLog
from gata_assets.storage.objects import ObjectStore

FOLDER = "governance/log/"


def store_at(kind: str, place: str) -> ObjectStore:
    """The store of a directory, or of a bucket."""
    if kind == "local":
        return LocalStore(place)
    from gata_assets.storage.aws.s3_client import SdkSettings
    from gata_assets.storage.aws.s3_store import S3Store

    return S3Store(place, SdkSettings(region_name=None))


class KillingStore:
    """A store that kills its process before or after its n-th call."""

    def __init__(self, store: ObjectStore, call: int, when: str) -> None:
        self._store, self._left, self._when = store, call, when

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in ("write", "read", "list_keys"):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self._left -= 1
            if self._left == 0 and self._when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = found(*arguments, **named)
            result = iter(list(result)) if name == "list_keys" else result
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call


def main(kind: str, place: str, writer: str, entries: int, call: int = 0, when: str = "before") -> None:
    """Append so many entries."""
    store: Any = store_at(kind, place)
    log = ChainedLog(KillingStore(store, call, when) if call else store, FOLDER)
    for number in range(entries):
        log.append("written", {"by": writer, "of_writer": number})


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]), *(int(one) if one.isdecimal() else one for one in sys.argv[5:]))  # type: ignore[arg-type]
