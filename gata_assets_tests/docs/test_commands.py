"""Every command of the README and the tutorials, run as its page shows it.

Real: the pages, `gata` in this process, files in a temporary directory. Nothing is faked; sizes differ only where a
mark in the page says so.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gata_assets_tests.docs.conftest import run_page
from gata_assets_tests.docs.pages import DOCS, TUTORIALS, Block, blocks, commands, matches

FIRST_BATCH = DOCS / "first-batch.md"
# Pages that begin with what the tutorial of the first batch leaves; the others begin in an empty directory.
CONTINUED = ("README.md", "backfills.md", "automation.md")


@pytest.mark.process
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.name)
def test_every_command_does_what_its_page_shows(page: Path, first_batch: Path, tmp_path: Path) -> None:
    if page == FIRST_BATCH:
        return
    directory = tmp_path / "place"
    if page.name in CONTINUED:
        shutil.copytree(first_batch, directory)
    else:
        directory.mkdir()
    run_page(page, directory)


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.name)
def test_a_block_of_commands_says_that_it_is_one(page: Path) -> None:
    for block in blocks(page):
        assert block.language, f"{block.place} names no language"
        assert block.language not in ("sh", "bash", "shell"), f"{block.place}: a block of commands is `console`"
        if block.language == "console":
            assert block.text.startswith("$ "), block.place


def test_a_block_that_is_not_run_gives_its_reason() -> None:
    for page in TUTORIALS:
        for block in blocks(page):
            if block.mark.startswith("skip"):
                assert len(block.mark) > len("skip: needs"), block.place


def test_an_output_matches_with_any_lines_and_characters_left_out() -> None:
    assert matches("a\n…\nd", "a\nb\nc\nd\n")
    assert matches("a\n…\nd", "a\nd")
    assert matches("took … s", "took 1.5 s   \n")
    assert not matches("a\nd", "a\nb\nd")
    assert not matches("took … s", "took 1.5 min")
    assert not matches("1.5", "1x5")


def test_commands_and_outputs_of_a_block_are_distinguished() -> None:
    block = Block(FIRST_BATCH, 1, "console", "", "$ export A=b\n$ gata x \\\n    --plan\none\ntwo\n$ ls")
    assert [(command.text, command.output) for command in commands(block)] == [
        ("export A=b", None),
        ("gata x --plan", "one\ntwo"),
        ("ls", None),
    ]
