"""Two processes that write one dataset over and over: whoever returns has what is there, or knows that it has not.

Real: two processes, a directory and S3 over HTTP on loopback, both ways to write. Nothing is faked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from dagster_aws.s3 import S3Resource

from gata_assets.errors import ConflictError, DamagedTableError, ObjectNotFoundError
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.storage.s3 import S3StoreResource
from gata_assets_tests.storage.test_two_writers import NAMES, fixed_files, read, write_fixed, write_named

WRITERS = {"fixed": write_fixed, "named": write_named}


def store_at(kind: str, place: str) -> ObjectStore:
    return LocalStoreResource(directory=place) if kind == "local" else S3StoreResource(bucket=place, s3=S3Resource())


def write_often(kind: str, place: str, how: str, name: str, rounds: int) -> None:
    """Write, and say how each ended; every third content is the same for both.

    Not under fixed keys in S3: interrupted writers may hold all versions that a content can have.
    """
    store = store_at(kind, place)
    for number in range(rounds):
        word = "same" if number % 3 == 0 and (kind, how) != ("s3", "fixed") else f"{name}{number:04}"
        try:
            WRITERS[how](store, {file: f"{word} {file}".encode() for file in NAMES})
        except ConflictError:
            print(json.dumps(None), flush=True)
        else:
            print(json.dumps(word), flush=True)


@pytest.mark.process
@pytest.mark.parametrize("how", WRITERS)
@pytest.mark.parametrize("rounds", [12, pytest.param(400, marks=pytest.mark.soak)])
def test_two_processes_in_a_loop_never_leave_a_mixture(
    how: str, rounds: int, any_store: ObjectStore, tmp_path: Path
) -> None:
    kind, place = (
        ("local", any_store.directory) if isinstance(any_store, LocalStoreResource) else ("s3", any_store.bucket)  # type: ignore[attr-defined]
    )
    code = (
        "import sys\nfrom gata_assets_tests.storage.test_two_processes import write_often\n"
        "write_often(*sys.argv[1:5], int(sys.argv[5]))"
    )
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", code, kind, place, how, name, str(rounds)], stdout=subprocess.PIPE, text=True
        )
        for name in "ab"
    ]
    seen = 0
    while any(writer.poll() is None for writer in writers):
        try:
            found = read(any_store)
        except (DamagedTableError, ObjectNotFoundError):
            # Another was published between the reading of the manifest and of its files.
            continue
        if found:
            seen += 1
            words = {content.decode().split()[0] for content in found.values()}
            assert len(words) == 1, "a reader has the files of one write"
    ends = [json.loads(line) for writer in writers for line in writer.communicate()[0].splitlines()]
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(ends) == 2 * rounds
    assert seen
    assert any(end is not None for end in ends)
    final = read(any_store)
    assert final, "whoever wrote last was not disturbed, or lost to one that was not"
    assert all(one.split()[0] == other.split()[0] for one, other in pairwise(final.values()))
    assert final[NAMES[0]].decode().split()[0] in ends
    if how == "fixed":
        assert fixed_files(any_store) == final
