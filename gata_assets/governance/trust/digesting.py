"""Reads an object once, from its start to its end, for all digests that are asked for; a megabyte is in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.curation.reports import Span

_READ_AT_ONCE = 1 << 20
_PARQUET = b"PAR1"
# A Parquet file ends with its footer, the footer's size in four bytes, and the magic bytes.
_AFTER_FOOTER = 8


@dataclass(frozen=True)
class Digests:
    """What an object consists of.

    Attributes:
        size: Its bytes.
        sha256: Of all bytes.
        of_spans: For each part that was asked for, the SHA-256 of its spans; None if it has not all of them.
        unclaimed: Bytes that are in no span, if parts were asked for.
        rows: Those that its footer says, if it is Parquet and the footer has at most a megabyte.
    """

    size: int
    sha256: str
    of_spans: tuple[str | None, ...] = ()
    unclaimed: int = 0
    rows: int | None = None


@dataclass
class _SpanDigests:
    """The digests of parts, whose spans are between those of others."""

    parts: Sequence[Sequence[Span]]
    unclaimed: int = 0
    _position: int = 0
    _next: int = 0
    _left: int = 0

    def __post_init__(self) -> None:
        self._digests = [sha256() for _ in self.parts]
        self._missing = [sum(span.size for span in part) for part in self.parts]
        self._order = sorted((span.start, span.size, number) for number, part in enumerate(self.parts) for span in part)
        # Bytes of the present span that are still to come.
        self._left = self._order[0][1] if self._order else 0

    def update(self, block: memoryview) -> None:
        """Add the bytes that follow."""
        while block:
            if self._next == len(self._order):
                self.unclaimed += len(block)
                return
            start, _, number = self._order[self._next]
            if self._position < start:
                skipped = min(start - self._position, len(block))
                self.unclaimed += skipped
                self._position, block = self._position + skipped, block[skipped:]
                continue
            taken = min(self._left, len(block))
            self._digests[number].update(block[:taken])
            self._missing[number] -= taken
            self._left -= taken
            self._position, block = self._position + taken, block[taken:]
            if not self._left:
                self._next += 1
                self._left = self._order[self._next][1] if self._next < len(self._order) else 0

    def ends(self) -> tuple[str | None, ...]:
        """The digest of each part."""
        pairs = zip(self._digests, self._missing, strict=True)
        return tuple(None if missing else digest.hexdigest() for digest, missing in pairs)


@dataclass
class _Tail:
    """The last bytes of an object."""

    blocks: list[bytes] = field(default_factory=list)

    def keep(self, block: bytes) -> None:
        self.blocks = [*self.blocks[-1:], block]

    def rows(self) -> int | None:
        content = b"".join(self.blocks)
        footer = int.from_bytes(content[-_AFTER_FOOTER:-4], "little")
        if not content.endswith(_PARQUET) or footer + _AFTER_FOOTER > len(content):
            return None
        try:
            return int(pq.read_metadata(pa.BufferReader(content)).num_rows)
        except (pa.ArrowException, OSError):
            return None


def digest_object(file: BinaryIO, parts: Sequence[Sequence[Span]] = ()) -> Digests:
    """Read a file to its end; raises as it does.

    Args:
        file: At its start.
        parts: The spans of each part whose digest is wanted.
    """
    whole, spans, tail = sha256(), _SpanDigests(parts), _Tail()
    size, is_parquet = 0, False
    while block := file.read(_READ_AT_ONCE):
        is_parquet = is_parquet if size else block.startswith(_PARQUET)
        whole.update(block)
        if parts:
            spans.update(memoryview(block))
        if is_parquet:
            tail.keep(block)
        size += len(block)
    rows = tail.rows() if is_parquet else None
    return Digests(size, whole.hexdigest(), spans.ends(), spans.unclaimed if parts else 0, rows)
