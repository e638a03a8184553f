"""Compiling ahead, and where what was compiled is kept.

Real: numba and its cache, in processes of their own, over a copy of the package in directories that those processes may
not write to, as in the image: root, where it runs the tests, gives up the right to ignore that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]

MAKE_TABLES = """
import io, os, tempfile
from datetime import UTC, datetime
from pathlib import Path
import polars as pl
from numba.core.event import install_recorder
with install_recorder("numba:compile") as compiling:
    import gata_assets.tables.columns.hashing as hashing
    import gata_assets_tests.support.sampling_oracle as oracle
    from gata_assets.interactions.curated.merge import curate_interactions
    from gata_assets.curation.validation import validate_block
    from gata_assets.interactions.tables import TABLES
    from gata_assets.tables.columns.hashing import hash_ids
    from gata_assets.tables.row_rules import RowContext
    from gata_assets.curation.files.formats import RawFormat
    from gata_assets.curation.readers.readers import read_blocks
    from gata_assets_tests.support.raw_worlds import encode, interaction, item
    from gata_assets_tests.interactions.features.test_tables import A_WORLD, features_of
    from gata_assets_tests.interactions.sampling.test_truths import World

    directory = Path(hashing.__file__).parent
    assert directory == Path.cwd() / "gata_assets/tables/columns"
    try:
        tempfile.TemporaryFile(dir=directory / "__pycache__")
    except OSError:
        pass
    else:
        raise AssertionError("the directory can be written to")

    start = datetime(2026, 1, 1, tzinfo=UTC)
    for table, row in (("interactions", interaction()), ("items", item())):
        for kind in RawFormat:
            for rows in (1, 3):
                content = encode([row] * rows, kind)
                # A quote that nothing closes: other CSV is read without a loop.
                content += b'"' if kind is RawFormat.CSV else b""
                for block in read_blocks(io.BytesIO(content), kind, TABLES[table]):
                    valid = validate_block(TABLES[table], block(), RowContext(), "a").valid
                    if table == "interactions":
                        curate_interactions(valid, [start.date()])
    for power in (None, 0.75):
        world = World(oracle.rules_of(power=power, least=(2, 2)))
        world.rows.table(0, 3)
        assert not world.failed()
    features_of(A_WORLD)
    for ids in ([], [""], ["u1"]):
        hash_ids(pl.Series(ids, dtype=pl.String))
print(*(event.data["dispatcher"] for _, event in compiling.buffer if event.is_start))
"""

KEY_AN_ID = """
import polars as pl
from gata_assets.tables.columns.hashing import hash_ids
print(hash_ids(pl.Series([""]))[0])
"""


def run(*command: str, directory: Path = ROOT, **variables: str) -> str:
    places = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in places}
    done = subprocess.run(
        command, env={**environment, **variables}, cwd=directory, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout.strip()


def run_without_a_place_to_write(program: str, package: Path, **variables: str) -> str:
    """Run a program over a copy of the package that nobody may write to, without a home to write to."""
    rights: list[str] = []
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("root may write everywhere, and there is no setpriv to give that up")
        rights = [setpriv, "--bounding-set=-dac_override"]
    directories = [package.parent, *(path for path in package.rglob("*") if path.is_dir()), package]
    for directory in directories:
        directory.chmod(0o555)
    try:
        return run(
            *(*rights, sys.executable, "-c", program),
            directory=package.parent,
            HOME=str(package),
            PYTHONPATH=str(ROOT),
            PYTHONDONTWRITEBYTECODE="1",
            **variables,
        )
    finally:
        for directory in directories:
            directory.chmod(0o755)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(ROOT / "gata_assets", tmp_path / "copy" / "gata_assets", ignore=ignored))


@pytest.mark.soak
def test_what_an_image_compiled_is_read_where_nothing_can_be_written_and_nothing_is_left_to_compile(
    package: Path,
) -> None:
    # The host's own name of the CPU is not that of the next host.
    run(sys.executable, "-m", "gata_assets.interactions.warm_up", directory=package.parent, NUMBA_CPU_NAME="generic")
    assert list(package.rglob("hashing.*.nbc"))
    before = {path: path.stat().st_mtime_ns for path in package.rglob("*.nb?")}
    assert run_without_a_place_to_write(MAKE_TABLES, package, NUMBA_CPU_NAME="generic") == ""
    assert {path: path.stat().st_mtime_ns for path in package.rglob("*.nb?")} == before


def test_what_was_compiled_is_kept_where_the_environment_says(tmp_path: Path) -> None:
    run(sys.executable, "-c", KEY_AN_ID, NUMBA_CACHE_DIR=str(tmp_path))
    assert list(tmp_path.rglob("hashing.*.nbc"))


def test_without_a_place_to_keep_what_was_compiled_it_is_compiled_again(package: Path) -> None:
    (package / "tables" / "columns" / "__pycache__").mkdir()
    assert int(run_without_a_place_to_write(KEY_AN_ID, package)) == 0x98B1582B0977E704
    assert not list(package.rglob("*.nbc"))
