"""The compiler of loops, numba: without the GIL, and cached for the next process.

Only `jit` imports this, when a loop is first called: numba takes 60 MB and 0.3 s of a process.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import numba as nb
from numba.core.caching import CompileResultCacheImpl, FunctionCache, InTreeCacheLocator
from numba.np import linalg


def compile_loop(loop: Callable[..., Any]) -> Any:
    """What compiles a function over numbers and arrays at its first call with their types.

    Compiled code is cached in NUMBA_CACHE_DIR, next to the source, or in the user's cache. If none is writable, as on
    the read-only file system of an image, the code cached next to the source when the image was built is read, and each
    process compiles what is missing.
    """
    dispatcher: Any = nb.njit(nogil=True)(loop)
    try:
        dispatcher.enable_caching()
    except RuntimeError:  # numba found no writable cache directory
        dispatcher._cache = _ReadOnlyCache(loop)  # type: ignore[no-untyped-call]
    return dispatcher


def inline_loop(loop: Callable[..., Any]) -> Any:
    """What compiles a function as a part of each loop that calls it."""
    return nb.njit(inline="always")(loop)


def _leave_out_linear_algebra() -> None:
    """Keep numba from importing SciPy for loops with linear algebra, which there are none of: 0.14 s and 17 MB."""

    def has_no_blas() -> None:
        raise ImportError("linear algebra is left out")

    find_blas, linalg.ensure_blas = linalg.ensure_blas, has_no_blas
    try:
        import_module("numba.np.arraymath")
    finally:
        linalg.ensure_blas = find_blas


_leave_out_linear_algebra()


class _BesideTheSource(InTreeCacheLocator):
    def ensure_cache_path(self) -> None:
        """Do nothing: numba's own method requires a writable directory."""


class _BesideTheSourceOnly(CompileResultCacheImpl):
    _locator_classes = (_BesideTheSource,)  # type: ignore[assignment]


class _ReadOnlyCache(FunctionCache):
    """Reads the cache and never writes; numba has no such cache, and no public way to give one to a function."""

    _impl_class = _BesideTheSourceOnly

    def save_overload(self, _signature: object, _result: object) -> None:
        """Do nothing: numba's own method would fail, and the call of the loop with it."""


@cache
def load_compiler() -> None:
    """Import the 250 or so modules that numba defers to a loop's first call, with garbage collection off.

    50 % of the 0.3 s of the first call is garbage collection over everything imported before, which finds nothing.
    """
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        _do_nothing()
    finally:
        if was_collecting:
            gc.enable()


def _nothing() -> None:
    """The smallest loop makes numba load everything."""


_do_nothing = compile_loop(_nothing)
