"""The stores that the contract's tests are run with."""

from __future__ import annotations

from pathlib import Path

import pytest
from dagster_aws.s3 import S3Resource

from gata_assets.shop.stores import ShopStore
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.storage.s3 import S3StoreResource
from gata_assets_tests.support.memory_store import MemoryStore

_LIST_ALL = (
    "test_a_file_that_is_not_there_is_an_error_and_stores_nothing",
    "test_keys_below_a_prefix_are_listed_in_order_and_no_others",
    "test_folders_with_a_key_below_are_listed_by_name",
)


@pytest.fixture(params=["local", "memory", "shop", pytest.param("s3", marks=pytest.mark.server)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """Each kind of store in turn, empty; that of a shop has the keys that are tried in a directory of their own."""
    if request.param == "memory":
        return MemoryStore()
    if request.param == "shop":
        target, mounted = (LocalStore(str(tmp_path / name)) for name in ("target dir", "mounted dir"))
        # What is in several places is not listed at once.
        is_listed = request.node.originalname in _LIST_ALL
        return ShopStore(target, {} if is_listed else {"training/": mounted})
    if request.param == "local":
        return LocalStoreResource(directory=str(tmp_path / "target dir"))
    return S3StoreResource(bucket=request.getfixturevalue("bucket"), s3=S3Resource())
