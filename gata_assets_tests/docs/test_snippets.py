"""The snippets of docs/using-the-data.md, run in order on the result of the first batch, and what they print.

Real: the libraries and the files; a process of its own, because `datasets` reads its settings when it is imported.
"""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from gata_assets_tests.docs.pages import DOCS, blocks, matches

PAGE = DOCS / "using-the-data.md"
_MARK = "---- end of a snippet ----"


def test_every_snippet_prints_what_its_page_shows(first_batch: Path, tmp_path: Path) -> None:
    found = [block for block in blocks(PAGE) if block.language in ("python", "text")]
    snippets = [block for block in found if block.language == "python"]
    script = f"\nprint({_MARK!r})\n".join(block.text for block in snippets)
    offline = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=first_batch,
        env={**os.environ, **offline},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    printed = dict(zip([block.line for block in snippets], ran.stdout.split(f"{_MARK}\n"), strict=True))
    for snippet, shown in pairwise(found):
        if snippet.language == "python" and shown.language == "text":
            assert matches(shown.text, printed[snippet.line]), f"{snippet.place} prints:\n{printed[snippet.line]}"


def test_every_snippet_but_definitions_shows_what_it_prints() -> None:
    found = list(blocks(PAGE))
    for snippet, after in zip(found, [*found[1:], None], strict=True):
        if snippet.language == "python":
            assert after is not None and after.language == "text", snippet.place


pytestmark = [pytest.mark.process, pytest.mark.filterwarnings("default")]
