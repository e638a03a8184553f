"""What is known of a file once it is written."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WrittenFile:
    """A file of a table: its key, rows, size and SHA-256; of training rows what tells them from others (`row_sums`)."""

    key: str
    rows: int
    size: int
    sha256: str
    row_sum: int = 0
