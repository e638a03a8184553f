"""The rejected messages of streams, wherever they are: in quarantine, or in segments that are not rolled up yet."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from gata_assets.ingestion.segments.chain import Chain
from gata_assets.ingestion.segments.coding.rejected_messages import decode_rejected
from gata_assets.ingestion.segments.cursor import read_cursor
from gata_assets.ingestion.segments.rejected import ENDING, RejectedMessage, rejected_folder, rejected_key
from gata_assets.storage.objects import ObjectStore


def find_rejected(store: ObjectStore, stream: str, start: int = 0) -> Iterator[RejectedMessage]:
    """The rejected messages of a stream from an offset on, ascending.

    Raises DamagedTableError, ObjectNotFoundError if segments were rolled up and deleted meanwhile, or StoreError.
    """
    # The cursor first: what is rolled up later is still in its segments for a while.
    cursor = read_cursor(store, stream)
    firsts = [first for first in rolled_up_ranges(store, stream) if first < cursor.end]
    for first, following in pairwise([*firsts, cursor.end]):
        if following > start:
            yield from (one for one in read_rejected(store, stream, first) if one.offset >= start)
    for segment in Chain(store, stream).segments(cursor.end):
        yield from (one for one in segment.rejected if one.offset >= start)


def rolled_up_ranges(store: ObjectStore, stream: str) -> list[int]:
    """The first offsets of the ranges with rejected messages in quarantine, ascending; raises StoreError."""
    folder = rejected_folder(stream)
    names = (key.removeprefix(folder) for key in store.list_keys(folder))
    return sorted(int(name.removesuffix(ENDING)) for name in names if name.endswith(ENDING))


def read_rejected(store: ObjectStore, stream: str, first: int) -> tuple[RejectedMessage, ...]:
    """The rejected messages of a rolled-up range; raises DamagedTableError or StoreError."""
    key = rejected_key(stream, first)
    return decode_rejected(store.read(key), store.uri(key))
