"""Tokens in place of personal values: the same for the same value in every table, and nothing to whoever has no key.

A token is the keyed HMAC-SHA256 (RFC 2104) of a kind and a value, cut to 128 bits. A plain hash would not do: all phone
numbers of a country can be hashed within minutes. Whoever changes the key changes all tokens: rows of before have those
of earlier keys, by which they are found and nothing new is written.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence

import polars as pl

from gata_assets.errors import MaskingKeyError

NO_KEY = "***"
# Half of the digest's block is the least that RFC 2104 advises; 16 bytes are what no one tries through.
SHORTEST_KEY = 16
_DIGEST_BYTES = 16
_KIND = re.compile(r"[a-z][a-z0-9_]*")
_TOKEN = re.compile(rf"{_KIND.pattern}_[0-9a-f]{{{2 * _DIGEST_BYTES}}}")


class Tokens:
    """Makes tokens with a key, or `***` for all values without one. What it shows of itself has no key."""

    def __init__(self, key: bytes | None, earlier: Sequence[bytes] = ()) -> None:
        """Keep the keys.

        Args:
            key: That of new tokens.
            earlier: Those of before, whose tokens may be stored.

        Raises:
            MaskingKeyError: A key is too short.
        """
        keys = (*(() if key is None else (key,)), *earlier)
        for found in keys:
            if len(found) < SHORTEST_KEY:
                raise MaskingKeyError(
                    f"The masking key has {len(found)} bytes, and needs at least {SHORTEST_KEY}: "
                    "use a random one, such as `openssl rand -hex 32` prints."
                )
        self._key, self._keys = key, keys

    def __repr__(self) -> str:
        return f"Tokens({'with' if self.has_key else 'without'} a key)"

    @property
    def has_key(self) -> bool:
        """Whether values have tokens."""
        return self._key is not None

    def token(self, kind: str, value: str) -> str:
        """The token of a normalized value, `email_0123…` with 32 hexadecimal digits.

        Args:
            kind: what the value is, in lower case; values of two kinds never have the same token.
            value: the value in its normalized form.
        """
        if not _KIND.fullmatch(kind):
            raise ValueError(f"'{kind}' is no kind of tokens: lower-case letters, digits and _")
        return NO_KEY if self._key is None else _token(self._key, kind, value)

    def every_token(self, kind: str, value: str) -> list[str]:
        """The tokens of a value by all keys, the newest first; none without a key."""
        return [_token(key, kind, value) for key in self._keys]

    def tokens(self, kind: str, values: pl.Series) -> pl.Series:
        """The tokens of a column of normalized values, each distinct value's once; null stays null."""
        distinct = values.drop_nulls().unique()
        found = pl.Series([self.token(kind, value) for value in distinct.to_list()], dtype=pl.String)
        return values.replace_strict(distinct, found, default=None, return_dtype=pl.String)


def _token(key: bytes, kind: str, value: str) -> str:
    # A kind has no zero byte, so that no two kinds and values are the same message.
    message = f"{kind}\0{value}".encode(errors="surrogatepass")
    return f"{kind}_{hmac.digest(key, message, 'sha256')[:_DIGEST_BYTES].hex()}"


NO_TOKENS = Tokens(None)
