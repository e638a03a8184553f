"""Loops that are compiled when they are first called: a process that calls none does not load the compiler.

What compiles them is in `compiler`, which is imported by nothing else. A module that has loops imports no numba.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import update_wrapper
from importlib import import_module
from threading import RLock
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])

_COMPILER = "gata_assets.tables.columns.compiler"
_loading = RLock()


def compiled(loop: Function) -> Function:
    """Compile a function over numbers and arrays at its first call with their types; see `compiler.compile_loop`."""
    return cast(Function, _Loop(loop, "compile_loop"))


def inlined(loop: Function) -> Function:
    """Compile a function as a part of the loops that call it; see `compiler.inline_loop`."""
    return cast(Function, _Loop(loop, "inline_loop"))


def load_compiler() -> None:
    """Load what the first call of a loop would: for threads that are to call loops at once."""
    _compiler().load_compiler()


class _Loop:
    """A function that becomes numba's when it is first called, or looked at by numba.

    A loop that calls another finds this in its module. Numba takes it for what `_numba_type_` says (its way to say
    what a value is), and inlines it by the attributes of its own functions, which are found here too.
    """

    def __init__(self, loop: Callable[..., Any], by: str) -> None:
        self._loop, self._by = loop, by
        self._dispatcher: Any = None
        update_wrapper(self, loop)

    def __call__(self, *arguments: Any) -> Any:
        """Call the compiled function."""
        return (self._dispatcher or self._compile())(*arguments)

    def __getattr__(self, name: str) -> Any:
        """What numba's function has; what Python and others ask of any object, it has not."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._compile(), name)

    def __reduce__(self) -> str:
        """By its name, as functions are pickled."""
        return self._loop.__qualname__

    def _compile(self) -> Any:
        with _loading:
            if self._dispatcher is None:
                self._dispatcher = getattr(_compiler(), self._by)(self._loop)
        return self._dispatcher


def _compiler() -> Any:
    """The module, imported with garbage collection off: it looks in vain at all that was imported before."""
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        return import_module(_COMPILER)
    finally:
        if was_collecting:
            gc.enable()
