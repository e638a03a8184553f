"""Local files, and files of a dataset once they are written."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

from gata_assets.tables.manifests import FileEntry


def digest_file(path: Path) -> str:
    """The SHA-256 of a file; raises OSError."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


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
