"""A nested JSON object as one without nested objects, so that mappings can name its fields: `data.user.id`. Pure.

Values stay as they came, also numbers; so do arrays.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gata_assets.errors import DataRuleError

# Names become longer with each level.
_MOST_LEVELS = 16
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def flatten(payload: bytes, most_bytes: int) -> bytes:
    """An object's fields, those of nested objects under their paths.

    Raises DataRuleError for more levels or bytes than are taken, or two fields that get one name.
    """
    found: dict[str, msgspec.Raw] = {}
    size = 2
    for path, value in _leaves(payload, "", 1):
        if path in found:
            raise DataRuleError("Two fields of the object have the same path: one has a dot in its name.")
        # In bytes, and with what is around them.
        size += len(path.encode()) + len(bytes(value)) + 4
        if size > most_bytes:
            raise DataRuleError(f"The object has more than {most_bytes:,} bytes with the paths of its fields.")
        found[path] = value
    return msgspec.json.encode(found)


def _leaves(content: bytes, before: str, level: int) -> Iterator[tuple[str, msgspec.Raw]]:
    """The fields that are no objects, in order, with their paths."""
    if level > _MOST_LEVELS:
        raise DataRuleError(f"The object is nested in more than {_MOST_LEVELS} levels.")
    for name, value in _OBJECT.decode(content).items():
        if bytes(value)[:1] == b"{":
            yield from _leaves(bytes(value), f"{before}{name}.", level + 1)
        else:
            yield f"{before}{name}", value
