"""Compressed Parquet, which is decompressed on disk: a few kilobytes must not fill it, nor blame it for what they are.

Real: compressed files and the disk. Stood in for: how much of the disk is free.
"""

from __future__ import annotations

import gzip
import resource
from pathlib import Path

import pyarrow as pa
import pytest

from gata_assets.curation.files import open_files
from gata_assets.curation.files.formats import parse_format
from gata_assets.curation.files.open_files import read_validated, require_readable
from gata_assets.errors import RawFileError, StoreError
from gata_assets.interactions.tables import INTERACTIONS, TABLES
from gata_assets.tables.row_rules import RowContext
from gata_assets_tests.support.raw_worlds import encode, interaction

SPEC = TABLES[INTERACTIONS]
MODULE = open_files.__name__
ADVICE = r"Parquet compresses itself: send it without \.gz or \.zst"


def bomb(folder: Path, ending: str) -> Path:
    """PAR1 and 20 MB of zeros."""
    content, path = b"PAR1" + bytes(20_000_000), folder / f"a.parquet.{ending}"
    packed = gzip.compress(content, 1) if ending == "gz" else pa.compress(content, codec="zstd", asbytes=True)
    path.write_bytes(packed)
    assert len(packed) < 100_000
    return path


def refusals(path: Path) -> list[str]:
    found = []
    for look in (require_readable, lambda *given: list(read_validated(*given, RowContext(), "a"))):
        with pytest.raises(RawFileError, match=ADVICE) as error:
            look(path, parse_format(path.name), SPEC)
        found.append(str(error.value))
    return found


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_compressed_parquet_has_a_limit_of_its_own(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert open_files._MOST_UNPACKED == 4_000_000_000
    monkeypatch.setattr(f"{MODULE}._MOST_UNPACKED", 5_000_000)
    written: list[int] = []
    monkeypatch.setattr(f"{MODULE}._free_bytes", lambda file: written.append(file.tell()) or 10**12)
    for said in refusals(bomb(tmp_path, ending)):
        assert "at most 5,000,000 are decompressed of one" in said
    assert max(written) <= 5_000_000


def test_at_most_half_of_the_free_space_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{MODULE}._LITTLE_UNPACKED", 1_000_000)
    monkeypatch.setattr(f"{MODULE}._free_bytes", lambda file: 12_000_000 - file.tell())
    for said in refusals(bomb(tmp_path, "zst")):
        assert "decompresses to 7,000,000 bytes" in said
        assert "more are free for temporary files, of which one may take half" in said


def test_a_small_file_is_not_refused_for_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [interaction(user_id=f"u{number * 7919 % 100_003}") for number in range(30_000)]
    path = tmp_path / "a.parquet.zst"
    path.write_bytes(encode(rows, "parquet.zst"))
    monkeypatch.setattr(f"{MODULE}._free_bytes", lambda file: 0)
    require_readable(path, parse_format(path.name), SPEC)
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(
            StoreError, match=r"File too large, after 0 bytes. It was not refused: .*TMPDIR.* or send it"
        ):
            require_readable(path, parse_format(path.name), SPEC)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))


def test_free_space_is_that_of_the_file_system(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        assert open_files._free_bytes(file) > 0
