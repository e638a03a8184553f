"""The text of an API key's secret: made, recognized, digested. Nothing is stored here.

`gata_`, a prefix of 8 characters that names the key, `_`, 43 characters in base 62 that are 256 random bits, and 6 that
are a CRC-32 of all before. So a scanner of secrets finds a leaked key by `PATTERN`, what only looks like a key is
refused without a look at a store, and a double click selects all of it. The digest needs neither salt nor stretching:
nobody can guess 256 random bits.
"""

from __future__ import annotations

import re
import secrets
from hashlib import sha256
from string import ascii_lowercase, ascii_uppercase, digits
from zlib import crc32

MARK = "gata_"
PREFIX_LENGTH = 8
_RANDOM_LENGTH, _CHECKSUM_LENGTH = 43, 6
_RANDOM_BYTES = 32
_BASE_62 = digits + ascii_uppercase + ascii_lowercase
_PREFIX_LETTERS = digits + ascii_lowercase
PATTERN = f"{MARK}[0-9a-z]{{{PREFIX_LENGTH}}}_[0-9A-Za-z]{{{_RANDOM_LENGTH + _CHECKSUM_LENGTH}}}"


def new_prefix() -> str:
    """A random prefix: 8 of 0-9 a-z."""
    return "".join(secrets.choice(_PREFIX_LETTERS) for _ in range(PREFIX_LENGTH))


def new_secret(prefix: str) -> str:
    """A new secret with this prefix, of 256 random bits."""
    text = f"{MARK}{prefix}_{_in_base_62(int.from_bytes(secrets.token_bytes(_RANDOM_BYTES)), _RANDOM_LENGTH)}"
    return text + _checksum(text)


def prefix_of(secret: str) -> str | None:
    """The prefix that a secret names; None for a text that cannot be one, whatever keys there are."""
    if not re.fullmatch(PATTERN, secret, flags=re.ASCII):
        return None
    if _checksum(secret[:-_CHECKSUM_LENGTH]) != secret[-_CHECKSUM_LENGTH:]:
        return None
    return secret[len(MARK) : len(MARK) + PREFIX_LENGTH]


def digest_of(secret: str) -> str:
    """The digest by which a secret is stored and found."""
    return sha256(secret.encode()).hexdigest()


def _checksum(text: str) -> str:
    return _in_base_62(crc32(text.encode()), _CHECKSUM_LENGTH)


def _in_base_62(number: int, length: int) -> str:
    letters = []
    for _ in range(length):
        number, letter = divmod(number, len(_BASE_62))
        letters.append(_BASE_62[letter])
    return "".join(reversed(letters))
