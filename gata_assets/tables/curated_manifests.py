"""The manifest of a curated day or of the catalogue, as readers take it: what the files have to be.

Two processes may write a day at once, and leave files of one with the manifest of the other: a reader holds each file
against the digest. A manifest that is withdrawn, or that nobody of this project wrote, is none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True)
class CuratedFile:
    """A file as it was written: its bytes, and their SHA-256."""

    size: int
    sha256: str

    def is_of(self, content: bytes) -> bool:
        """Whether these are the bytes that were written."""
        return len(content) == self.size and sha256(content).hexdigest() == self.sha256


@dataclass(frozen=True)
class CuratedManifest:
    """The rows of a curated table, and its files by name."""

    rows: int
    files: Mapping[str, CuratedFile]


def read_curated_manifest(content: bytes) -> CuratedManifest | None:
    """What a manifest says; None for one that is withdrawn or damaged."""
    try:
        found = json.loads(content)
        files = {name: CuratedFile(int(of["size"]), str(of["sha256"])) for name, of in found["files"].items()}
        return CuratedManifest(int(found["rows"]), files)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
