"""The catalog in a file: conflicts, damage, other releases. Real: files. Faked: a writer that is always faster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gata_assets.errors import ConflictError, StoreError
from gata_assets.storage.catalog.local_file import FileCatalog
from gata_assets.storage.objects import Version
from gata_assets.storage.resource import LocalStoreResource
from gata_assets_tests.storage.catalog.conftest import table_of

KEY = "shop/catalog.json"


class StoreOfAnother(LocalStoreResource):
    """A local store in which another command writes before each of so many writes."""

    times: int

    def write(self, key: str, content: bytes, **conditions: Any) -> Version:
        """Write, after the other command."""
        counter = Path(f"{self.directory}.writes")
        writes = len(counter.read_bytes()) if counter.exists() else 0
        counter.write_bytes(b"x" * (writes + 1))
        if writes < self.times:
            super().write(key, b'{"catalog_version": 1, "tables": {}}\n')
        return super().write(key, content, **conditions)


@pytest.mark.parametrize("times", [3, 20])
def test_a_change_is_repeated_as_often_as_others_come_first_up_to_a_limit(tmp_path: Path, times: int) -> None:
    catalog = FileCatalog(StoreOfAnother(directory=str(tmp_path / "target"), times=times), KEY)
    if times < 20:
        catalog.ensure_table(table_of("shop"))
        catalog.swap(table_of("shop"), ("2026", "01"), "/place/", {})
        assert list(catalog.partitions(table_of("shop"))) == [("2026", "01")]
    else:
        with pytest.raises(ConflictError, match="at each of 20 attempts"):
            catalog.ensure_table(table_of("shop"))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{", "is no catalog"), (b"[]", "is no catalog"), (b'{"catalog_version": 2, "tables": {}}', "another release")],
)
def test_a_file_that_is_no_catalog_is_not_overwritten(tmp_path: Path, content: bytes, message: str) -> None:
    store = LocalStoreResource(directory=str(tmp_path))
    store.write(KEY, content)
    with pytest.raises(StoreError, match=message):
        FileCatalog(store, KEY).ensure_table(table_of("shop"))
    assert store.read(KEY) == content


def test_what_does_not_change_is_not_written(tmp_path: Path) -> None:
    store = LocalStoreResource(directory=str(tmp_path))
    catalog = FileCatalog(store, KEY)
    catalog.ensure_table(table_of("shop"))
    version = store.version(KEY)
    catalog.ensure_table(table_of("shop"))
    catalog.remove_partition(table_of("shop"), ("2026", "01"))
    assert store.version(KEY) == version
