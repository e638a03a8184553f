"""`gata ingest`: raw files of a tenant, landed as they are and sorted into good and bad rows."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from gata_assets.commands.tenants import FileOutcome, Followed, followed, open_curator, show_outcomes
from gata_assets.core.interaction_places import DataType
from gata_assets.core.raw_files import FileFormat, parse_format
from gata_assets.errors import DataRuleError, RawFileError
from gata_assets.resources.curation import Curator
from gata_assets.settings import Settings

STDIN = "-"


@dataclass(frozen=True)
class _Given:
    """A file that was asked for: what it is called, where it is, and its format where the name does not say it."""

    name: str
    path: Path
    format: FileFormat | None = None


def run(
    settings: Settings,
    data: str,
    files: Sequence[str],
    *,
    tenant: str,
    file_format: str | None,
    replaces: Sequence[str],
    as_table: bool,
) -> bool:
    """Land and sort files, show each, and say whether all rows could be read.

    `files` may name directories, of which all files with a known ending are taken, and `-` for stdin. Raises
    RawFileError where there is nothing to take or a format is not known; DataRuleError for an unknown id to replace.
    """
    kind = DataType(data)
    known = parse_format(file_format) if file_format else None
    with TemporaryDirectory(prefix="gata-") as scratch, followed() as display:
        given = list(_files(files, known, Path(scratch)))
        if not given:
            raise RawFileError(f"no file in {', '.join(files)} ends as a raw file does (.csv, .jsonl, .parquet …).")
        curator = open_curator(settings, tenant)
        for file_id in replaces:
            if curator.report_of(file_id).data is not kind:
                raise DataRuleError(f"{file_id} is no file of {kind}, and cannot be replaced by one.")
        if kind is DataType.INTERACTIONS:
            # Items that came before are to be known.
            curator.refresh_catalogue()
        outcomes = []
        for one in given:
            outcomes.append(ingest_file(curator, kind, one, replaces, display))
            show_outcomes(outcomes[-1:], as_table=as_table)
        if kind is DataType.ITEMS:
            curator.refresh_catalogue()
    return not any(outcome.is_refused for outcome in outcomes)


def ingest_file(
    curator: Curator, data: DataType, file: _Given, replaces: Sequence[str], display: Followed
) -> FileOutcome:
    """Land one file and sort it, or say what became of the same content when it came before."""
    started = perf_counter()
    display.begin(file.name)
    try:
        landed = curator.land(data, file.path.name, file.path, file.format or parse_format(file.path.name))
    except RawFileError as error:
        return FileOutcome(file.name, refused=str(error), seconds=perf_counter() - started)
    if not landed.is_new and landed.raw_key not in curator.unsorted():
        report = curator.put_in_place(curator.report_of(landed.file_id), replaces)
        if data is DataType.ITEMS:
            report = curator.bring_again(report)
        return FileOutcome(file.name, report, was_there=True)
    report = curator.sort(landed.raw_key, replaces=replaces, progress=display.show)
    return FileOutcome(file.name, report, was_there=not landed.is_new, seconds=perf_counter() - started)


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
            found = sorted(one for one in path.rglob("*") if one.is_file() and one.name[0] not in "._")
            yield from (_Given(str(one), one) for one in found if _has_known_format(one.name))
        else:
            yield _Given(name, path, known)


def _has_known_format(name: str) -> bool:
    try:
        parse_format(name)
    except RawFileError:
        return False
    return True
