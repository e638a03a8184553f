"""What the log says of an error: its kind and its place in the code, since messages of libraries may quote values."""

from __future__ import annotations

from traceback import extract_tb

_PLACE = "_gata_place"


def place_of(error: BaseException) -> str:
    """The file and line where an error was raised, by another process if it came from there."""
    kept = getattr(error, _PLACE, None)
    if isinstance(kept, str):
        return kept
    trace = extract_tb(error.__traceback__)
    return f"{trace[-1].filename.rpartition('/')[2]}:{trace[-1].lineno}" if trace else ""


def keep_place(error: BaseException) -> None:
    """Let an error keep its place when it goes to another process, which takes its traceback."""
    setattr(error, _PLACE, place_of(error))
