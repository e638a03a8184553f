"""Ids as small numbers: in the order of the ids, and never two ids as one.

Real: the compiled loops. Nothing is faked.
"""

from __future__ import annotations

from random import Random

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.tables.columns.arrow_buffers import text_buffers
from gata_assets.tables.columns.hashing import hash_ids
from gata_assets.tables.columns.id_encoding import _number, code_ids, order_by, places_of

IDS = st.lists(st.text(min_size=1, max_size=20), max_size=60)


@given(ids=IDS)
def test_a_code_is_the_place_of_the_id_among_the_distinct_ones(ids: list[str]) -> None:
    coded = code_ids(pl.Series(ids, dtype=pl.String))
    distinct = coded.ids
    assert distinct.to_list() == sorted(set(ids), key=str.encode)
    assert distinct.gather(pl.Series(coded.codes)).to_list() == ids
    assert coded.keys.tolist() == hash_ids(distinct).to_list()


@given(ids=IDS)
def test_ids_with_the_same_key_get_different_codes(ids: list[str]) -> None:
    codes, firsts = _number(*text_buffers(pl.Series(ids, dtype=pl.String)), np.full(len(ids), 7, dtype=np.uint64))
    assert [ids[firsts[code]] for code in codes] == ids
    assert len(firsts) == len(set(ids))


@given(codes=st.lists(st.integers(0, 19), max_size=30))
def test_of_some_rows_the_codes_that_occur_are_numbered_again(codes: list[int]) -> None:
    places, local = places_of(np.array(codes, dtype=np.int32), 20)
    assert places.tolist() == sorted(set(codes))
    assert places[local].tolist() == codes


@given(
    numbers=st.lists(st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2047, 2048, 1 << 33, 2**64 - 1]), max_size=40),
    drawn=st.randoms(use_true_random=False),
)
def test_places_come_in_the_order_of_their_numbers_and_stay_in_their_own_where_these_are_equal(
    numbers: list[int], drawn: Random
) -> None:
    before = list(range(len(numbers)))
    drawn.shuffle(before)
    ordered = order_by(np.array(before, dtype=np.int32), np.array(numbers, dtype=np.uint64))
    assert ordered.tolist() == sorted(before, key=lambda place: numbers[place])
