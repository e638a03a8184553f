"""A single object of JSON, read by itself, and what a file is that has none."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from gata_assets.curation.files.signatures import is_json_array
from gata_assets.curation.readers.raw_block import require_line_ends
from gata_assets.errors import RawFileError
from gata_assets.tables.spec import TableSpec

# What a text raises that is no JSON, or not of a structure.
NOT_READ = (msgspec.MsgspecError, ValueError, RecursionError)
fields_as_they_came = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_object(line: bytes) -> dict[str, Any] | None:
    """A JSON object with valid Unicode texts; None for anything else."""
    try:
        row = json.loads(line)
        # A lone surrogate is not valid text.
        json.dumps(row, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def not_json_lines(spec: TableSpec, line: bytes) -> RawFileError:
    """The error of a file none of whose first lines is an object, by the first of them."""
    line = line.strip()
    if line.startswith(b"["):
        return is_json_array()
    require_line_ends(line)
    names = {name.strip(' "') for name in re.split(r"[,;\t|]", line.decode(errors="replace"))}
    if not line.startswith(b"{") and names & {*spec.sources}:
        return RawFileError(
            "is CSV, and its name (or --format) says JSON Lines: name it .csv, or send it with --format csv."
        )
    if read_object(line.rstrip(b",")) is not None:
        return RawFileError("is not JSON Lines: its lines end with commas. Remove them and send it again.")
    if line.startswith(b"{") and line.count(b"{") > line.count(b"}"):
        return RawFileError(
            "is JSON over several lines, not JSON Lines: write each object on a line of its own (jq -c .) and send it "
            "again."
        )
    return RawFileError("is not JSON Lines: every line is an object such as {…}, with texts, numbers or null.")
