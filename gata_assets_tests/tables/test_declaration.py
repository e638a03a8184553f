"""Tables as they are declared: what is read from a model, and what is refused with the place and the reason.

All real, nothing is faked.
"""

from __future__ import annotations

from typing import Annotated, Any

import pandera.polars as pa
import polars as pl
import pytest

from gata_assets.errors import TableSpecError
from gata_assets.tables.columns.column_spec import Reference, ReferenceMode
from gata_assets.tables.declaration import load_specs, row_rule, spec_of, tables_by_name
from gata_assets.tables.row_rules import rule_names
from gata_assets.tables.spec import TableSpec, UnknownColumns

Instant = Annotated[pl.Datetime, "us", "UTC"]


class Orders(pa.DataFrameModel):
    """What was ordered."""

    order_id: str = pa.Field(str_length={"min_value": 1}, description="The order.", metadata={"aliases": ["Order"]})
    state: str = pa.Field(isin=("open", "paid"), metadata={"words": {"offen": "open"}})
    paid_at: Instant = pa.Field(nullable=True)
    amount: float = pa.Field(gt=0, le=500)
    state_code: pl.UInt8 = pa.Field(metadata={"code_of": "state"})
    order_key: pl.UInt64 = pa.Field(metadata={"key_of": "order_id"})
    paid_has_an_instant = row_rule("paid_has_an_instant", (pl.col("state") != "paid") | pl.col("paid_at").is_not_null())

    class Config:
        """The latest row of each order."""

        metadata = {"table": "orders", "key": ["order_id"], "repetitions": "latest"}  # noqa: RUF012


def declared(table: dict[str, Any] | None = None, **columns: tuple[Any, dict[str, Any]]) -> TableSpec:
    """The table of a model with these columns: their types, and what their fields say."""
    fields = {name: pa.Field(**said) for name, (_, said) in columns.items()}
    kinds = {name: kind for name, (kind, _) in columns.items()}
    config = type("Config", (), {"metadata": {"table": "some_table", **(table or {})}})
    return spec_of(type("Model", (pa.DataFrameModel,), {"__annotations__": kinds, "Config": config, **fields}))


def test_a_table_is_read_from_its_model() -> None:
    spec = spec_of(Orders)
    assert (spec.table, spec.description) == ("orders", "What was ordered.")
    assert (spec.required, spec.optional) == (("order_id", "state", "amount"), ("paid_at",))
    assert spec.sources["Order"] == "order_id"
    assert list(spec.curated_schema) == ["order_id", "state", "paid_at", "amount", "state_code", "order_key"]
    assert list(spec.staged_schema) == ["order_id", "paid_at", "amount", "state_code", "source_line"]
    assert rule_names(spec) == (
        *("row_is_readable", "row_fits_the_columns", "order_id_is_given", "state_is_given", "state_is_known"),
        *("amount_is_given", "amount_is_a_number", "amount_is_positive", "amount_is_at_most_500"),
        *("paid_at_is_iso_8601", "paid_has_an_instant"),
    )


TEXT, NUMBER, AT = str, float, Instant


@pytest.mark.parametrize(
    ("said", "columns", "reason"),
    [
        ({}, {"a": (TEXT, {"metadata": {"alias": "b"}})}, "a: metadata has unknown keys: alias. Known: aliases"),
        ({"partitioned": True}, {"a": (TEXT, {})}, "Config.metadata has unknown keys: partitioned"),
        ({"unknown_columns": "drop"}, {"a": (TEXT, {})}, "'drop' is not a valid UnknownColumns"),
        ({"table": "Some Table"}, {"a": (TEXT, {})}, "its name is of a-z, 0-9 and _"),
        ({"key": ["b"]}, {"a": (TEXT, {})}, "its key is of its columns"),
        ({"repetitions": "latest"}, {"a": (TEXT, {})}, "the latest row is that of a key"),
        ({"event_time": "a"}, {"a": (TEXT, {})}, "event_time is a column of UTC instants"),
        ({"event_time": "a"}, {"a": (AT, {"nullable": True})}, "that is always given"),
        ({"partition_by": "day"}, {"a": (AT, {})}, "rows are partitioned by the day of their event_time"),
        ({"separator": "::"}, {"a": (TEXT, {})}, "separator is one ASCII character"),
        ({}, {"a": (TEXT, {"metadata": {"aliases": ["b"]}}), "b": (TEXT, {})}, "no name in raw files means two"),
        ({}, {"a": (pl.List, {"dtype_kwargs": {"inner": pl.String()}})}, "columns are texts, numbers, booleans"),
        ({}, {"a": (TEXT, {"metadata": {"instants": ["day"]}})}, "instants are of a column of instants or days"),
        ({}, {"a": (AT, {"metadata": {"instants": ["rfc822"]}})}, "or a pattern of strptime"),
        ({}, {"a": (NUMBER, {"metadata": {"words": {"no": "0"}}})}, "other words are for texts"),
        ({}, {"a": (TEXT, {"isin": ["b"], "metadata": {"words": {"c": "d"}}})}, "other words mean allowed values"),
        ({}, {"a": (pl.UInt8, {"metadata": {"code_of": "b"}})}, "derived columns name another"),
        ({}, {"a": (pl.UInt8, {"metadata": {"code_of": "b"}}), "b": (TEXT, {})}, "codes are of allowed values"),
        ({}, {"a": (pl.Int64, {"metadata": {"key_of": "b"}}), "b": (TEXT, {})}, "keys are UInt64"),
        ({}, {"a": (pl.UInt64, {"metadata": {"key_of": "b"}}), "b": (NUMBER, {})}, "keys are of texts always given"),
        ({}, {"a": (TEXT, {}), "source_line": (pl.Int64, {})}, "no column is named row, rules, source_file"),
        ({}, {"a": (TEXT, {"metadata": {"references": "items"}})}, "references are"),
        ({}, {"a": (TEXT, {"metadata": {"rules": {"isin": "a_is_known"}}})}, "rules has unknown keys: isin"),
    ],
)
def test_a_declaration_that_nobody_understands_is_refused(
    said: dict[str, Any], columns: dict[str, tuple[Any, dict[str, Any]]], reason: str
) -> None:
    with pytest.raises(TableSpecError) as error:
        declared(said, **columns)
    assert reason in str(error.value)


def test_a_rule_over_several_columns_without_an_expression_is_refused() -> None:
    class Model(pa.DataFrameModel):
        a: str

        @pa.dataframe_check
        def always(cls, data: pa.PolarsData) -> pl.LazyFrame:
            return data.lazyframe.select(pl.lit(value=True))

        class Config:
            metadata = {"table": "some_table"}  # noqa: RUF012

    with pytest.raises(TableSpecError, match="the rule always over several columns has no expression"):
        spec_of(Model)


def test_tables_come_after_those_that_they_refer_to() -> None:
    items = declared({"table": "items"}, item_id=(TEXT, {}))
    strict = {"references": {"table": "items", "column": "item_id", "mode": "reject"}}
    sales = declared({"table": "sales"}, item_id=(TEXT, {"metadata": strict}))
    assert list(tables_by_name([sales, items])) == ["items", "sales"]
    assert sales.references == {"item_id": Reference("items", "item_id", ReferenceMode.REJECT)}
    with pytest.raises(TableSpecError, match=r"sales\.item_id refers to items\.item_id, which is no"):
        tables_by_name([sales])
    numbered = declared({"table": "numbered"}, item_id=(pl.Int64, {"metadata": strict}))
    with pytest.raises(TableSpecError, match=r"numbered\.item_id is Int64, and refers to items\.item_id"):
        tables_by_name([numbered, items])
    first = declared({"table": "first"}, a=(TEXT, {"metadata": {"references": "second.a"}}))
    second = declared({"table": "second"}, a=(TEXT, {"metadata": {"references": "first.a"}}))
    with pytest.raises(TableSpecError, match="in a circle: first → second → first"):
        tables_by_name([first, second])
    with pytest.raises(TableSpecError, match="two tables are named items"):
        tables_by_name([items, declared({"table": "items"}, item_id=(TEXT, {}))])


def test_a_module_has_the_tables_that_it_names() -> None:
    (spec,) = [one for one in load_specs(__name__) if one.table == "orders"]
    assert spec is spec_of(Orders)
    assert spec.unknown_columns is UnknownColumns.REFUSE_FILE
    with pytest.raises(TableSpecError, match=r"no\.such\.module"):
        load_specs("no.such.module")
    with pytest.raises(TableSpecError, match="has no pandera model"):
        load_specs("json")
