"""The site is built without a warning, and loads nothing from elsewhere. Real: MkDocs, its theme, all pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

from gata_assets_tests.docs.pages import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
# What a browser loads by itself; a link is followed by people.
_LOADED = re.compile(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"(?P<src>[^\"]+)\"|<link\b(?P<link>[^>]*)>")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("site")
    # A warning ends the build: a link without a target, a page that is in no menu.
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(directory)))
    return directory


def test_the_site_begins_with_the_readme(site: Path) -> None:
    page = (site / "index.html").read_text()
    assert "21040001" in page
    assert 'href="first-batch.html"' in page


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    loaded = set()
    for page in site.rglob("*.html"):
        for found in _LOADED.finditer(page.read_text()):
            link = found["link"] or ""
            href = re.search(r"href=\"([^\"]+)\"", link) if "canonical" not in link else None
            loaded |= {found["src"]} if found["src"] else {href[1]} if href else set()
    assert loaded
    assert {name for name in loaded if "//" in name} == set()
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    assert re.findall(r"url\(\"?(?:https?:)?//", styles) == []
