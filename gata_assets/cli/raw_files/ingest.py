"""`gata ingest`: lands raw files of a tenant unchanged and validates them."""

from __future__ import annotations

import os
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import BinaryIO

from gata_assets.cli.raw_files.mapping_options import MappingOptions
from gata_assets.cli.raw_files.mappings import choose
from gata_assets.cli.raw_files.outcomes import FileOutcome, followed, open_curator
from gata_assets.cli.terminal import text_console
from gata_assets.curation.files.formats import FORMATS, FileFormat, is_hidden, parse_format, printable
from gata_assets.curation.landing import Landing
from gata_assets.curation.mappings.mapping_store import MappingChoice
from gata_assets.errors import RawFileError
from gata_assets.settings.model import Settings

STDIN = "-"
_LINKS = "links to folders, which are not followed"
_HIDDEN = "hidden (in a folder or with a name that begins with . or _)"


@dataclass(frozen=True)
class GivenFile:
    """A requested file: its name, what it is read from, and its format if the name does not imply it."""

    name: str
    source: Path | BinaryIO
    format: FileFormat | None = None

    @property
    def own_name(self) -> str:
        """Its name without folders."""
        return self.source.name if isinstance(self.source, Path) else self.name


def run(
    settings: Settings,
    table: str,
    files: Sequence[str],
    *,
    tenant: str,
    file_format: str | None,
    replaces: Sequence[str],
    options: MappingOptions,
    as_table: bool,
) -> bool:
    """Land and validate files, show each, and return whether all could be read and have a valid row, if any.

    `files` may name directories, whose files with a known suffix are landed, and `-` for stdin. Raises
    RawFileError if no file is found or a format is unknown; DataRuleError for a file that cannot be
    replaced, before anything lands.
    """
    known = find_format_of(file_format, MappingChoice()) if file_format else None
    if file_format and known is None:
        raise RawFileError(f"--format {file_format} is none: {FORMATS}.")
    curator = open_curator(settings, tenant)
    if table == "tickets" and table not in curator.tables:
        raise RawFileError("tickets have no tenant: leave out --tenant.")
    if table not in curator.tables:
        raise RawFileError(f"{table} is no table: there are {', '.join(sorted(curator.tables))}.")
    chosen = choose(curator, table, options)

    def mapping_of(name: str) -> MappingChoice:
        return chosen or curator.mappings.choose(table, name)

    given = list(find_files(files, known, lambda name: find_format_of(name, mapping_of(name))))
    if not given:
        named = ", ".join(map(printable, files))
        raise RawFileError(f"no file in {named} ends as a raw file does (.csv, .jsonl, .parquet …).")
    if replaces and len(given) > 1:
        raise RawFileError(f"--replaces goes with one file, and {printable(files[0])} has {len(given):,}.")
    # Referenced tables must contain the rows that landed before.
    curator.refresh_referenced(curator.referenced(table))
    landing = Landing(curator)
    outcomes = []
    for file in given:
        form = file.format or find_format_of(file.own_name, mapping_of(file.own_name))
        outcomes.append(_ingest(landing, table, replace(file, format=form), replaces, chosen))
        outcomes[-1].show(as_table=as_table)
    curator.refresh_referenced([table])
    return not any(outcome.has_failed for outcome in outcomes)


def _ingest(
    landing: Landing, table: str, file: GivenFile, replaces: Sequence[str], mapping: MappingChoice | None
) -> FileOutcome:
    """Land a file, and return its outcome, or that of the same content if it is known."""
    started = perf_counter()
    name = printable(file.name)
    try:
        file_format = file.format or parse_format(file.own_name)
        with followed(name) as show:
            landed = landing.land(
                table, file.own_name, file.source, file_format, replaces=replaces, progress=show, mapping=mapping
            )
    except RawFileError as error:
        reason = str(error) if file.format else f"{error} Name it so, or say what it is with --format."
        return FileOutcome(name, refused=reason, seconds=perf_counter() - started)
    return FileOutcome(name, **vars(landed), seconds=perf_counter() - started)


def find_files(
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
            taken, left = _look_into(path, find_format)
            if left:
                reasons = ", ".join(f"{files:,} {reason}" for reason, files in sorted(left.items()))
                found = f"{left.total():,} of {left.total() + len(taken):,} files are left alone: {reasons}."
                text_console(stderr=True).print(f"{printable(name)}: {found}", markup=False)
            yield from (GivenFile(str(child), child) for child in taken)
        else:
            yield GivenFile(name, path, known)


def _look_into(directory: Path, find_format: Callable[[str], FileFormat | None]) -> tuple[list[Path], Counter[str]]:
    """The raw files below a directory, in order, and how many others there are for which reason."""
    taken: list[Path] = []
    left: Counter[str] = Counter()

    def handle(error: OSError) -> None:
        if not isinstance(error, PermissionError) or not is_hidden(
            Path(error.filename).relative_to(directory).as_posix()
        ):
            raise RawFileError(f"{printable(str(error.filename))} cannot be listed: {error.strerror}.")
        left[_HIDDEN] += 1

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
    return sorted(taken), left


def _is_odd(path: Path) -> bool:
    """Whether a name is known to be no regular file; reading one that may not be looked at says why."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except PermissionError:
        return False
    except OSError:
        return True


def find_format_of(name: str, choice: MappingChoice) -> FileFormat | None:
    """The format that a name tells, with the endings of a mapping; None if it tells none."""
    try:
        return parse_format(name, choice.mapping.endings)
    except RawFileError:
        return None
