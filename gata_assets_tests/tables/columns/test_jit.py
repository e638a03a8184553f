"""When loops are compiled, and by whom. Real: numba, processes of their own, a directory. Nothing is faked."""

from __future__ import annotations

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from gata_assets.tables.columns.arrays import Int64s
from gata_assets.tables.columns.hashing import hash_ids, hash_texts
from gata_assets.tables.columns.jit import compiled, inlined

# What runs for long before a row arrives, or without one.
_PROGRAMS = (
    "gata_assets.cli.servers.service",
    "gata_assets.cli.kafka.consume",
    "gata_assets.cli.kafka.publish",
    "gata_assets.cli.events.tail",
    "gata_assets.cli.doctor",
)
_LAND = """
import json, sys, tempfile
from hashlib import sha256
from importlib import import_module
for name in sys.argv[1:]:
    import_module(name)
loaded = ["numba" in sys.modules]
from gata_assets.curation.files.formats import parse_format
from gata_assets.curation.files.sources import HeldContent
from gata_assets.curation.landing import Landing
from gata_assets.interactions.curated.curator import Curator
from gata_assets.storage.local import LocalStore
from gata_assets_tests.support.raw_worlds import NOW, RULES, encode, interaction
curator = Curator(LocalStore(tempfile.mkdtemp()), "acme", RULES, NOW)
for kind, has_quotes in (("jsonl", False), ("csv", False), ("csv", True)):
    rows = encode([interaction()], kind)
    if has_quotes:
        rows = rows.replace(b"u1", b'"u1"')
        assert b'"' in rows
    content = HeldContent(rows, sha256(rows).hexdigest())
    assert Landing(curator).land("interactions", f"rows.{kind}", content, parse_format(f"rows.{kind}")).report.valid
    loaded.append("numba" in sys.modules)
print(json.dumps(loaded))
"""


@compiled
def total(numbers: Int64s) -> int:
    """The sum of squares."""
    found = 0
    for number in numbers:
        found += square(number)
    return found


@inlined
def square(number: int) -> int:
    """A part of another loop."""
    return number * number


@pytest.mark.process
def test_services_load_the_compiler_when_a_row_needs_it() -> None:
    ran = subprocess.run([sys.executable, "-c", _LAND, *_PROGRAMS], capture_output=True, text=True)
    # JSON, and CSV without quotes, need no loop.
    assert ran.stdout.strip() == "[false, false, false, true]", ran.stderr[-2_000:]


def test_threads_that_call_a_loop_first_at_once_get_what_it_gives() -> None:
    barrier = Barrier(8)

    def call(size: int) -> int:
        barrier.wait()
        return int(total(np.arange(size)))

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(call, range(8)))
    assert found == [sum(number * number for number in range(size)) for size in range(8)]


def test_a_loop_is_pickled_by_its_name_and_has_its_own_words() -> None:
    assert pickle.loads(pickle.dumps(hash_texts)) is hash_texts
    assert (hash_texts.__name__, hash_texts.__module__) == ("hash_texts", hash_ids.__module__)
    assert (hash_texts.__doc__ or "").startswith("The hash of each text")
    assert not hasattr(square, "__array__")
