"""Blocks of CSV that any reader reads alike: without quotes, with the header's fields in each line, and no empty line.

Polars reads their texts, which takes as long as the loops of `csv_records`, and no compiler: numba takes 100 MB of a
process. Whatever else a block has, it is for `csv_records`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

_LINE_END = 10
# Of more fields, Polars takes longer to begin with a block than to read it.
_MOST_FIELDS = 64
# What readers take for no part of a text where it comes first.
_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class RegularLines:
    """Whole lines that are records, as bytes; `used` are the bytes of the block that they were."""

    content: bytes
    count: int
    used: int

    def texts(self, fields: int, separator: str, names: dict[int, str]) -> pl.DataFrame:
        """The fields at some positions under their names, all texts, null for an empty one; it has to be UTF-8."""
        columns = {str(place): pl.String for place in range(fields)}
        own = sorted(names)
        found = pl.read_csv(
            self.content, columns=own, has_header=False, schema=columns, separator=separator, quote_char=None
        )
        return found.select(pl.col(str(place)).alias(name) for place, name in names.items())


def regular_lines(block: bytes, fields: int, separator: str, *, is_last: bool) -> RegularLines | None:
    """The lines of a block that starts with one, up to its last line break; None unless all are regular."""
    if fields > _MOST_FIELDS or b'"' in block or block.startswith(_MARK):
        return None
    used = len(block) if is_last else block.rfind(b"\n") + 1
    content = block[:used]
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n")
        if b"\r" in content:
            return None
    if is_last and not content.endswith(b"\n"):
        content += b"\n"
    data = np.frombuffer(content, dtype=np.uint8)
    ends = np.flatnonzero(data == _LINE_END)
    if not len(ends) or not _have_fields(data, ends, fields, ord(separator)):
        return None
    return RegularLines(content, len(ends), used)


def _have_fields(data: NDArray[np.uint8], ends: NDArray[np.int64], fields: int, separator: int) -> bool:
    """Whether each line has so many fields; a line of a single one is not empty."""
    if fields == 1:
        return bool(ends[0] > 0 and (np.diff(ends) > 1).all() and not (data == separator).any())
    places = np.flatnonzero(data == separator)
    if len(places) != len(ends) * (fields - 1):
        return False
    firsts, lasts = places[:: fields - 1], places[fields - 2 :: fields - 1]
    return bool((lasts < ends).all() and (firsts[1:] > ends[:-1]).all())
