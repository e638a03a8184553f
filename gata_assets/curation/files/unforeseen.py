"""Errors that nobody foresaw while a raw file is read: they refuse that file, and stop no other.

Readers raise RawFileError for what is known to be wrong with files.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow as pa

from gata_assets.errors import GataError, RawFileError


@contextmanager
def unforeseen_errors_refuse() -> Iterator[None]:
    """Raise what nobody foresaw about a raw file's bytes as a RawFileError, so that the file stops no other.

    Errors of the environment pass: the file may be read when they are over.
    """
    try:
        yield
    except (GataError, MemoryError, pa.ArrowCancelled):
        raise
    # A damaged file can make Polars panic, and a panic is no Exception.
    except (Exception, pl.exceptions.PanicException) as error:
        # Arrow's own errors about the bytes have no number.
        if (isinstance(error, OSError) and error.errno is not None) or "start new thread" in str(error):
            raise
        raise RawFileError(f"cannot be read ({_describe(error)}), which nobody foresaw: please report it.") from None


def _describe(error: BaseException) -> str:
    """The type of an error and where it was raised; its message may contain values."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
