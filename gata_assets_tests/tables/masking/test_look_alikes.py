"""How often what is no card number is taken for one: ids, instants, phone numbers and more.

All real, nothing is faked; the look-alikes are those of `card_corpus`.
"""

from __future__ import annotations

import random

import polars as pl
import pytest

from gata_assets.tables.masking.card_numbers import truncate_card_numbers
from gata_assets_tests.tables.masking.card_corpus import DECOYS


def test_at_most_one_in_twenty_random_ids_is_truncated() -> None:
    rng = random.Random(6)
    for kind in ("random id of 16 digits", "random id of 16 digits in fours"):
        ids = pl.Series([DECOYS[kind](rng) for _ in range(20_000)])
        assert truncate_card_numbers(ids)[1] / len(ids) <= 0.05
    first = pl.Series([str(rng.randrange(10**15, 10**16)) for _ in range(20_000)])
    assert truncate_card_numbers(first)[1] / len(first) <= 0.05


# One in ten numbers of a length and with first digits of an issuer ends with its check digit. Old numbers of Visa have
# 13 digits and begin with 4, as German phone numbers and articles do. All other kinds are hardly ever taken for one.
TAKEN_FOR_CARD_NUMBERS = {
    **{"phone number": 0.12, "two phone numbers": 0.12, "IBAN in fours": 0.13, "EAN-13": 0.12},
    **{"random id of 16 digits": 0.05, "random id of 16 digits in fours": 0.05},
}


@pytest.mark.parametrize("kind", DECOYS)
def test_few_look_alikes_are_truncated(kind: str) -> None:
    rng = random.Random(7)
    texts = pl.Series([DECOYS[kind](rng) for _ in range(4_000)])
    found, _ = truncate_card_numbers(texts)
    assert (found != texts).sum() / len(texts) <= TAKEN_FOR_CARD_NUMBERS.get(kind, 0.005)
