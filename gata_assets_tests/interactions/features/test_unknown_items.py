"""Interactions whose item the catalog lacks: counted exactly, explained by shapes, never by ids.

Real: NumPy and Polars. Oracles are plain Python.
"""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.interactions.features.events import Ids
from gata_assets.interactions.features.tables import ItemCounts
from gata_assets.interactions.features.unknown_items import check_unknown_items, common_shape, find_unknown_items
from gata_assets.interactions.rules import CatalogRules
from gata_assets_tests.support.canaries import canary

# Of interactions by type, ratings and other aggregates.
_COLUMNS = 8


def counts_of(rows: dict[str, int]) -> ItemCounts:
    ids = pl.Series("item_id", list(rows), dtype=pl.String)
    counts = np.zeros((len(rows), _COLUMNS), dtype=np.uint32)
    counts[:, 1] = list(rows.values())
    # The last column is no count of interactions.
    counts[:, -1] = 1_000
    keys = np.arange(len(rows), dtype=np.uint64)
    return ItemCounts(Ids(ids, keys), counts, np.zeros(len(rows)), np.ones(len(rows), dtype=np.uint32))


def catalog_of(*ids: str) -> pl.DataFrame:
    return pl.DataFrame({"item_id": pl.Series(list(ids), dtype=pl.String)})


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 9)),
    st.sets(st.sampled_from("abcdefgh")),
    st.floats(0, 1),
)
def test_counts_and_the_rule_are_those_of_plain_python(
    rows: dict[str, int], catalog: set[str], max_share: float
) -> None:
    seen = {**dict.fromkeys(catalog, 0), **rows}
    found = find_unknown_items(counts_of(seen), catalog_of(*catalog))
    total = sum(seen.values())
    unknown = {item: count for item, count in seen.items() if count and item not in catalog}
    assert found.interactions == total
    assert found.numbers == {"unknown_items": len(unknown), "unknown_item_interactions": sum(unknown.values())}
    outcome = check_unknown_items(found, CatalogRules(max_unknown_share=max_share))
    is_too_many = total > 0 and sum(unknown.values()) / total > max_share
    assert outcome.has_passed == (not is_too_many)
    assert outcome.failed == (sum(unknown.values()) if is_too_many else 0)
    assert outcome.checked == total


@pytest.mark.parametrize(("unknown", "is_few"), [(0, True), (99, True), (100, True), (101, False), (1_000, False)])
def test_the_share_itself_is_allowed(unknown: int, is_few: bool) -> None:
    found = find_unknown_items(counts_of({"a": 1_000 - unknown, "b": unknown}), catalog_of("a"))
    assert check_unknown_items(found, CatalogRules()).has_passed == is_few


def test_the_message_has_counts_shapes_and_what_to_do() -> None:
    rows = {f"{number}.0": 30 for number in range(1, 41)}
    found = find_unknown_items(counts_of(rows), catalog_of(*(str(number) for number in range(1, 41))))
    message = str(check_unknown_items(found, CatalogRules()))
    assert message.startswith(
        "at most 10 % of the window's interactions have an item that the catalog lacks: 1,200 of 1,200 interactions. "
        "40 of 40 items are unknown"
    )
    assert (
        "They look like `9.9`, the catalog's like `9` (9: digits, 09: with leading zeros, A: capital letters, a: "
        in message
    )
    assert "`gata ingest … --replaces`" in message
    assert "MAX_UNKNOWN_ITEMS_SHARE" in message


def test_a_catalog_without_items_is_said_to_be_empty() -> None:
    found = find_unknown_items(counts_of({"a1": 1}), catalog_of())
    assert "The catalog has no item. The unknown ids look like `a9`" in str(check_unknown_items(found, CatalogRules()))


@pytest.mark.parametrize(
    ("ids", "shape"),
    [
        (["7.0", "12.0"], "9.9"),
        (["7", "12"], "9"),
        (["sku-000123", "sku-01"], "a-09"),
        (["SKU-1", "SKU-20"], "A-9"),
        (["Sku-1"], "Aa-9"),
        (["007", "010"], "09"),
        (["0", "7", "100"], "9"),
        (["00"], "09"),
        (["0x007a"], "9a09a"),
        (["1.00"], "9.09"),
        (["٠٧"], "9"),
        (["É", "E\u0301T", "Ǆ"], "A"),
        (["ø", "ø0"], "a"),
        (["７", "٣"], "9"),
        (["é", "日本"], "a"),
        ([" 7"], " 9"),
        (["7\n", "7\t\t"], "9?"),
        (["😀7"], "?9"),
        ([""], ""),
        (["http://shop.example/item?id=7"], "a://a.a/a?a=9"),
        (["a-" * 30], "a-" * 12 + "…"),
        (["1", "2", "x"], "9"),
        (["1", "x"], "9"),
    ],
)
def test_shapes(ids: list[str], shape: str) -> None:
    assert common_shape(pl.Series(ids)) == shape


def test_the_shape_of_many_ids_is_that_of_a_sample() -> None:
    assert common_shape(pl.Series([f"i{number}" for number in range(25_001)])) == "a9"
    assert common_shape(pl.Series([], dtype=pl.String)) is None


@given(st.lists(st.text(max_size=40), min_size=1, max_size=5))
def test_a_shape_has_no_letter_or_digit_of_an_id(ids: list[str]) -> None:
    shape = common_shape(pl.Series(ids, dtype=pl.String))
    assert shape is not None
    assert re.fullmatch(r"[Aa90?!-/:-@\[-`{-~ ]*…?", shape)
    assert not any(twice in shape for twice in ("AA", "aa", "99", "00", "90"))


@pytest.mark.parametrize(
    ("unknown", "known", "said"),
    [
        ("007", "7", "They look like `09`, the catalog's like `9` ("),
        ("sku-1", "SKU-1", "They look like `a-9`, the catalog's like `A-9` ("),
        ("b12", "a7", "They look like `a9`, as the catalog's do (9: digits, "),
    ],
)
def test_shapes_differ_where_spellings_do_and_equal_ones_explain_nothing(unknown: str, known: str, said: str) -> None:
    message = str(check_unknown_items(find_unknown_items(counts_of({unknown: 5}), catalog_of(known)), CatalogRules()))
    assert said in message
    assert ("their shapes do not explain it" in message) == ("as the catalog's do" in said)


def test_no_id_is_in_the_message() -> None:
    found = find_unknown_items(counts_of({canary("an item"): 5}), catalog_of(canary("another item")))
    message = str(check_unknown_items(found, CatalogRules()))
    assert canary("an item") not in message and canary("another item") not in message
