"""Which contents a process knows to be among the raw files of a table, by the marks in their names.

For a service that lands many small files: each raw folder is listed once in a while, instead of once for each file.
What this release landed since is found by `content_claims`; what others copied there, under a name with a mark, at the
next listing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from gata_assets.curation.files.formats import mark_of

LISTED_EVERY_SECONDS = 60.0
# Hexadecimal digits, which marks of both releases have: other content with the same ones is distinguished later.
_DIGITS = 12


class KnownMarks:
    """The marks of one table's raw files, eight bytes each."""

    def __init__(self, seconds: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._lock = Lock()
        self._listed_at: float | None = None
        self._marks: NDArray[np.uint64] = np.empty(0, np.uint64)

    def may_contain(self, digest: str, list_keys: Callable[[], Iterable[str]]) -> bool:
        """Whether a raw file may have content of this SHA-256; `list_keys` is called if that was long ago."""
        with self._lock:
            now = self._seconds()
            if self._listed_at is None or now >= self._listed_at + LISTED_EVERY_SECONDS:
                marks = (int(mark[:_DIGITS], 16) for key in list_keys() if (mark := mark_of(key)))
                self._marks = np.unique(np.fromiter(marks, np.uint64))
                self._listed_at = now
            wanted = np.uint64(int(digest[:_DIGITS], 16))
            at = int(np.searchsorted(self._marks, wanted))
            return at < len(self._marks) and bool(self._marks[at] == wanted)
