"""Tokens in place of personal values. All real, nothing is faked; an oracle makes tokens with `hmac.new`."""

from __future__ import annotations

import hashlib
import hmac
import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.errors import GataError, MaskingKeyError
from gata_assets.tables.masking.tokens import Tokens

KEY = b"canary-8f1d0b6e2c7a4953-canary"
values = st.text(max_size=20)


@given(st.lists(values | st.none(), max_size=5))
def test_a_column_has_the_token_of_each_value(some: list[str | None]) -> None:
    found = Tokens(KEY).tokens("email", pl.Series("email", some, pl.String))
    expected = [
        None if one is None else "email_" + hmac.new(KEY, b"email\0" + one.encode(), hashlib.sha256).hexdigest()[:32]
        for one in some
    ]
    assert found.to_list() == expected and found.name == "email" and found.dtype == pl.String


@given(values, values, st.sampled_from(["email", "phone", "e"]), st.sampled_from(["email", "phone", "mail"]))
def test_tokens_are_equal_for_equal_kinds_and_values_alone(one: str, other: str, kind: str, second: str) -> None:
    tokens = Tokens(KEY)
    assert (tokens.token(kind, one) == Tokens(KEY).token(second, other)) == ((kind, one) == (second, other))
    assert re.fullmatch(rf"{kind}_[0-9a-f]{{32}}", tokens.token(kind, one))


def test_another_key_makes_other_tokens() -> None:
    assert Tokens(KEY).token("email", "a@b.co") != Tokens(KEY[::-1]).token("email", "a@b.co")


def test_the_tokens_of_all_keys_are_known_and_the_newest_makes_new_ones() -> None:
    newest, first = KEY[::-1], KEY
    tokens = Tokens(newest, [first])
    assert tokens.token("email", "a@b.co") == Tokens(newest).token("email", "a@b.co")
    assert tokens.every_token("email", "a@b.co") == [Tokens(key).token("email", "a@b.co") for key in (newest, first)]
    assert Tokens(None).every_token("email", "a@b.co") == []


def test_without_a_key_all_values_are_hidden() -> None:
    tokens = Tokens(None)
    assert tokens.token("email", "a@b.co") == "***"
    assert tokens.tokens("email", pl.Series(["a@b.co", None])).to_list() == ["***", None]


@pytest.mark.parametrize("key", [b"", b"secret", b"x" * 15])
def test_a_short_key_is_refused_without_showing_it(key: bytes) -> None:
    for keys in ((key,), (KEY, [key])):
        with pytest.raises(MaskingKeyError, match=rf"has {len(key)} bytes, and needs at least 16") as caught:
            Tokens(*keys)
        assert isinstance(caught.value, GataError) and "secret" not in str(caught.value)


@pytest.mark.parametrize("kind", ["", "E-mail", "a b", "e\0", "1", "é"])
def test_a_kind_is_a_lower_case_name(kind: str) -> None:
    with pytest.raises(ValueError, match="kind"):
        Tokens(KEY).token(kind, "x")
    with pytest.raises(ValueError, match="kind"):
        Tokens(None).token(kind, "x")


def test_nothing_shows_the_key() -> None:
    shown = f"{Tokens(KEY)!r} {Tokens(KEY)} {Tokens(None)!r}"
    assert shown == "Tokens(with a key) Tokens(with a key) Tokens(without a key)"
