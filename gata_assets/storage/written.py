"""What is known about a file once it is written."""

from __future__ import annotations

from dataclasses import dataclass

from gata_assets.tables.manifests import FileEntry


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
