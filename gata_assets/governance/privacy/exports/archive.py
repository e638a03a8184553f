"""A zip that only its owner reads, under a name that nothing has: written beside it, and named once it is complete."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from gata_assets.errors import DataRuleError, StoreError


@dataclass(frozen=True)
class ArchivedFile:
    """A file of lines in an archive: its name, and the lines, bytes and SHA-256 of its content."""

    name: str
    rows: int
    bytes: int
    sha256: str


class Archive:
    """Files that are added one after another, with few bytes in memory."""

    def __init__(self, zipped: zipfile.ZipFile) -> None:
        self._zipped = zipped

    def add_lines(self, name: str, lines: Iterable[bytes]) -> ArchivedFile:
        """Add a file of lines, each with its end."""
        rows, size, digest = 0, 0, sha256()
        with self._zipped.open(name, "w", force_zip64=True) as file:
            for line in lines:
                file.write(line)
                digest.update(line)
                rows, size = rows + 1, size + len(line)
        return ArchivedFile(name, rows, size, digest.hexdigest())

    def add_text(self, name: str, text: str) -> None:
        """Add a file."""
        self._zipped.writestr(name, text.encode())


@contextmanager
def new_archive(to: Path) -> Iterator[Archive]:
    """An archive, which is there when the context ends without an error, and else is not.

    Who is killed leaves a hidden file beside it, whose name ends with `.part`. Raises DataRuleError if the name is
    taken, and StoreError if it cannot be written.
    """
    if os.path.lexists(to):
        raise _taken(to)
    beside = to.with_name(f".{to.name}.{token_hex(8)}.part")
    try:
        with _create(beside) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
            yield Archive(zipped)
            zipped.close()
            file.flush()
            os.fsync(file.fileno())
            # Unlike a rename, it replaces nothing.
            to.hardlink_to(beside)
    except FileExistsError:
        raise _taken(to) from None
    except OSError as error:
        raise StoreError(f"{to} cannot be written: {error.strerror}.") from error
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()


def _create(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w+b")


def _taken(to: Path) -> DataRuleError:
    return DataRuleError(f"{to} is there already, and nothing is replaced: give another name, or move it away.")
