"""Keys and codes of ids.

All real, nothing is faked. The keys to be expected are those that the package xxhash 4.1 gives (xxh64, seed 42).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.errors import DataRuleError
from gata_assets.interactions.features.events import code_events
from gata_assets.tables.columns.hashing import hash_ids
from gata_assets_tests.support.canaries import canary

TEXT = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_0123456789abcdefghijklmnopqrstuvwxyz"

# By length of the text's beginning: every path of the algorithm (blocks of 32, 8, 4 and 1 bytes).
KEYS = {
    0: 0x98B1582B0977E704,
    1: 0xAB76E8E9FF682BB4,
    3: 0xACE36A867743EE58,
    4: 0x5A7DF5BB52F8DD13,
    7: 0xBF734B35E1C62006,
    8: 0x6497F8EFC2A31A6D,
    9: 0x641E0F321ABA7E1E,
    12: 0x14D54C5848A53830,
    15: 0x3535711EF53C45BB,
    16: 0x021F8722D90141B7,
    31: 0x0CE3570B0C7E1979,
    32: 0x2245AB251E940FBC,
    33: 0x71EFAA6CBE20F036,
    36: 0x49AAA3ED77E83A03,
    40: 0x7BB375A6C88AFEC4,
    63: 0xCEA2FE33C9B9B59A,
    64: 0xFDDE3C8742FB1AF3,
    65: 0x4A30888A21371A9A,
    100: 0xC331CF5D4676D63D,
}
OTHER_KEYS = {
    "user-1": 0x2D0A68DB27168EA3,
    "Zoë": 0x7089ECE64F535392,
    "日本語": 0xF767A895AFF219E9,
    "🙂": 0x3DD4431D2930B303,
    "🙂" * 9: 0x858232C8259A4407,
    "e\u0301": 0xD76F6184C2E873FB,
    "\x00": 0x83A7B47F8D92D727,
    " ": 0xFB4118DEEE470088,
}


def test_keys_are_those_of_xxh64_for_every_length_of_block() -> None:
    ids = pl.Series("user_id", [TEXT[:length] for length in KEYS])
    assert hash_ids(ids).to_list() == list(KEYS.values())


def test_keys_are_of_the_bytes_in_utf_8_and_are_not_normalized() -> None:
    keys = hash_ids(pl.Series("item_id", list(OTHER_KEYS)))
    assert keys.to_list() == list(OTHER_KEYS.values())
    assert (keys.name, keys.dtype) == ("item_id", pl.UInt64)
    assert hash_ids(pl.Series(["é", "e\u0301"])).n_unique() == 2


def test_the_key_of_the_empty_id_is_that_of_spark() -> None:
    assert hash_ids(pl.Series([""])).reinterpret(signed=True).to_list() == [-7444071767201028348]


def test_all_keys_of_many_ids_are_those_of_the_package() -> None:
    folded = 0
    for length, key in enumerate(hash_ids(pl.Series(["é" * n + "x" * (n % 7) for n in range(300)])).to_list()):
        folded ^= key * (length + 1) % 2**64
    assert folded == 0x74C42C7E490BB605


@given(ids=st.lists(st.text(), min_size=1), start=st.integers(0, 30), length=st.integers(0, 30))
def test_a_slice_and_a_table_in_pieces_have_the_same_keys(ids: list[str], start: int, length: int) -> None:
    column = pl.Series("id", ids, dtype=pl.String)
    keys = hash_ids(column)
    assert hash_ids(column.slice(start, length)).to_list() == keys.to_list()[start : start + length]
    assert hash_ids(pl.concat([column, column], rechunk=False)).to_list() == keys.to_list() * 2


def test_no_ids_have_no_keys() -> None:
    assert hash_ids(pl.Series("user_id", [], dtype=pl.String)).to_list() == []


def test_a_missing_id_is_an_error_that_counts() -> None:
    with pytest.raises(DataRuleError, match="user_id: 2 of 3 ids are missing"):
        hash_ids(pl.Series("user_id", ["a", None, None]))


def ids_table(kind: str, ids: list[str], keys: list[int] | None = None) -> pl.DataFrame:
    column = pl.Series(f"{kind}_id", ids, dtype=pl.String)
    key = hash_ids(column) if keys is None else pl.Series(keys, dtype=pl.UInt64)
    return pl.DataFrame([column, key.alias(f"{kind}_key")])


def events_table(pairs: list[tuple[str, str]], times: list[int] | None = None) -> pl.DataFrame:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    times = list(range(len(pairs))) if times is None else times
    return pl.DataFrame(
        {
            "user_key": hash_ids(pl.Series([user for user, _ in pairs], dtype=pl.String)),
            "item_key": hash_ids(pl.Series([item for _, item in pairs], dtype=pl.String)),
            "timestamp": pl.Series([start + timedelta(microseconds=time) for time in times]).cast(
                pl.Datetime("us", "UTC")
            ),
            "type_code": pl.Series([1] * len(pairs), dtype=pl.UInt8),
            "rating": pl.Series([None] * len(pairs), dtype=pl.Float32),
        }
    )


@given(
    rows=st.lists(st.tuples(st.sampled_from("aßcdé"), st.sampled_from("vwxyz"), st.integers(0, 9)), max_size=40),
    more=st.sets(st.sampled_from("mnop")),
)
def test_codes_are_in_the_order_of_the_ids_and_events_in_that_of_time(
    rows: list[tuple[str, str, int]], more: set[str]
) -> None:
    events = events_table([(user, item) for user, item, _ in rows], [time for _, _, time in rows])
    users, items = {user for user, _, _ in rows}, {item for _, item, _ in rows} | more
    table = code_events(events, ids_table("user", [*users, *users, "never there"]), ids_table("item", [*items, *items]))
    assert table.users.ids.to_list() == sorted(users)
    assert table.items.ids.to_list() == sorted(items)
    assert table.users.keys.tolist() == hash_ids(table.users.ids).to_list()
    decoded = zip(table.users.ids.gather(table.user), table.items.ids.gather(table.item), strict=True)
    # Those of one time as they came.
    assert list(decoded) == [(user, item) for user, item, _ in sorted(rows, key=lambda row: row[2])]
    assert (np.diff(table.timestamp) >= 0).all()
    assert np.isnan(table.rating).all()


def test_codes_of_many_ids_lead_back_to_them() -> None:
    random = np.random.default_rng(3)
    users = [f"user {number}" for number in range(5_000)]
    items = [f"item {number}" for number in range(3_000)]
    pairs = [(users[int(u)], items[int(i)]) for u, i in random.integers(0, [5_000, 3_000], (9_000, 2))]
    table = code_events(events_table(pairs), ids_table("user", users), ids_table("item", items))
    assert table.users.ids.gather(table.user).to_list() == [user for user, _ in pairs]
    assert table.items.ids.gather(table.item).to_list() == [item for _, item in pairs]


def test_two_ids_with_one_key_are_reported_and_not_named() -> None:
    first, second = canary("a user"), canary("another user")
    events = events_table([(first, "x")])
    twice = ids_table("user", [first, second], [7, 7])
    with pytest.raises(DataRuleError, match=r"1 of 2 user ids have the same hash") as error:
        code_events(events, twice, ids_table("item", ["x"]))
    assert first not in str(error.value) and second not in str(error.value)


@pytest.mark.parametrize("known", [[], ["anna"]])
def test_a_key_without_an_id_is_reported_and_counted(known: list[str]) -> None:
    events = events_table([("anna", "x"), ("otto", "x"), ("otto", "x")])
    with pytest.raises(DataRuleError, match=rf"{3 if not known else 2} of 3 curated interactions have a user hash"):
        code_events(events, ids_table("user", known), ids_table("item", ["x"]))
