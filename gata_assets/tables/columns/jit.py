"""How loops are compiled: by numba, without Python's lock, and kept for the next process."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

import numba as nb
from numba.core.caching import CompileResultCacheImpl, FunctionCache, InTreeCacheLocator

Loop = TypeVar("Loop", bound=Callable[..., Any])


def compiled(loop: Loop) -> Loop:
    """Compile a function over numbers and arrays when it is first called with their types.

    What was compiled is kept in NUMBA_CACHE_DIR, beside the source, or in the user's cache. Where none of them can be
    written, as on an image's read-only file system, what was compiled beside the source when the image was built is
    read, and each process compiles what is missing there.
    """
    dispatcher: Any = nb.njit(nogil=True)(loop)
    try:
        dispatcher.enable_caching()
    except RuntimeError:  # numba's refusal to be without a place to write
        dispatcher._cache = _ReadOnlyCache(loop)  # type: ignore[no-untyped-call]
    return cast(Loop, dispatcher)


class _BesideTheSource(InTreeCacheLocator):
    def ensure_cache_path(self) -> None:
        """Ask nothing of the directory: numba's own would want to write to it."""


class _BesideTheSourceOnly(CompileResultCacheImpl):
    _locator_classes = (_BesideTheSource,)  # type: ignore[assignment]


class _ReadOnlyCache(FunctionCache):
    """Reads what is there and keeps nothing; numba has no such cache, and no public way to give one to a function."""

    _impl_class = _BesideTheSourceOnly

    def save_overload(self, _signature: object, _result: object) -> None:
        """Let it go: numba's own would fail, and the loop with it."""


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
