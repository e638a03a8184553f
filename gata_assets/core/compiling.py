"""How loops are compiled: by numba, without Python's lock, and kept for the next process."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

import numba as nb

Loop = TypeVar("Loop", bound=Callable[..., Any])


def compiled(loop: Loop) -> Loop:
    """Compile a function over numbers and arrays when it is first called with their types.

    What was compiled is kept in NUMBA_CACHE_DIR, beside the source, or in the user's cache. Where none of them can be
    written, as on a read-only file system, each process compiles anew.
    """
    try:
        return cast(Loop, nb.njit(cache=True, nogil=True)(loop))
    except RuntimeError:  # numba's refusal to be without a place to write
        return cast(Loop, nb.njit(nogil=True)(loop))


@cache
def load_compiler() -> None:
    """Load what numba leaves to the first call of a loop, some 250 modules, without looking for garbage meanwhile.

    Half of the 0.3 s of the first call are Python's walks through all that was imported before, in search of garbage
    that is not there.
    """
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        _do_nothing()
    finally:
        if was_collecting:
            gc.enable()


@compiled
def _do_nothing() -> None:
    """What numba loads, it loads for the least of loops."""
