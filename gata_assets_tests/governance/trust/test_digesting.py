"""All digests of an object in one pass. Real: bytes in files of memory. The oracle hashes slices."""

from __future__ import annotations

import io
from hashlib import sha256

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.curation.reports import Span
from gata_assets.governance.trust import digesting
from gata_assets.governance.trust.digesting import digest_object


class Dripping(io.BytesIO):
    """A file that gives a few bytes at once, as a connection may."""

    def __init__(self, content: bytes, at_once: int) -> None:
        super().__init__(content)
        self._at_once = at_once

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self._at_once)


@given(
    content=st.binary(max_size=60),
    pieces=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12), st.integers(0, 4)), max_size=8),
    at_once=st.integers(1, 20),
)
def test_digests_of_parts_are_those_of_their_bytes(
    content: bytes, pieces: list[tuple[int, int, int]], at_once: int
) -> None:
    parts: list[list[Span]] = [[] for _ in range(5)]
    position = 0
    for gap, size, part in pieces:
        parts[part].append(Span(position + gap, size))
        position += gap + size
    found = digest_object(Dripping(content, at_once), parts)
    assert (found.size, found.sha256) == (len(content), sha256(content).hexdigest())
    claimed = {place for part in parts for span in part for place in range(span.start, span.start + span.size)}
    assert found.unclaimed == len(set(range(len(content))) - claimed)
    for part, digest in zip(parts, found.of_spans, strict=True):
        own = b"".join(content[span.start : span.start + span.size] for span in part)
        is_complete = len(own) == sum(span.size for span in part)
        assert digest == (sha256(own).hexdigest() if is_complete else None)


def test_the_rows_of_parquet_are_those_of_its_footer() -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": range(300_000)}), sink, compression="none", use_dictionary=False)
    content = sink.getvalue()
    assert len(content) > 2 * digesting._READ_AT_ONCE
    assert digest_object(io.BytesIO(content)).rows == 300_000
    assert digest_object(io.BytesIO(content[:-1])).rows is None
    assert digest_object(io.BytesIO(b"PAR1" + content[-3:] + b"PAR1")).rows is None
    assert digest_object(io.BytesIO(b"PAR1\xff\xff\xff\x7fPAR1")).rows is None
    assert digest_object(io.BytesIO(b"")).rows is None
