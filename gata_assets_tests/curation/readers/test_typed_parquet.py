"""Rows of Parquet with types, and the same rows as texts: validated and staged alike.

Real: the readers and validation of blocks, with tables that are declared here. Nothing is faked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pandera.polars as pa
import polars as pl
import pyarrow
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gata_assets.curation.files.formats import parse_format
from gata_assets.curation.files.open_files import read_validated
from gata_assets.tables.declaration import spec_of
from gata_assets.tables.row_rules import RowContext


class Values(pa.DataFrameModel):
    """A column of each type."""

    name: str = pa.Field(nullable=True)
    amount: Annotated[pl.Decimal, 18, 2] = pa.Field(nullable=True, ge=0)
    at: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(nullable=True)
    day: pl.Date = pa.Field(nullable=True)
    small: pl.Int32 = pa.Field(nullable=True, gt=-5)
    large: pl.Int64 = pa.Field(nullable=True)
    flag: bool = pa.Field(nullable=True)
    share: pl.Float64 = pa.Field(nullable=True, le=1)

    class Config:
        strict = True
        ordered = True
        metadata: ClassVar = {"table": "values"}


SPEC = spec_of(Values)
START = datetime(2000, 1, 1, tzinfo=UTC)
DECIMALS = st.sampled_from([(18, 2), (9, 2), (38, 2), (18, 0), (12, 4), (38, 10), (76, 2)])
INTEGERS = st.sampled_from(["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
UNITS = st.sampled_from(["s", "ms", "us", "ns"])
ZONES = st.sampled_from([None, "UTC", "Europe/Berlin", "+02:00"])


def decimal_text(value: Any) -> str:
    return f"{value:f}"


def instant_text(value: Any) -> str:
    return f"{value.astimezone(UTC) if value.tzinfo else value:%Y-%m-%dT%H:%M:%S.%fZ}"


@st.composite
def columns(draw: st.DrawFn) -> tuple[str, pyarrow.Array, list[str | None]]:
    """The name of a column, its values with a type of Parquet, and as texts."""
    name = draw(st.sampled_from(["amount", "at", "day", "small", "large", "flag"]))
    text: Callable[[Any], str] = str
    if name in ("amount", "small", "large") and draw(st.booleans()):
        precision, scale = draw(DECIMALS)
        most = 10 ** min(precision, 30) - 1
        numbers = st.integers(-most, most) | st.integers(-300, 300)
        kind = (pyarrow.decimal256 if precision > 38 else pyarrow.decimal128)(precision, scale)
        values = numbers.map(lambda number: Decimal(number).scaleb(-scale))
        text = decimal_text
    elif name in ("amount", "small", "large"):
        word = draw(INTEGERS)
        bits, kind = int(word.lstrip("uint")), pyarrow.type_for_alias(word)
        least, most = (0, (1 << bits) - 1) if word.startswith("u") else (-(1 << bits - 1), (1 << bits - 1) - 1)
        values = st.integers(least, most) | st.integers(0, 9)
    elif name == "at":
        kind = pyarrow.timestamp(draw(UNITS), draw(ZONES))
        seconds = st.integers(-(10**9), 10**9)
        values, text = seconds.map(lambda number: START + timedelta(seconds=number)), instant_text
        if kind.tz is None:
            values = values.map(lambda at: at.replace(tzinfo=None))
    elif name == "day":
        kind, values, text = pyarrow.date32(), st.dates(), date.isoformat
    else:
        kind, values, text = pyarrow.bool_(), st.booleans(), lambda value: str(value).lower()
    found = draw(st.lists(st.none() | values, max_size=8))
    texts = [None if value is None else text(value) for value in found]
    return name, pyarrow.array(found, kind), texts


def validated(path: Path, column: str, array: pyarrow.Array, **options: Any) -> tuple[Any, Any, Any]:
    pq.write_table(pyarrow.table({"name": pyarrow.array(["x"] * len(array)), **blank(column, array)}), path, **options)
    context = RowContext()
    blocks = [
        block
        for _, block in read_validated(path, parse_format("a.parquet"), SPEC, context, "a", max_decoded_bytes=10**9)
    ]
    valid = [row for block in blocks for row in block.valid.to_pylist()]
    rejected = [(row["source_line"], row["rules"]) for block in blocks for row in block.rejected.to_pylist()]
    return valid, rejected, [dict(block.rejected_by_rule) for block in blocks]


def blank(column: str, array: pyarrow.Array) -> dict[str, pyarrow.Array]:
    return {
        one.name: array if one.name == column else pyarrow.array([None] * len(array), pyarrow.string())
        for one in SPEC.raw_columns
        if one.name != "name"
    }


@pytest.mark.slow
@settings(max_examples=120, suppress_health_check=list(HealthCheck))
@given(columns(), st.booleans())
def test_typed_values_and_their_texts_are_validated_alike(
    tmp_path_factory: pytest.TempPathFactory, column: tuple[str, pyarrow.Array, list[str | None]], is_coded: bool
) -> None:
    name, typed, texts = column
    folder = tmp_path_factory.getbasetemp()
    plain = pyarrow.array(texts, pyarrow.string())
    as_texts = plain.dictionary_encode() if is_coded else plain
    assert validated(folder / "a.parquet", name, typed) == validated(folder / "b.parquet", name, as_texts)


@pytest.mark.parametrize("values", [[START, None, START + timedelta(microseconds=123_456)], [None], []])
def test_instants_of_96_bits_are_those_of_microseconds(tmp_path: Path, values: Sequence[datetime | None]) -> None:
    array = pyarrow.array(values, pyarrow.timestamp("us", "UTC"))
    old = validated(tmp_path / "a.parquet", "at", array, use_deprecated_int96_timestamps=True)
    assert old == validated(tmp_path / "b.parquet", "at", array)


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
@pytest.mark.parametrize("number", [1 << 62, -(1 << 62), 253_402_300_800, -62_135_596_801])
def test_instants_beyond_the_calendar_are_rejected_and_their_neighbors_are_not(
    tmp_path: Path, unit: str, number: int
) -> None:
    scale = {"s": 1, "ms": 1_000, "us": 1_000_000}[unit]
    beyond = number if abs(number) == 1 << 62 else number * scale
    # Parquet has no seconds: more than it has of milliseconds cannot be written.
    beyond = max(min(beyond, 10**15), -(10**15)) if unit == "s" else beyond
    array = pyarrow.array([0, beyond, None], pyarrow.int64()).cast(pyarrow.timestamp(unit))
    valid, rejected, _ = validated(tmp_path / "a.parquet", "at", array)
    assert [row["at"] for row in valid] == [datetime(1970, 1, 1, tzinfo=UTC), None]
    assert rejected == [(2, ["at_is_iso_8601"])]
