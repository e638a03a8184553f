"""How loops are compiled: by numba, without Python's lock, and kept for the next process."""

from __future__ import annotations

from collections.abc import Callable
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
