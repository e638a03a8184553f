"""Directories in which pages were run, once a session: the README's, and the tutorial's of the first batch."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gata_assets_tests.docs.pages import DOCS, ROOT, blocks
from gata_assets_tests.docs.workplace import Workplace


def run_page(page: Path, directory: Path) -> None:
    """Run a page's blocks in order, in a directory that has what the README says to copy."""
    workplace = Workplace(directory)
    shutil.copy(ROOT / "example.env", directory)
    for block in blocks(page):
        workplace.run(block)


@pytest.fixture(scope="session")
def first_batch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory as the tutorial of the first batch leaves it."""
    directory = tmp_path_factory.mktemp("first batch")
    run_page(DOCS / "first-batch.md", directory)
    return directory
