"""Texts as they are compared and written: with single spaces, or normalized; and what normalization did to them.

Normalized tickets have further columns with what was done to each text, which shared reads carry along.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gata_assets.tables.outcomes import Outcome
from gata_assets.tables.text_normalization import normalize_texts
from gata_assets.ticket_contract.accounting import EMPTIED, TextCounts, TicketAccount
from gata_assets.tickets.schema import TEXT_CONTENT

# Bytes of texts that need no closer look: printable ASCII.
_PLAIN = bytes(range(0x20, 0x7F))
_SPACE = 0x20


TICKET_COLUMNS = ["id", "closed", "label", "text"]
_CHANGED, _LOST, _EMPTIED = "text_is_changed", "characters_lost", "text_is_emptied"


@dataclass(frozen=True)
class TextEffects:
    """What normalization did to each of some texts: whether it changed it, the letters and digits that were lost, and
    whether it emptied it (the text had content, and has no letter or digit left).
    """

    changed: NDArray[np.bool_]
    lost: NDArray[np.int64]
    emptied: NDArray[np.bool_]

    @classmethod
    def of(cls, tickets: pd.DataFrame) -> TextEffects | None:
        """Those of tickets from `with_normalized_texts`; None for other tickets."""
        if _EMPTIED not in tickets:
            return None
        return cls(*(tickets[column].to_numpy() for column in (_CHANGED, _LOST, _EMPTIED)))

    def cut(self, part: slice) -> TextEffects:
        """The same for a part of the rows."""
        return TextEffects(self.changed[part], self.lost[part], self.emptied[part])

    def counts(self) -> TextCounts:
        """The counts of all texts."""
        return TextCounts(int(self.changed.sum()), int(self.lost.sum()), int(self.emptied.sum()))


def with_normalized_texts(tickets: pd.DataFrame) -> pd.DataFrame:
    """Tickets with texts reduced to `[a-z0-9?.! ]`, and columns with what was done to each (`TextEffects.of`)."""
    raw = pl.Series(as_arrow(tickets["text"]), dtype=pl.String)
    texts, lost = normalize_texts(raw)
    had_content = raw.str.contains(TEXT_CONTENT).fill_null(value=False)
    emptied = had_content & ~texts.str.contains("[a-z0-9]").fill_null(value=True)
    array = pd.array(texts.to_arrow().cast(pa.large_string()), dtype=pd.StringDtype("pyarrow"))
    effects: dict[str, NDArray[Any]] = {
        _CHANGED: raw.ne_missing(texts).to_numpy(),
        _LOST: lost.cast(pl.Int64).to_numpy(),
        _EMPTIED: emptied.to_numpy(),
    }
    return tickets.assign(text=pd.Series(array, index=tickets.index), **effects)


def check_few_are_emptied(account: TicketAccount, read: int, *, most_share: float) -> list[Outcome]:
    """Check that normalization emptied at most that share of the texts that were read."""
    emptied = account.texts.emptied if account.texts else 0
    advice = (
        f"They have no letter or digit left, and would be left out as {EMPTIED}: see whether they are in a script that "
        "has no form in a-z, or only markup and quotations. Correct the texts of the ticket table, or raise "
        "MAX_EMPTIED_TEXTS_SHARE if that is right."
    )
    failed = emptied if emptied > most_share * read else 0
    return [Outcome(f"at most {most_share:.1%} of the texts are emptied", failed, read, advice, unit="texts")]


def single_spaced(texts: pd.Series[str]) -> pd.Series[str]:
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
