"""The text of a secret: found by one pattern, checked by its checksum. Real: all of it; nothing is stored."""

from __future__ import annotations

import re
from hashlib import sha256
from string import ascii_lowercase, ascii_uppercase, digits
from zlib import crc32

import pytest

from gata_assets.ingestion.keys.secret_text import PATTERN, digest_of, new_prefix, new_secret, prefix_of

# Made by hand: 43 zeros are no random number.
ZERO = "gata_abcd1234_" + "0" * 43


def test_a_secret_names_its_prefix_and_no_two_are_the_same() -> None:
    secrets = {new_secret("abcd1234") for _ in range(500)}
    assert len(secrets) == 500
    assert {prefix_of(secret) for secret in secrets} == {"abcd1234"}
    assert len({new_prefix() for _ in range(500)}) == 500
    assert all(re.fullmatch(r"[0-9a-z]{8}", new_prefix()) for _ in range(100))


def test_a_secret_has_256_random_bits() -> None:
    letters = digits + ascii_uppercase + ascii_lowercase
    numbers = []
    for _ in range(500):
        number = 0
        for letter in new_secret("abcd1234").split("_")[2][:43]:
            number = number * 62 + letters.index(letter)
        numbers.append(number)
    assert all(number < 2**256 for number in numbers)
    # Each bit is both in 500 draws, but for a chance of 2^-490.
    assert all(len({number >> bit & 1 for number in numbers}) == 2 for bit in range(256))


def test_the_pattern_of_scanners_finds_a_secret_in_a_text() -> None:
    secret = new_secret(new_prefix())
    assert re.findall(PATTERN, f'export KEY="{secret}" # ours\nAuthorization: Bearer {secret}\n') == [secret, secret]


def test_the_checksum_is_a_crc_32_in_base_62() -> None:
    letters, number, checksum = digits + ascii_uppercase + ascii_lowercase, crc32(ZERO.encode()), ""
    for _ in range(6):
        number, letter = divmod(number, 62)
        checksum = letters[letter] + checksum
    assert prefix_of(ZERO + checksum) == "abcd1234"


def test_each_single_wrong_character_is_found() -> None:
    secret = new_secret(new_prefix())
    for place, letter in enumerate(secret):
        other = "x" if letter != "x" else "y"
        assert prefix_of(secret[:place] + other + secret[place + 1 :]) is None, place


@pytest.mark.parametrize(
    "change",
    [
        lambda secret: "",
        lambda secret: secret + "\n",
        lambda secret: " " + secret,
        lambda secret: secret[:-1],
        lambda secret: secret + "a",
        lambda secret: secret.upper(),
        lambda secret: secret.replace("gata_", "gate_"),
        lambda secret: secret[:5] + "abcd123١" + secret[13:],
        lambda secret: "\ud800" + secret[1:],
        lambda secret: secret * 10_000,
    ],
)
def test_a_text_of_another_form_is_no_secret(change: object) -> None:
    assert callable(change)
    assert prefix_of(change(new_secret("abcd1234"))) is None


def test_the_digest_is_the_sha_256_of_the_whole_text() -> None:
    secret = new_secret("abcd1234")
    assert digest_of(secret) == sha256(secret.encode()).hexdigest()
