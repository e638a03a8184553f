"""Pages of the documentation as data: their fenced blocks, and the marks that say how a test runs them.

A mark is an HTML comment directly above a block; readers do not see it (CONTRIBUTING.md has the list):

    <!-- test: skip: needs Docker -->              the block is not run, for this reason
    <!-- test: exit 2 -->                          its last command ends with this code instead of 0
    <!-- test: run gata sample-data --days 93 -->  these commands are run in place of the block's (one a line)
    <!-- test: file items.csv -->                  the block is a file, written before the next command
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# Generated pages have no commands to run; every other page for readers is here.
TUTORIALS = tuple(
    ROOT / name
    for name in (
        "README.md",
        "docs/first-batch.md",
        "docs/own-tickets.md",
        "docs/own-interactions.md",
        "docs/bring-your-export.md",
        "docs/own-tables.md",
        "docs/backfills.md",
        "docs/automation.md",
    )
)
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)$")
_MARK = re.compile(r"<!-- test: (?P<mark>.+?) -->", flags=re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its page and line, its language, the mark above it, and its text."""

    page: Path
    line: int
    language: str
    mark: str
    text: str

    @property
    def place(self) -> str:
        """Page and line, for messages."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A command of a console block and the output shown below it; None where none is shown."""

    place: str
    text: str
    output: str | None


def pages() -> list[Path]:
    """All pages for readers, the generated ones included."""
    own = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
    return [*own, *sorted(DOCS.rglob("*.md")), *sorted((ROOT / "deploy").rglob("*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    """The page's fenced blocks in order."""
    lines = page.read_text().splitlines()
    number = 0
    while number < len(lines):
        if not (fence := _FENCE.match(lines[number])):
            number += 1
            continue
        start, indent = number, len(fence["indent"])
        number += 1
        while lines[number].strip() != "```":
            number += 1
        text = "\n".join(line[indent:] for line in lines[start + 1 : number])
        yield Block(page, start + 1, fence["language"], _mark_above(lines, start), text)
        number += 1


def commands(block: Block) -> list[Command]:
    """The commands of a console block: `$ ` begins one, a backslash continues it, the lines below are its output."""
    found: list[Command] = []
    lines = iter(block.text.splitlines())
    for line in lines:
        if line.startswith("$ "):
            text = line[2:]
            while text.endswith("\\"):
                text = text[:-1] + next(lines).strip()
            found.append(Command(block.place, text, None))
        else:
            last = found[-1]
            shown = line if last.output is None else f"{last.output}\n{line}"
            found[-1] = Command(last.place, last.text, shown)
    return found


def matches(shown: str, output: str) -> bool:
    """Whether an output is what a page shows, whatever the widths of columns.

    `…` on a line of its own is any lines, elsewhere any characters of a line.
    """
    pattern = ""
    for line in map(_narrowed, shown.splitlines()):
        pattern += r"(?:.*\n)*?" if line.strip() == "…" else ".*".join(map(re.escape, line.split("…"))) + r"\n"
    return re.fullmatch(pattern, "".join(f"{_narrowed(line)}\n" for line in output.splitlines())) is not None


def _narrowed(line: str) -> str:
    return re.sub(r"([ ─━])\1+", r"\1", line.rstrip())


def _mark_above(lines: list[str], start: int) -> str:
    above = ""
    for number in range(start - 1, max(start - 12, -1), -1):
        if not lines[number].strip() and not above:
            return ""
        above = f"{lines[number].strip()}\n{above}"
        if "<!--" in lines[number]:
            mark = _MARK.search(above)
            return mark["mark"] if mark else ""
        if "-->" not in above:
            return ""
    return ""
