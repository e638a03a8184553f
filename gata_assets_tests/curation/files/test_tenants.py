"""Which tenants a store has, by the names of its folders and their raw files.

Real: a directory, and S3 over HTTP on loopback. Faked: folders that may not be listed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gata_assets.curation.files.tenants import find_tenants
from gata_assets.errors import StoreError
from gata_assets.settings.model import parse_settings
from gata_assets.settings.tenants import tenants_prepared
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ObjectStore


class ObservedStore(LocalStore):
    """A directory that notes what is listed, and may refuse it."""

    def __init__(self, directory: str, *, closed: str | None = None) -> None:
        super().__init__(directory)
        self.listed: list[str] = []
        self.closed = closed

    def list_folders(self, prefix: str) -> Iterator[str]:
        """Note, then list."""
        self._note(prefix)
        return super().list_folders(prefix)

    def list_delivered(self, prefix: str) -> Iterator[str]:
        """Note, then list."""
        self._note(prefix)
        return super().list_delivered(prefix)

    def _note(self, prefix: str) -> None:
        self.listed.append(prefix)
        if prefix == self.closed:
            raise StoreError(f"{prefix} may not be listed.")


def fill(store: ObjectStore, *keys: str) -> None:
    for key in keys:
        store.write(key, b"x")


def test_tenants_are_the_folders_with_a_raw_file(any_store: ObjectStore) -> None:
    assert find_tenants(any_store) == []
    fill(any_store, "training/raw/items/a.csv", "none/raw/items/a.csv", "Acme/raw/items/a.csv", "logs-of/raw/items/a")
    fill(any_store, "only_reports/reports/items/a.json", "hidden/raw/items/_SUCCESS", "hidden/raw/items/.tmp/a.csv")
    fill(any_store, "loose/raw/readme.txt", "file.txt", "raw/items/a.csv", "acme2/raw.csv")
    assert find_tenants(any_store) == []
    fill(any_store, "globex/raw/shops/2026-01-01/a.csv", "acme/raw/items/a.csv", "acme/raw/items/.b.csv")
    assert find_tenants(any_store) == ["acme", "globex"]
    assert find_tenants(any_store, besides={"acme"}) == ["globex"]


def test_only_folders_that_may_be_tenants_are_looked_into(tmp_path: Path) -> None:
    store = ObservedStore(str(tmp_path))
    fill(store, "acme/raw/items/a.csv", "training/raw/x", "intermediate/x", "Other/x", "known/raw/items/a.csv")
    assert find_tenants(store, besides={"known"}) == ["acme"]
    assert store.listed == ["", "acme/raw/"]


def test_links_to_folders_are_followed_and_links_to_nothing_are_not(tmp_path: Path) -> None:
    fill(LocalStore(str(tmp_path / "elsewhere")), "raw/items/a.csv")
    (tmp_path / "store").mkdir()
    (tmp_path / "store/acme").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "store/gone").symlink_to(tmp_path / "nothing")
    (tmp_path / "store/loop").symlink_to(tmp_path / "store/loop")
    assert find_tenants(LocalStore(str(tmp_path / "store"))) == ["acme"]


@pytest.mark.parametrize("closed", ["", "acme/raw/"])
def test_a_listing_that_fails_is_an_error_and_never_no_tenant(closed: str, tmp_path: Path) -> None:
    store = ObservedStore(str(tmp_path), closed=closed)
    fill(store, "acme/raw/items/a.csv", "globex/raw/items/a.csv")
    with pytest.raises(StoreError, match=r"may not be listed.*TENANTS is unset"):
        tenants_prepared(parse_settings({}), store)
    for named, tenants in (("acme,globex", ("acme", "globex")), ("none", ())):
        assert tenants_prepared(parse_settings({"TENANTS": named}), store) == tenants
    store.closed = None
    assert tenants_prepared(parse_settings({}), store) == ("acme", "globex")


def test_a_directory_or_folder_that_may_not_be_listed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(str(tmp_path))
    fill(store, "acme/raw/items/a.csv")

    def deny(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    # Root, as whom containers run tests, may read all.
    monkeypatch.setattr(os, "scandir", deny)
    with pytest.raises(StoreError, match="cannot be listed: Permission denied"):
        find_tenants(store)


def test_a_folder_of_a_table_that_may_not_be_listed_may_have_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, real = LocalStore(str(tmp_path)), os.scandir
    fill(store, "acme/raw/items/closed/a.csv", "globex/raw/.closed/a.csv")

    def deny(path: object) -> object:
        if "closed" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", deny)
    assert find_tenants(store) == ["acme"]
