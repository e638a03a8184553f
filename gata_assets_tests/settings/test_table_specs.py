"""TABLE_SPECS: modules of users in, pandera models out.

Real: modules that are written to a directory on the path, and their import. Nothing is faked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from gata_assets.definitions.table_specs import load_table_specs
from gata_assets.errors import SettingsError

MODELS = """
import pandera.polars as pa

class Orders(pa.DataFrameModel):
    order_id: str

class _Base(pa.DataFrameModel):
    at: int

class Returns(_Base):
    order_id: str
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


def test_the_models_of_all_modules_are_loaded_in_their_order(module: Callable[[str], str]) -> None:
    first = module(MODELS)
    second = module(f"from {first} import Orders\nclass Stock(Orders):\n    shelf: int\n")
    assert [model.__name__ for model in load_table_specs([first, second])] == ["Orders", "Returns", "Stock"]
    assert load_table_specs(None) == []


def test_a_module_that_cannot_be_imported_is_named_with_the_reason(module: Callable[[str], str]) -> None:
    with pytest.raises(SettingsError, match=r"TABLE_SPECS: the module nowhere\.at_all cannot be imported: No module"):
        load_table_specs(["nowhere.at_all"])
    broken = module("raise ValueError('a secret value')")
    with pytest.raises(SettingsError, match=f"the module {broken} cannot be imported: ValueError") as caught:
        load_table_specs([broken])
    assert "a secret value" not in str(caught.value)


def test_a_module_without_a_model_is_refused(module: Callable[[str], str]) -> None:
    empty = module("import pandera.polars as pa\nfrom pandera.polars import DataFrameModel\n")
    with pytest.raises(SettingsError, match=f"the module {empty} has no pandera model"):
        load_table_specs([empty])
