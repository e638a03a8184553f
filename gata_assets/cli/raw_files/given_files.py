"""The files that `gata ingest` is given: named ones, those in directories, stdin; and how each is written."""

from __future__ import annotations

import os
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from gata_assets.cli.terminal import text_console
from gata_assets.curation.files.formats import FORMATS, FileFormat, is_hidden, parse_format, printable
from gata_assets.curation.mappings.mapping_store import MappingChoice
from gata_assets.errors import RawFileError

STDIN = "-"
_LINKS = "links to folders, which are not followed"
_HIDDEN = "hidden (in a folder or with a name that begins with . or _)"


@dataclass(frozen=True)
class GivenFile:
    """A requested file: its name, what it is read from, and its format if the name does not imply it.

    `refused` says why the files below a folder are not known. It is the `number`th `of` so many.
    """

    name: str
    source: Path | BinaryIO
    format: FileFormat | None = None
    refused: str | None = None
    number: int = 1
    of: int = 1

    @property
    def own_name(self) -> str:
        """Its name without folders."""
        return self.source.name if isinstance(self.source, Path) else self.name


def find_files(
    names: Sequence[str], file_format: str | None, mapping_of: Callable[[str], MappingChoice]
) -> list[GivenFile]:
    """The files that are named and those in directories whose name tells their format, with it where it is known.

    Args:
        names: Files, directories, and `-` for stdin.
        file_format: The format of those whose name does not tell it.
        mapping_of: What a file of that name is read by.

    Raises:
        RawFileError: No file is found, or the format is unknown.
    """
    known = _find_format(file_format, MappingChoice()) if file_format else None
    if file_format and known is None:
        raise RawFileError(f"--format {file_format} is none: {FORMATS}.")
    given = list(_find_all(names, known, lambda name: _find_format(name, mapping_of(name))))
    if not given:
        named = ", ".join(map(printable, names))
        raise RawFileError(f"no file in {named} ends as a raw file does (.csv, .jsonl, .parquet …).")
    return [
        replace(
            file,
            format=file.format or _find_format(file.own_name, mapping_of(file.own_name)),
            number=number,
            of=len(given),
        )
        for number, file in enumerate(given, 1)
    ]


def _find_all(
    names: Sequence[str], known: FileFormat | None, find_format: Callable[[str], FileFormat | None]
) -> Iterator[GivenFile]:
    """The files that are named, and those in directories whose name tells their format; raises RawFileError."""
    for name in names:
        path = Path(name)
        if name == STDIN:
            if known is None:
                raise RawFileError("what comes from stdin has no name: --format says what it is, csv or jsonl.gz.")
            yield GivenFile("stdin", sys.stdin.buffer, known)
        elif os.path.isdir(name):  # noqa: PTH112 (Path.is_dir raises for what may not be looked at, or is too long)
            taken, left, closed = _look_into(path, find_format)
            if left:
                reasons = ", ".join(f"{files:,} {reason}" for reason, files in sorted(left.items()))
                found = f"{left.total():,} of {left.total() + len(taken):,} files are left alone: {reasons}."
                text_console(stderr=True).print(f"{printable(name)}: {found}", markup=False)
            yield from (GivenFile(str(child), child) for child in taken)
            yield from (GivenFile(str(folder), folder, refused=reason) for folder, reason in sorted(closed.items()))
        else:
            yield GivenFile(name, path, known)


def _look_into(
    directory: Path, find_format: Callable[[str], FileFormat | None]
) -> tuple[list[Path], Counter[str], dict[Path, str]]:
    """The raw files below a directory, in order; how many others there are for which reason; and the folders that
    cannot be listed, each with the reason.
    """
    taken: list[Path] = []
    left: Counter[str] = Counter()
    closed: dict[Path, str] = {}

    def handle(error: OSError) -> None:
        folder = Path(error.filename)
        below = folder.relative_to(directory).parts
        if isinstance(error, PermissionError) and below and is_hidden("/".join(below)):
            left[_HIDDEN] += 1
        else:
            closed[folder] = f"cannot be listed: {error.strerror}."

    for place, folders, names in os.walk(directory, onerror=handle):
        # Path.is_symlink raises for what may not be looked at.
        links = [Path(place, name) for name in folders if os.path.islink(f"{place}/{name}")]  # noqa: PTH114
        for link in links:
            left[_HIDDEN if is_hidden(link.relative_to(directory).as_posix()) else _LINKS] += 1
        for child in (Path(place, name) for name in names):
            if is_hidden(child.relative_to(directory).as_posix()):
                left[_HIDDEN] += 1
            elif _is_odd(child):
                left["not regular files (a link to nothing, a FIFO or a socket)"] += 1
            elif not find_format(child.name):
                left["with a name that does not end as a raw file's does"] += 1
            else:
                taken.append(child)
    return sorted(taken), left, closed


def _is_odd(path: Path) -> bool:
    """Whether a name is known to be no regular file; reading one that may not be looked at says why."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except PermissionError:
        return False
    except OSError:
        return True


def _find_format(name: str, choice: MappingChoice) -> FileFormat | None:
    """The format that a name tells, with the endings of a mapping; None if it tells none."""
    try:
        return parse_format(name, choice.mapping.endings)
    except RawFileError:
        return None
