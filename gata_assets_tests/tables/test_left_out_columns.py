"""Columns that a mapping leaves out or substitutes, and invalid values that cost no row.

Real: mappings, tables and their rules over raw texts. No file is read.
"""

from __future__ import annotations

import polars as pl
import pytest

from gata_assets.errors import MappingError
from gata_assets.interactions.tables import ITEMS, TABLES
from gata_assets.tables.mapped_table import map_texts, mapped
from gata_assets.tables.raw_mapping import RawMapping, decode_mapping, encode_mapping
from gata_assets.tables.row_rules import RowContext, validate_columns

SPEC = TABLES[ITEMS]


def test_a_substitute_fills_what_is_not_given_and_a_column_that_is_not_there() -> None:
    mapping = RawMapping(substitutes={"title": "item_id"})
    texts = pl.DataFrame({"item_id": ["a", "b", None], "title": ["A", None, None]})
    assert map_texts(texts, mapping)["title"].to_list() == ["A", "b", None]
    assert map_texts(texts.drop("title"), mapping)["title"].to_list() == ["a", "b", None]
    assert map_texts(texts.drop("item_id"), mapping).equals(texts.drop("item_id"))


def test_a_substitute_may_be_a_constant_or_a_whole_number() -> None:
    mapping = RawMapping(substitutes={"title": "item_id"}, whole_numbers=("item_id",))
    assert map_texts(pl.DataFrame({"item_id": ["7.0"]}), mapping)["title"].to_list() == ["7"]
    given = RawMapping(substitutes={"title": "brand"}, constants={"brand": "Elm"})
    assert map_texts(pl.DataFrame({"item_id": ["7"]}), given)["title"].to_list() == ["Elm"]


def test_a_column_that_is_left_out_has_no_name_in_files() -> None:
    mapping = RawMapping(columns={"description": (), "price": ()})
    assert decode_mapping(encode_mapping(mapping)) == mapping
    spec = mapped(SPEC, mapping)
    assert {*SPEC.sources} - {*spec.sources} == {"description", "price"}
    assert mapping.copies == {}


@pytest.mark.parametrize("discards", [False, True])
def test_an_invalid_optional_value_costs_its_row_or_itself(discards: bool) -> None:
    spec = mapped(SPEC, RawMapping(discards_invalid=discards, ignores_unknown=True))
    found = validate_columns(spec, pl.DataFrame({"item_id": ["a"], "title": ["A"], "price": ["dear"]}), RowContext())
    assert ({*found.broken}, {*found.discarded}) == (
        (set(), {"price_is_a_number"}) if discards else ({"price_is_a_number"}, set())
    )
    assert found.values["price"].to_list() == [None]


@pytest.mark.parametrize(
    ("mapping", "reason"),
    [
        (RawMapping(columns={"title": ()}), "title cannot be left out"),
        (RawMapping(columns={"price": ("",)}), "without a name"),
        (RawMapping(substitutes={"title": "price"}), "price cannot be the substitute of title"),
        (RawMapping(substitutes={"title": "title"}), "title cannot be the substitute of title"),
        (RawMapping(substitutes={"title": "sku"}), "no column sku"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(mapping: RawMapping, reason: str) -> None:
    with pytest.raises(MappingError, match=reason):
        mapped(SPEC, mapping)
