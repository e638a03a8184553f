"""`gata ingest`: raw files of a tenant, landed as they are and validated."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from gata_assets.cli.raw_files.outcomes import FileOutcome, followed, open_curator, show_outcomes
from gata_assets.cli.terminal import text_console
from gata_assets.curation.files.formats import FORMATS, FileFormat, is_raw_name, parse_format
from gata_assets.curation.landing import Landing
from gata_assets.errors import RawFileError
from gata_assets.settings.model import Settings

STDIN = "-"


@dataclass(frozen=True)
class _Given:
    """A file that was asked for: what it is called, where it is, and its format where the name does not say it."""

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
    """Land and validate files, show each, and say whether all rows could be read.

    `files` may name directories, of which all files with a known ending are taken, and `-` for stdin. Raises
    RawFileError where there is nothing to take or a format is not known; DataRuleError for a file that cannot be
    replaced, before anything lands.
    """
    known = _require_format(file_format) if file_format else None
    with TemporaryDirectory(prefix="gata-") as scratch, followed() as display:
        given = list(_files(files, known, Path(scratch)))
        if not given:
            raise RawFileError(f"no file in {', '.join(files)} ends as a raw file does (.csv, .jsonl, .parquet …).")
        if replaces and len(given) > 1:
            raise RawFileError(f"--replaces goes with one file, and {files[0]} has {len(given):,}.")
        curator = open_curator(settings, tenant)
        _require_table(table, curator.tables)
        # What rows refer to, and landed before, is to be known.
        curator.refresh_referenced(curator.referenced(table))
        landing = Landing(curator)
        outcomes = []
        for one in given:
            display.begin(one.name)
            outcomes.append(ingest_file(landing, table, one, replaces, display.show))
            show_outcomes(outcomes[-1:], as_table=as_table)
        curator.refresh_referenced([table])
    return not any(outcome.is_refused for outcome in outcomes)


def ingest_file(
    landing: Landing, table: str, file: _Given, replaces: Sequence[str], progress: Callable[[int], None]
) -> FileOutcome:
    """Land one file, and say what became of it, or of the same content when it came before."""
    started = perf_counter()
    try:
        file_format = file.format or _format_by_name(file.path.name)
        landed = landing.land(table, file.path.name, file.path, file_format, replaces=replaces, progress=progress)
    except RawFileError as error:
        return FileOutcome(file.name, refused=str(error), seconds=perf_counter() - started)
    return FileOutcome(
        file.name,
        landed.report,
        was_there=landed.was_there,
        replaced_by=landed.replaced_by,
        seconds=perf_counter() - started,
    )


def _require_table(table: str, known: Iterable[str]) -> None:
    if table not in known:
        raise RawFileError(f"{table} is no table: there are {', '.join(sorted(known))}.")


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
            found = sorted(one for one in path.rglob("*") if one.is_file() and is_raw_name(one.name))
            taken = [one for one in found if _has_known_format(one.name)]
            if len(taken) < len(found):
                left = (
                    f"{name}: {len(found) - len(taken):,} of {len(found):,} files are left alone, since their names do"
                )
                text_console(stderr=True).print(f"{left} not end as a raw file's does.", markup=False)
            yield from (_Given(str(one), one) for one in taken)
        else:
            yield _Given(name, path, known)


def _require_format(end: str) -> FileFormat:
    try:
        return parse_format(end)
    except RawFileError:
        raise RawFileError(f"--format {end} is none: {FORMATS}.") from None


def _format_by_name(name: str) -> FileFormat:
    try:
        return parse_format(name)
    except RawFileError as error:
        raise RawFileError(f"{error} Name it so, or say what it is with --format.") from None


def _has_known_format(name: str) -> bool:
    try:
        parse_format(name)
    except RawFileError:
        return False
    return True
