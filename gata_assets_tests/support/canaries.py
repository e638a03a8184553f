"""Values to look for where they must not be: so long that no time, digest, path or word contains one by chance.

Each is random by its name, and the same in every run.
"""

from __future__ import annotations

from random import Random
from string import ascii_lowercase, digits

LENGTH = 24


def canary(name: str) -> str:
    """Lower-case letters, which even a text that trains may have."""
    return "".join(Random(name).choices(ascii_lowercase, k=LENGTH))


def canary_digits(name: str) -> str:
    """Digits, of which the first is no zero: an id that is a number."""
    return "9" + "".join(Random(name).choices(digits, k=LENGTH - 1))
