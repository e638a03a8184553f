"""Compiling ahead, and where what was compiled is kept.

Real: numba and its cache, in processes of their own. What stands for a file system without a place to write is
numba's own setting of where it looks for one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

MAKE_ROWS = """
import sys
from importlib import import_module
from gata_assets.core.compiled import warm_up
warm_up()
names = ["candidates", "event_table", "feature_kernel", "id_keys", "negative_kernel", "negatives", "positives",
         "sampled_rows", "sampling_quality"]
def compiled():
    modules = [import_module(f"gata_assets.core.{name}") for name in names]
    loops = {f"{m.__name__}.{n}": f for m in modules for n, f in vars(m).items() if hasattr(f, "signatures")}
    return {name: len(loop.signatures) for name, loop in loops.items() if "cache" in loop.targetoptions or loop.stats}
before = compiled()
import gata_assets_tests.sampling_oracle as oracle
from gata_assets_tests.test_sampling_truths import World
for power in (None, 0.75):
    world = World(oracle.rules_of(power=power, least=(2, 2)))
    world.rows.table(0, 3)
    assert not world.failed()
from gata_assets_tests.test_features import A_WORLD, features_of
features_of(A_WORLD)
after = compiled()
assert before == after, {name: after[name] for name in after if after[name] != before[name]}
assert before
"""

KEY_AN_ID = """
import polars as pl
from gata_assets.core.id_keys import key_ids
print(key_ids(pl.Series([""]))[0])
"""


def run(program: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **variables},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout


def test_after_warming_up_nothing_is_left_to_compile() -> None:
    run(MAKE_ROWS)


def test_what_was_compiled_is_kept_where_the_environment_says(tmp_path: Path) -> None:
    run(KEY_AN_ID, NUMBA_CACHE_DIR=str(tmp_path))
    assert list(tmp_path.rglob("id_keys.*.nbc"))


def test_without_a_place_to_keep_what_was_compiled_it_is_compiled_anew() -> None:
    # The only place that numba may look for is that of a notebook's cells.
    assert int(run(KEY_AN_ID, NUMBA_CACHE_LOCATOR_CLASSES="_IPythonCacheLocator")) == 0x98B1582B0977E704
