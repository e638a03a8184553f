"""Rows of any place as lines of JSON: instants by ISO 8601, bytes as base64, and null for what is no number."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import date, time
from math import isfinite
from typing import Any

from gata_assets.curation.erasure.raw_records import NumberedRow


def line_of(key: str, found: NumberedRow | Mapping[str, Any]) -> bytes:
    """A row with where it is from, as a line."""
    number, row = found if isinstance(found, NumberedRow) else (0, found)
    fields = {"from": key, **({"record": number} if number else {}), "row": _as_json(row)}
    # A text may have what is no character of Unicode.
    return (json.dumps(fields, ensure_ascii=False, allow_nan=False) + "\n").encode(errors="backslashreplace")


def _as_json(value: Any) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if isfinite(value) else None
        case Mapping():
            return {str(name): _as_json(found) for name, found in value.items()}
        case bytes() | bytearray() | memoryview():
            return b64encode(value).decode()
        case date() | time():
            return value.isoformat()
        case Sequence() | set() | frozenset():
            return [_as_json(found) for found in value]
    # Such as a decimal, a duration or a UUID; NumPy's numbers are no int.
    return _as_json(value.tolist()) if hasattr(value, "tolist") else str(value)
