"""Local files, and files of a dataset once they are written."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from gata_assets.tables.manifests import FileEntry

_READ_AT_ONCE = 1 << 20


def digest_file(path: Path) -> str:
    """The SHA-256 of a file; raises OSError."""
    with path.open("rb") as file:
        return digest_stream(file)


def digest_stream(file: BinaryIO) -> str:
    """The SHA-256 of all of a file that can seek; raises as the file does."""
    digest = sha256()
    file.seek(0)
    while block := file.read(_READ_AT_ONCE):
        digest.update(block)
    return digest.hexdigest()


@dataclass(frozen=True)
class WrittenFile:
    """A file of a table: its key, rows, size and SHA-256; of training rows their checksum (`row_checksums`)."""

    key: str
    rows: int
    size: int
    sha256: str
    row_sum: int = 0

    @property
    def entry(self) -> FileEntry:
        """Its entry in the manifest."""
        return FileEntry(self.rows, self.size, self.sha256)
