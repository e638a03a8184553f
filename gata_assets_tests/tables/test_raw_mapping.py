"""Mappings as values, as JSON, and applied to tables, texts and values.

All real, nothing is faked.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.errors import MappingError
from gata_assets.interactions.tables import INTERACTIONS, ITEMS, TABLES
from gata_assets.tables.mapped_table import mapped
from gata_assets.tables.raw_mapping import (
    NO_MAPPING,
    RawMapping,
    decode_mapping,
    encode_mapping,
    mapping_from,
    merge_mappings,
)
from gata_assets.tables.row_rules import RowContext, ValidatedColumns, validate_columns

SPEC = TABLES[INTERACTIONS]
CONTEXT = RowContext()


def validate(mapping: RawMapping, table: str = INTERACTIONS, **texts: list[str | None]) -> ValidatedColumns:
    """Rows whose columns have these texts, as a mapping has them read."""
    return validate_columns(mapped(TABLES[table], mapping), pl.DataFrame(texts, strict=False), CONTEXT)


def test_a_mapping_comes_back_from_its_json() -> None:
    mapping = RawMapping(
        columns={"user_id": ("visitor", "uid")},
        constants={"interaction_type": "like"},
        words={"interaction_type": {"cart": "add_to_cart"}},
        instants={"timestamp": ("epoch_ms", "%d.%m.%Y")},
        whole_numbers=("item_id",),
        scales={"rating": (0.5, 5.0)},
        separator="\t",
        header=("a", "", "b"),
        has_typed_names=True,
        ignores_unknown=True,
        endings={"inter": "csv"},
    )
    assert decode_mapping(encode_mapping(mapping)) == mapping
    assert json.loads(encode_mapping(NO_MAPPING)) == {}


def test_a_single_name_and_the_name_of_a_separator_are_understood() -> None:
    found = mapping_from({"columns": {"user_id": "uid"}, "instants": {"timestamp": "epoch_s"}, "separator": "tab"})
    assert (found.columns, found.instants, found.separator) == (
        {"user_id": ("uid",)},
        {"timestamp": ("epoch_s",)},
        "\t",
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[]", "a mapping is a JSON object"),
        (b"{", "a mapping is a JSON object"),
        (b'{"column": {}}', "a mapping has no column. It may have columns, constants"),
        (b'{"constants": {"a": 1}}', "a mapping is written otherwise"),
        (b'{"header": "a,b"}', "a mapping is written otherwise"),
        (b'{"separator": ["a"]}', "a mapping is written otherwise"),
    ],
)
def test_what_is_no_mapping_is_refused_with_the_reason(content: bytes, reason: str) -> None:
    with pytest.raises(MappingError) as error:
        decode_mapping(content)
    assert reason in str(error.value)


def test_a_later_mapping_counts_column_by_column() -> None:
    base = RawMapping(
        columns={"user_id": ("a",), "item_id": ("b",)},
        constants={"interaction_type": "like", "location": "AT"},
        words={"interaction_type": {"x": "view", "y": "like"}},
        separator=";",
    )
    over = RawMapping(
        columns={"item_id": ("c",), "location": ("d",)},
        constants={"user_id": "u"},
        words={"interaction_type": {"y": "click"}},
    )
    assert merge_mappings(base, over) == RawMapping(
        columns={"item_id": ("c",), "location": ("d",)},
        constants={"interaction_type": "like", "user_id": "u"},
        words={"interaction_type": {"x": "view", "y": "click"}},
        separator=";",
    )
    assert merge_mappings(base, NO_MAPPING) == merge_mappings(NO_MAPPING, base) == base


@pytest.mark.parametrize(
    ("mapping", "reason"),
    [
        ({"columns": {"user": "u"}}, "interactions has no column user. Its columns are user_id, item_id"),
        ({"columns": {"type_code": "u"}}, "interactions has no column type_code"),
        ({"columns": {"user_id": "u"}, "constants": {"user_id": "v"}}, "user_id is mapped to a column of the file and"),
        ({"columns": {"user_id": ""}}, "user_id is mapped to a column without a name"),
        ({"constants": {"user_id": ""}}, "the constant of user_id is empty"),
        ({"endings": {"dat": "excel"}}, "endings imply csv, jsonl, parquet, not excel"),
        ({"instants": {"timestamp": "%H:%M"}}, "%H:%M is no pattern of strptime with a day"),
        ({"instants": {"timestamp": "%Q"}}, "%Q is no pattern of strptime with a day"),
        ({"instants": {"timestamp": "%d.%m.%Y %H:%M:%S,%f"}}, "%f is no pattern of strptime with a day"),
        ({"instants": {"timestamp": []}}, "timestamp has no format of instants"),
        ({"columns": {"user_id": 'us"er'}}, "a column's name in files has no quotes"),
        ({"instants": {"timestamp": "epoch"}}, "instants are written as iso8601, day, epoch_s, epoch_ms"),
        ({"instants": {"rating": "epoch_s"}}, "instants are of a column of instants"),
        ({"words": {"interaction_type": {"x": "nothing"}}}, "other words mean allowed values (interaction_type)"),
        ({"whole_numbers": ["rating"]}, "rating is none"),
        ({"scales": {"rating": [5, 5]}}, "the scale of rating is from the least to the greatest"),
        ({"scales": {"user_id": [0, 1]}}, "user_id has no decimals between two bounds"),
        ({"separator": "::"}, "separator is one ASCII character"),
        ({"columns": {"user_id": ["a", "b"], "item_id": ["b", "c"]}}, "no name in raw files means two columns"),
    ],
)
def test_a_mapping_that_does_not_fit_its_table_is_refused(mapping: dict[str, Any], reason: str) -> None:
    with pytest.raises(MappingError) as error:
        mapped(SPEC, mapping_from(mapping))
    assert reason in str(error.value)


def test_a_mapping_changes_the_digest_of_its_table_and_none_does_not() -> None:
    digests = [
        mapped(SPEC, mapping_from(mapping)).digest
        for mapping in (
            {"constants": {"location": "AT"}},
            {"constants": {"location": "DE"}},
            {"scales": {"rating": [0, 1]}},
            {"whole_numbers": ["item_id"]},
            {"header": ["user_id"]},
        )
    ]
    assert len({SPEC.digest, *digests}) == 6
    assert mapped(SPEC, NO_MAPPING).digest == SPEC.digest


def test_names_of_a_mapping_replace_those_of_the_table() -> None:
    spec = mapped(SPEC, RawMapping(columns={"user_id": ("visitor",)}, constants={"interaction_type": "view"}))
    assert spec.sources["visitor"] == "user_id"
    assert not {"user_id", "interaction_type"} & {*spec.sources}


def test_a_constant_and_a_copy_fill_all_rows() -> None:
    mapping = RawMapping(
        columns={"item_id": ("product",), "title": ("product",)},
        constants={"category": "Books"},
        whole_numbers=("item_id",),
    )
    found = validate(mapping, ITEMS, item_id=["7.0", "8"])
    assert found.values.select("item_id", "title", "category").rows() == [("7", "7", "Books"), ("8", "8", "Books")]
    assert found.broken == {}


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("1.0", "1"),
        ("1.", "1"),
        ("-3.000", "-3"),
        ("007.0", "007"),
        ("1", "1"),
        ("1.5", "1.5"),
        ("1.01", "1.01"),
        ("a1.0", "a1.0"),
        ("1.0.0", "1.0.0"),
        (".0", ".0"),
        ("1e3", "1e3"),
    ],
)
def test_whole_numbers_lose_their_decimal_zeros_and_nothing_else(text: str, whole: str) -> None:
    found = validate(RawMapping(whole_numbers=("item_id",)), item_id=[text])
    assert found.values["item_id"].to_list() == [whole]


@pytest.mark.parametrize(
    ("rating", "expected", "is_kept"),
    [("0.5", 1.0, True), ("5", 5.0, True), ("2.75", 3.0, True), ("0.4", 0.9111111, False), ("5.5", 5.444444, False)],
)
def test_a_rating_of_another_scale_keeps_its_place(rating: str, expected: float, is_kept: bool) -> None:
    found = validate(RawMapping(scales={"rating": (0.5, 5)}), rating=[rating])
    assert found.values["rating"][0] == pytest.approx(expected, rel=1e-6)
    assert ("rating_is_1_to_5" in found.broken) is not is_kept


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_the_ends_of_a_scale_are_those_of_the_column(least: float, width: float) -> None:
    greatest = least + width
    found = validate(RawMapping(scales={"rating": (least, greatest)}), rating=[repr(least), repr(greatest)])
    assert found.values["rating"].to_list() == [1.0, 5.0]
    assert "rating_is_1_to_5" not in found.broken


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("2019-10-01 00:00:07 UTC", "%Y-%m-%d %H:%M:%S %Z", datetime(2019, 10, 1, 0, 0, 7, tzinfo=UTC)),
        ("2019-10-01 00:00:07 GMT", "%Y-%m-%d %H:%M:%S %Z", datetime(2019, 10, 1, 0, 0, 7, tzinfo=UTC)),
        ("2019-10-01 00:00:07 PST", "%Y-%m-%d %H:%M:%S %Z", None),
        ("2019-10-01 00:00:07 GMT+0200", "%Y-%m-%d %H:%M:%S %Z", None),
        ("2019-10-01 00:00:07 UTC-08:00", "%Y-%m-%d %H:%M:%S %Z", None),
        ("2019-10-01 00:00:07 UTC+3", "%Y-%m-%d %H:%M:%S %Z", None),
        ("1.10.2019 07:30:01.750", "%d.%m.%Y %H:%M:%S.%f", datetime(2019, 10, 1, 7, 30, 1, 750_000, tzinfo=UTC)),
        ("1.10.2019 07:30:01.123456", "%d.%m.%Y %H:%M:%S%.f", datetime(2019, 10, 1, 7, 30, 1, 123_456, tzinfo=UTC)),
        ("2019-10-01 00:00:07 +0200", "%Y-%m-%d %H:%M:%S %z", datetime(2019, 9, 30, 22, 0, 7, tzinfo=UTC)),
        ("1.10.2019 07:30", "%d.%m.%Y %H:%M", datetime(2019, 10, 1, 7, 30, tzinfo=UTC)),
        ("1569888000.125", "epoch_s", datetime(2019, 10, 1, 0, 0, 0, 125_000, tzinfo=UTC)),
        ("1569888000.0", "epoch_s", datetime(2019, 10, 1, tzinfo=UTC)),
        ("1569888000125", "epoch_ms", datetime(2019, 10, 1, 0, 0, 0, 125_000, tzinfo=UTC)),
    ],
)
def test_instants_are_read_as_the_mapping_says(text: str, form: str, expected: datetime | None) -> None:
    found = validate(RawMapping(instants={"timestamp": (form,)}), timestamp=[text])
    assert found.values["timestamp"].to_list() == [expected]


def test_words_of_files_become_those_of_the_table() -> None:
    mapping = RawMapping(words={"interaction_type": {"cart": "add_to_cart"}})
    found = validate(mapping, interaction_type=["cart", "view", "remove"])
    assert found.values["interaction_type"].to_list() == ["add_to_cart", "view", "remove"]
    assert found.broken["interaction_type_is_known"].to_list() == [False, False, True]
