"""`gata ingest`: lands raw files of a tenant unchanged and validates them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from gata_assets.cli.raw_files.outcomes import FileOutcome, followed, open_curator
from gata_assets.cli.terminal import text_console
from gata_assets.curation.files.formats import FORMATS, FileFormat, is_raw_name, parse_format
from gata_assets.curation.landing import Landing
from gata_assets.errors import RawFileError
from gata_assets.settings.model import Settings
from gata_assets.storage.scratch import scratch_directory

STDIN = "-"


@dataclass(frozen=True)
class _Given:
    """A requested file: its name, its path, and its format if the name does not imply it."""

    name: str
    path: Path
    format: FileFormat | None = None


def run(
    settings: Settings,
    table: str,
    files: Sequence[str],
    *,
    tenant: str,
    file_format: str | None,
    replaces: Sequence[str],
    as_table: bool,
) -> bool:
    """Land and validate files, show each, and return whether all rows could be read.

    `files` may name directories, whose files with a known suffix are landed, and `-` for stdin. Raises
    RawFileError if no file is found or a format is unknown; DataRuleError for a file that cannot be
    replaced, before anything lands.
    """
    known = _find_format(file_format) if file_format else None
    if file_format and known is None:
        raise RawFileError(f"--format {file_format} is none: {FORMATS}.")
    with scratch_directory() as scratch:
        given = list(_files(files, known, scratch))
        if not given:
            raise RawFileError(f"no file in {', '.join(files)} ends as a raw file does (.csv, .jsonl, .parquet …).")
        if replaces and len(given) > 1:
            raise RawFileError(f"--replaces goes with one file, and {files[0]} has {len(given):,}.")
        curator = open_curator(settings, tenant)
        if table not in curator.tables:
            raise RawFileError(f"{table} is no table: there are {', '.join(sorted(curator.tables))}.")
        # Referenced tables must contain the rows that landed before.
        curator.refresh_referenced(curator.referenced(table))
        landing = Landing(curator)
        outcomes = []
        for file in given:
            outcomes.append(_ingest(landing, table, file, replaces))
            outcomes[-1].show(as_table=as_table)
        curator.refresh_referenced([table])
    return not any(outcome.is_refused for outcome in outcomes)


def _ingest(landing: Landing, table: str, file: _Given, replaces: Sequence[str]) -> FileOutcome:
    """Land a file, and return its outcome, or that of the same content if it is known."""
    started = perf_counter()
    try:
        file_format = file.format or parse_format(file.path.name)
        with followed(file.name) as show:
            landed = landing.land(table, file.path.name, file.path, file_format, replaces=replaces, progress=show)
    except RawFileError as error:
        has_format = file.format or _find_format(file.path.name)
        reason = str(error) if has_format else f"{error} Name it so, or say what it is with --format."
        return FileOutcome(file.name, refused=reason, seconds=perf_counter() - started)
    return FileOutcome(file.name, **vars(landed), seconds=perf_counter() - started)


def _files(names: Sequence[str], known: FileFormat | None, scratch: Path) -> Iterator[_Given]:
    for name in names:
        path = Path(name)
        if name == STDIN:
            if known is None:
                raise RawFileError("what comes from stdin has no name: --format says what it is, csv or jsonl.gz.")
            path = scratch / f"stdin.{known}"
            with path.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
            yield _Given("stdin", path, known)
        elif path.is_dir():
            found = sorted(child for child in path.rglob("*") if child.is_file() and is_raw_name(child.name))
            taken = [child for child in found if _find_format(child.name)]
            if left := len(found) - len(taken):
                warning = f"{name}: {left:,} of {len(found):,} files are left alone, since their names do not end as a "
                text_console(stderr=True).print(f"{warning}raw file's does.", markup=False)
            yield from (_Given(str(child), child) for child in taken)
        else:
            yield _Given(name, path, known)


def _find_format(name: str) -> FileFormat | None:
    try:
        return parse_format(name)
    except RawFileError:
        return None
