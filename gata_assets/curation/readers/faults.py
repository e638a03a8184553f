"""Whose fault it is that a raw file cannot be read: the data's, or the machine's that reads them.

The only place that decides it. The data's own faults refuse the file for good, in its report. Those of the machine (a
full disk, no memory, too many open files, a failing device) fail the run instead, and the next one reads it again.
"""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow as pa

from gata_assets.errors import GataError, RawFileError, StoreError

# A damaged Parquet file can make its reader seek to before its start.
_CAUSED_BY_DATA = (None, errno.EINVAL)
_OTHERS = (pa.ArrowException, EOFError, UnicodeDecodeError)
# Polars panics on some values, and a panic is no Exception.
_DECODING = (pl.exceptions.PolarsError, pl.exceptions.PanicException)


@contextmanager
def attributed_faults(*, is_decoding: bool = False) -> Iterator[None]:
    """Raise RawFileError for damaged data, and StoreError for a fault of the machine.

    Decoders (Arrow, zlib, zstd) raise OSError without an error number; with one it is the operating system's. Errors of
    Polars are the data's only while values are decoded (`is_decoding`).
    """
    try:
        yield
    except MemoryError as error:
        # Before Arrow's others: ArrowMemoryError is both.
        raise _fault_of_machine(error, "memory ran out") from error
    except OSError as error:
        if error.errno not in _CAUSED_BY_DATA:
            raise _fault_of_machine(error, str(error.strerror)) from error
        raise _damaged(error) from None
    except pa.ArrowCancelled:
        raise
    except pa.ArrowNotImplementedError:
        raise RawFileError(
            "is written with an encoding or a compression that cannot be read here: write it with default options and "
            "send it again."
        ) from None
    except _OTHERS as error:
        raise _damaged(error) from None
    except _DECODING as error:
        if not is_decoding:
            raise
        raise _damaged(error) from None


def _damaged(error: BaseException) -> RawFileError:
    return RawFileError(f"cannot be read to its end: it is damaged or cut off ({type(error).__name__}). Send it again.")


def _fault_of_machine(error: BaseException, reason: str) -> StoreError:
    return StoreError(
        f"A raw file could not be read on this machine: {reason} ({type(error).__name__}). The file is not to blame, "
        "and was not refused: free disk space (of temporary files too, see TMPDIR) or memory, and run it again."
    )


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
