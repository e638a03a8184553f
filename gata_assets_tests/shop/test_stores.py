"""The shop's places as one store: which keys are whose, and what is refused.

Real: the store of a shop, and directories. The contract of stores is held in `storage/test_objects`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gata_assets.errors import StoreError
from gata_assets.shop.places import CURATED, PROD, RAW
from gata_assets.shop.stores import ShopStore
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import Guard


@pytest.fixture
def stores(tmp_path: Path) -> dict[str, LocalStore]:
    return {name: LocalStore(str(tmp_path / name.replace("/", "-"))) for name in ("target", RAW, CURATED, PROD)}


@pytest.fixture
def shop(stores: dict[str, LocalStore]) -> ShopStore:
    return ShopStore(stores["target"], {prefix: stores[prefix] for prefix in (RAW, CURATED, PROD)})


def test_keys_of_a_mounted_prefix_are_in_its_store_without_the_prefix(
    shop: ShopStore, stores: dict[str, LocalStore]
) -> None:
    for number, prefix in enumerate((RAW, CURATED, PROD)):
        shop.write(f"{prefix}store/a.json", b"%d" % number)
        assert list(stores[prefix].list_keys("")) == ["store/a.json"]
        assert shop.read(f"{prefix}store/a.json") == b"%d" % number
        assert list(shop.list_keys(f"{prefix}store/")) == [f"{prefix}store/a.json"]
        assert list(shop.list_folders(prefix)) == ["store"]
        assert shop.uri(f"{prefix}store/a.json") == stores[prefix].uri("store/a.json")
    shop.write("tickets/a.json", b"x")
    assert list(stores["target"].list_keys("")) == ["tickets/a.json"]
    assert [list(shop.list_folders(folder)) for folder in ("", "shop/")] == [
        ["shop", "tickets"],
        ["curated", "prod", "raw"],
    ]
    shop.delete(f"{RAW}store/a.json")
    assert list(stores[RAW].list_keys("")) == []


@pytest.mark.parametrize("prefix", ["", "shop/", "shop/ra"])
def test_what_is_in_several_places_is_not_listed_at_once(shop: ShopStore, prefix: str) -> None:
    with pytest.raises(StoreError, match="is in several buckets, and cannot be listed at once"):
        list(shop.list_keys(prefix))


def test_a_guard_is_in_the_same_place(shop: ShopStore) -> None:
    version = shop.write(f"{CURATED}store/guard", b"x")
    shop.write(f"{CURATED}store/a", b"x", guard=Guard(f"{CURATED}store/guard", version))
    with pytest.raises(StoreError, match="are in two buckets: neither guards the other"):
        shop.write(f"{PROD}store/a", b"x", guard=Guard(f"{CURATED}store/guard", version))


def test_without_places_of_their_own_all_keys_are_the_targets(stores: dict[str, LocalStore]) -> None:
    shop = ShopStore(stores["target"], {})
    shop.write(f"{RAW}store/a", b"x")
    assert list(shop.list_keys("")) == [f"{RAW}store/a"] == list(stores["target"].list_keys(""))
