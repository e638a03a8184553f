"""Keys with versions, as settings give them: `1:KEY,2:KEY`. The highest is that of what is new."""

from __future__ import annotations

import re

from pydantic import SecretStr

from gata_assets.settings.values import wrong
from gata_assets.tables.masking.tokens import SHORTEST_KEY, Tokens

_KEY = re.compile(r"([1-9][0-9]{0,5}):(\S+)")


def keys_by_version(value: str, fewest_bytes: int) -> dict[int, bytes]:
    """The keys of a setting; refuses what is written otherwise, and keys that are shorter."""
    found: dict[int, bytes] = {}
    for part in filter(None, (part.strip() for part in value.split(","))):
        match = _KEY.fullmatch(part)
        if match is None:
            raise wrong("has a part that is no VERSION:KEY, such as 1: and what `openssl rand -hex 32` prints")
        version, key = int(match[1]), match[2].encode()
        if version in found:
            raise wrong(f"has two keys of version {version}")
        if len(key) < fewest_bytes:
            raise wrong(f"has a key of fewer than {fewest_bytes} bytes (version {version})")
        found[version] = key
    return found


def masking_keys(value: SecretStr) -> SecretStr:
    """Keys with versions, or a key alone, each long enough for no one to try all of them."""
    _masking_keys(value)
    return value


def masking_tokens(value: SecretStr | None) -> Tokens:
    """The tokens by a setting's keys."""
    keys = _masking_keys(value) if value else {}
    newest, *earlier = (keys[version] for version in sorted(keys, reverse=True)) if keys else (None,)
    return Tokens(newest, earlier)


def _masking_keys(value: SecretStr) -> dict[int, bytes]:
    text = value.get_secret_value()
    if _KEY.fullmatch(text.partition(",")[0].strip()):
        return keys_by_version(text, SHORTEST_KEY)
    if len(text.encode()) < SHORTEST_KEY:
        raise wrong(f"has fewer than {SHORTEST_KEY} bytes")
    return {1: text.encode()}
