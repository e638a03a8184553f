"""Faults while a raw file is read: the machine's fail the run, and only the data's own refuse the file.

Real: limits of this process on open files and on the size of files, and damaged files. Faked: a stream that fails as a
disk does.
"""

from __future__ import annotations

import errno
import io
import os
import resource
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from gata_assets.curation.files.formats import RawFormat, parse_format
from gata_assets.curation.files.open_files import read_validated, require_readable
from gata_assets.curation.readers.faults import attributed_faults
from gata_assets.curation.readers.readers import read_blocks
from gata_assets.errors import RawFileError, StoreError
from gata_assets.interactions.tables import INTERACTIONS, TABLES
from gata_assets.tables.row_rules import RowContext
from gata_assets_tests.support.raw_worlds import ENDINGS, curator_of, encode, interaction, validate_new

SPEC = TABLES[INTERACTIONS]
MANY = [interaction(user_id=f"u{number * 7919 % 100_003}") for number in range(30_000)]
OF_MACHINE = [
    *(OSError(number, os.strerror(number)) for number in (errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EACCES)),
    *(OSError(number, os.strerror(number)) for number in (errno.ESTALE, errno.ENOMEM, errno.EDQUOT, errno.ETIMEDOUT)),
    MemoryError(),
    pa.ArrowMemoryError("malloc of size 64 failed"),
]
OF_DATA = [
    OSError("zlib inflate failed: incorrect data check"),
    pa.ArrowInvalid("x"),
    EOFError(),
    pa.ArrowCapacityError("x"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    pa.ArrowNotImplementedError("x"),
]


class FailingFile(io.BytesIO):
    """A file of which no byte after the first `works` can be read."""

    def __init__(self, content: bytes, error: Exception, works: int) -> None:
        super().__init__(content)
        self._error, self._works = error, works

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0 or self.tell() + size > self._works:
            raise self._error
        return super().read(size)


def named(error: BaseException) -> str:
    return f"{type(error).__name__} {errno.errorcode.get(getattr(error, 'errno', None) or 0, '')}".strip()


@pytest.mark.parametrize("error", OF_MACHINE, ids=named)
@pytest.mark.parametrize("works", [0, 1_050_000])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_machine_that_cannot_read_fails_the_run_and_refuses_no_file(
    ending: str, works: int, error: Exception
) -> None:
    content = encode(MANY, ending)
    works = min(works, len(content) - 100)
    file = FailingFile(content, error, works)
    with pytest.raises(StoreError, match="not to blame, and was not refused"):
        list(read_validated(file, parse_format(ending), SPEC, RowContext(), "a"))
    if works == 0:
        file = FailingFile(content, error, works)
        with pytest.raises(StoreError, match="not to blame, and was not refused"):
            require_readable(file, parse_format(ending), SPEC)


@pytest.mark.parametrize("error", OF_MACHINE, ids=named)
@pytest.mark.parametrize("kind", list(RawFormat))
def test_readers_name_faults_of_the_machine_themselves(kind: RawFormat, error: Exception) -> None:
    with pytest.raises(StoreError):
        next(read_blocks(FailingFile(encode(MANY[:9], str(kind)), error, 0), kind, SPEC))


@pytest.mark.parametrize("error", OF_DATA, ids=named)
def test_what_decoders_find_wrong_refuses_the_file(error: Exception) -> None:
    for is_decoding in (True, False):
        with (
            pytest.raises(RawFileError, match=r"(S|s)end it again"),
            attributed_faults(is_decoding=is_decoding),
        ):
            raise error


def test_polars_is_taken_at_its_word_only_while_values_are_decoded() -> None:
    error = pl.exceptions.ComputeError("x")
    with pytest.raises(RawFileError), attributed_faults(is_decoding=True):
        raise error
    with pytest.raises(pl.exceptions.ComputeError), attributed_faults():
        raise error


@pytest.mark.parametrize("ending", [ending for ending in ENDINGS if ending != "csv" and ending != "jsonl"])
@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_damaged_files_are_refused(ending: str, damage: str, tmp_path: Path) -> None:
    content, path = encode(MANY, ending), tmp_path / f"a.{ending}"
    middle = len(content) // 2
    changed = content[:middle] + bytes(byte ^ 0xFF for byte in content[middle : middle + 64]) + content[middle + 64 :]
    path.write_bytes(content[:-20] if damage == "cut" else changed)
    with pytest.raises(RawFileError, match="damaged or cut off"):
        list(read_validated(path, parse_format(ending), SPEC, RowContext(), "a"))


def test_a_wrong_checksum_refuses_the_file(tmp_path: Path) -> None:
    content, path = encode(MANY, "csv.gz"), tmp_path / "a.csv.gz"
    assert zlib.crc32(encode(MANY, "csv")).to_bytes(4, "little") == content[-8:-4]
    path.write_bytes(content[:-8] + b"\0\0\0\0" + content[-4:])
    with pytest.raises(RawFileError, match="damaged or cut off"):
        list(read_validated(path, parse_format(path.name), SPEC, RowContext(), "a"))


@contextmanager
def limited(which: int, soft: int) -> Iterator[None]:
    before, hard = resource.getrlimit(which)
    resource.setrlimit(which, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(which, (before, hard))


@pytest.mark.parametrize("ending", ["parquet.gz", "parquet.zst"])
def test_a_full_temporary_directory_fails_the_run_and_the_next_reads_the_file(ending: str, tmp_path: Path) -> None:
    # Loops are compiled, and cached in files, before files are limited.
    for store in ("other", "store"):
        curator = curator_of(tmp_path / store)
        curator.store.write(curator.places.raw(INTERACTIONS) + f"2026-01-05/a.{ending}", encode(MANY, ending))
        if store == "other":
            validate_new(curator)
    with limited(resource.RLIMIT_FSIZE, 10_000), pytest.raises(StoreError, match="File too large"):
        validate_new(curator)
    assert len(curator.unvalidated()) == 1
    assert [report.valid for report in validate_new(curator)] == [len(MANY)]


def test_too_many_open_files_fail_the_run(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(encode(MANY[:9], "csv"))
    with limited(resource.RLIMIT_NOFILE, 3):
        with pytest.raises(StoreError, match="Too many open files"):
            next(read_validated(path, parse_format(path.name), SPEC, RowContext(), "a"))
        with pytest.raises(OSError, match="Too many open files"):
            require_readable(path, parse_format(path.name), SPEC)


def test_a_path_that_cannot_be_opened_is_no_fault_of_the_data(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        next(read_validated(tmp_path / "none.csv", parse_format("csv"), SPEC, RowContext(), "a"))
