"""TABLE_SPECS: modules of users in, tables out.

Real: modules that are written to a directory on the path, and their import. Nothing is faked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from gata_assets.errors import SettingsError
from gata_assets.settings.model import parse_settings
from gata_assets.settings.table_specs import all_tables, own_tables

TABLES = """
import pandera.polars as pa

class _Base(pa.DataFrameModel):
    order_id: str

class Returns(_Base):
    order_id: str = pa.Field(metadata={"references": "orders.order_id"})
    class Config:
        metadata = {"table": "returns"}

class Orders(_Base):
    class Config:
        metadata = {"table": "orders", "key": ["order_id"], "repetitions": "latest"}
"""
BY_DAY = """
from typing import Annotated
import pandera.polars as pa
import polars as pl

class Orders(pa.DataFrameModel):
    order_id: str
    placed_at: Annotated[pl.Datetime, "us", "UTC"]
    class Config:
        metadata = {"table": "orders", "event_time": "placed_at", "partition_by": "day"}

class Returns(pa.DataFrameModel):
    order_id: str = pa.Field(metadata={"references": "orders.order_id"})
    class Config:
        metadata = {"table": "returns"}
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Write a module; gives its name, which no other test uses."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(source: str) -> str:
        name = f"tables_{uuid4().hex}"
        (tmp_path / f"{name}.py").write_text(source)
        return name

    return write


def own(*modules: str) -> list[str]:
    return list(own_tables(parse_settings({"TABLE_SPECS": ",".join(modules)})))


def refused(*modules: str) -> str:
    with pytest.raises(SettingsError) as caught:
        own(*modules)
    return str(caught.value)


def test_tables_of_all_modules_come_after_those_that_they_refer_to(module: Callable[[str], str]) -> None:
    first = module(TABLES)
    second = module(
        f"from {first} import Orders\n\nclass Stock(Orders):\n"
        "    class Config:\n        metadata = {'table': 'stock'}\n"
    )
    assert own(first, second) == ["orders", "returns", "stock"]
    assert list(all_tables(parse_settings({}))) == ["items", "interactions", "tickets"]
    assert own_tables(parse_settings({})) == {}


def test_a_module_that_cannot_be_imported_is_named_with_the_reason(module: Callable[[str], str]) -> None:
    assert "TABLE_SPECS: the module nowhere.at_all cannot be imported: No module" in refused("nowhere.at_all")
    broken = module("raise ValueError('a secret value')")
    message = refused(broken)
    assert f"the module {broken} cannot be imported: ValueError" in message
    assert "a secret value" not in message


def test_a_module_without_a_table_is_refused(module: Callable[[str], str]) -> None:
    empty = module("import pandera.polars as pa\nclass Base(pa.DataFrameModel):\n    order_id: str\n")
    assert f"the module {empty} has no pandera model (DataFrameModel) whose Config.metadata names a table" in refused(
        empty
    )


def test_a_table_that_takes_the_name_of_another_is_refused(module: Callable[[str], str]) -> None:
    again = module(TABLES.replace('"table": "orders"', '"table": "items"').replace("orders.order_id", "items.item_id"))
    assert "TABLE_SPECS: two tables are named items" in refused(again)


def test_people_who_are_tokens_need_a_key_and_are_never_hidden(module: Callable[[str], str]) -> None:
    def orders(mask: str) -> str:
        column = f"customer: str = pa.Field(metadata={{'personal': '{mask}', 'subject': True}})"
        return module(
            TABLES.replace(
                "class Returns",
                f"class Persons(_Base):\n    {column}\n    class Config:\n"
                "        metadata = {'table': 'persons'}\n\nclass Returns",
            )
        )

    tokens = orders("token")
    assert "people are tokens in persons, and MASKING_KEY is unset: nobody could be erased" in refused(tokens)
    assert "persons" in own_tables(parse_settings({"TABLE_SPECS": tokens, "MASKING_KEY": "k" * 16}))
    assert "subjects are plain, or tokens (customer)" in refused(orders("hidden"))


def test_a_reference_to_a_table_that_is_curated_by_day_is_refused(module: Callable[[str], str]) -> None:
    assert "returns.order_id refers to orders.order_id, which is curated by day" in refused(module(BY_DAY))
