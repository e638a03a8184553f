"""Files of this machine beside the target, as places of people's data: temporary ones, and records and logs of runs.

Whosever they are: a file that is temporary does not say. What killed processes left is deleted; nothing of a person is
written into records and logs, which are searched to show that.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import SEEK_END, BytesIO
from itertools import chain
from pathlib import Path
from typing import BinaryIO, ClassVar

from gata_assets.errors import StoreError
from gata_assets.governance.privacy.locators import Cleared, Erasure, Exported, People
from gata_assets.governance.privacy.searching import Search, Searched
from gata_assets.storage.scratch import regular_files, scratch_files, sweep_scratch

_SQLITE = b"SQLite format 3\x00"
_ROWS_AT_ONCE = 500
_SECONDS_TO_WAIT = 30.0


@dataclass(frozen=True)
class TemporaryFiles:
    """Scratch space of this user, and what writers of the target have not finished: a place, and a haystack.

    Attributes:
        unfinished: gives the files of unfinished writes to the target.
    """

    unfinished: Callable[[], Iterable[Path]] = tuple
    name: ClassVar[str] = "temporary files"

    def erase(self, erasure: Erasure) -> Iterator[Cleared]:  # noqa: ARG002
        """See Locator. The target's own are removed by each write to it."""
        swept = sweep_scratch()
        yield Cleared(f"{self.name} of killed processes", swept, {"directories": swept})

    def export(self, people: People) -> Iterator[Exported]:  # noqa: ARG002
        """See Locator. They are on their way from or to an object."""
        return iter(())

    def search(self, search: Search, people: People) -> Iterator[Searched]:  # noqa: ARG002
        """See Haystack."""
        for path in chain(scratch_files(), self.unfinished()):
            with _opened(path) as file:
                if file:
                    yield search.search_file(str(path), file)


@dataclass(frozen=True)
class RunRecords:
    """The home of a Dagster instance on this machine: databases of runs and events, and logs; a haystack.

    They are searched for words alone: numbers of rows, steps and seconds are no ids.

    Attributes:
        home: its directory; it may be missing.
    """

    home: Path
    name: ClassVar[str] = "records and logs of runs"

    def search(self, search: Search, people: People) -> Iterator[Searched]:  # noqa: ARG002
        """See Haystack."""
        for path in regular_files(self.home):
            with _opened(path) as file:
                if file:
                    yield _search_words(search, path, file)


def _search_words(search: Search, path: Path, file: BinaryIO) -> Searched:
    is_database = file.read(len(_SQLITE)) == _SQLITE
    # Also of a database: what was deleted from it may be in its file still.
    count, is_damaged = search.count_mentions(file), False
    if is_database:
        try:
            count = max(count, sum(map(search.count_mentions, _rows_of(path))))
        except sqlite3.Error:
            is_damaged = True
    return Searched(str(path), file.seek(0, SEEK_END), count, is_damaged)


def _rows_of(database: Path) -> Iterator[BinaryIO]:
    """The texts of all rows, some hundred rows at a time: in the file, what is beside a text may be part of a word."""
    # Nothing is to be left beside one that nobody has open, as a log for writers is.
    how = "mode=ro" if Path(f"{database}-wal").exists() else "immutable=1"
    with closing(sqlite3.connect(f"{database.as_uri()}?{how}", uri=True, timeout=_SECONDS_TO_WAIT)) as connection:
        connection.text_factory = bytes
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            name = table.decode().replace('"', '""')
            rows = connection.execute(f'SELECT * FROM "{name}"')  # noqa: S608 (a name out of the database itself)
            while block := rows.fetchmany(_ROWS_AT_ONCE):
                yield BytesIO(b"\n".join(value for row in block for value in row if isinstance(value, bytes)))


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO | None]:
    """A file, which is read without following a link; None if it is gone. Raises StoreError."""
    try:
        try:
            file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
        except FileNotFoundError:
            yield None
            return
        with file:
            yield file
    except OSError as error:
        raise StoreError(f"{path} cannot be searched: {error.strerror}. Look at its rights.") from None
