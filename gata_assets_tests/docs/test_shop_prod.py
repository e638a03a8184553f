"""The snippet of docs/shop-prod.md on the tables of a small shop, and its list of tables. Real: files and DuckDB."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gata_assets.shop.prod.build import build_prod
from gata_assets.shop.prod.source import ProdSettings
from gata_assets.shop.prod.tables import TABLES
from gata_assets.storage.catalog.local_file import FileCatalog
from gata_assets.storage.local import LocalStore
from gata_assets_tests.docs.pages import DOCS, blocks, matches
from gata_assets_tests.shop.prod.shops import NOW
from gata_assets_tests.support.shop_worlds import small_world

PAGE = DOCS / "shop-prod.md"


def test_the_snippet_prints_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = LocalStore(str(tmp_path / "gata-data"))
    catalog = FileCatalog(store, "shop/prod/catalog.json")
    build_prod(small_world(3), store, catalog, "shop/prod/ecommerce/", ProdSettings("ecommerce"), now=NOW)
    monkeypatch.chdir(tmp_path)
    [snippet] = [block for block in blocks(PAGE) if block.language == "python"]
    [_, shown] = [block for block in blocks(PAGE) if block.language == "text"]
    exec(compile(snippet.text, snippet.place, "exec"), {})  # noqa: S102 (the page's own snippet)
    printed = capsys.readouterr().out
    assert matches(shown.text, printed), printed


def test_the_page_lists_every_table_with_its_partitions() -> None:
    listed = dict(re.findall(r"^\| `(\w+)` \| .* \| (.+?) \| .* \|$", PAGE.read_text(), re.MULTILINE))
    assert listed == {
        table.name: ", ".join(f"`{key.name}`" for key in table.partition_keys) or "none" for table in TABLES
    }
