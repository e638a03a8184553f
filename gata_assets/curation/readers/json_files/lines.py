"""JSON Lines: every line is an object of texts, numbers, booleans and nulls, or of the table's nested fields.

A line that is not, is at fault alone; `rows` decodes lines, `pages` reads documents that are no lines of rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import BinaryIO

from gata_assets.curation.files.formats import RawFormat
from gata_assets.curation.readers.json_files.rows import LINES_THAT_TELL_COLUMNS, JsonRows, RowDecoder
from gata_assets.curation.readers.raw_block import PendingBlock, pieces, require_short, without_mark
from gata_assets.errors import RawFileError
from gata_assets.tables.spec import TableSpec


def read_json_lines(
    stream: BinaryIO, spec: TableSpec, block_bytes: int, max_decoded_bytes: int, *, keeps_types: bool = False
) -> Iterator[PendingBlock]:
    """All lines of a file that are not blank, block by block; raises RawFileError."""
    decode = None
    line, record, rest = 1, 1, b""
    for content, is_last in pieces(stream, RawFormat.JSON_LINES, block_bytes, max_decoded_bytes):
        block = rest + content
        block = without_mark(block) if line == 1 else block
        used = len(block) if is_last else block.rfind(b"\n") + 1
        rest, block = block[used:], block[:used]
        require_short(rest)
        texts = block.split(b"\n")
        numbers: Sequence[int] = range(line, line + len(texts))
        line += len(texts) - 1
        if not texts[-1]:
            texts.pop()
        # Hardly ever is a line blank.
        if not all(map(bytes.strip, texts)):
            numbers = [number for number, text in zip(numbers, texts, strict=False) if text.strip()]
            texts = [text for text in texts if text.strip()]
        if not texts:
            continue
        decode = decode or RowDecoder(spec, texts[:LINES_THAT_TELL_COLUMNS], keeps_types=keeps_types)
        yield partial(decode, JsonRows(numbers[: len(texts)], texts, record))
        record += len(texts)
    if decode is None:
        raise RawFileError("is empty but for blank lines.")
