"""What is in the folders of a local store: files by their keys, what is known of them, and the names of folders.

Hidden folders that may not be listed (`.snapshot`) have no object of ours. Functions raise OSError for any other.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from errno import ELOOP, ENOENT, ENOTDIR
from pathlib import Path

# There is nothing: no entry, a file where a folder was expected, a circle of links.
NOTHING_THERE = (ENOENT, ENOTDIR, ELOOP)


def files_below(root: Path, start: Path, *, staging: str, closed: list[str] | None = None) -> list[str]:
    """The keys of what is below a folder and is no folder itself, links to folders too.

    Args:
        root: The store's directory.
        start: The folder; it may be missing.
        staging: The folder in `root` that is left out.
        closed: Gets the keys of folders below the start that may not be listed. Without it, these raise.
    """
    found = list[str]()
    if not start.is_dir():
        return found
    for place, folders, files in os.walk(start, onerror=_handle_below(root, start, closed)):
        if Path(place) == root and staging in folders:
            folders.remove(staging)
        files += [name for name in folders if os.path.islink(f"{place}/{name}")]  # noqa: PTH114 (never raises)
        folder = Path(place).relative_to(root).as_posix()
        found += files if folder == "." else [f"{folder}/{name}" for name in files]
    return found


def file_at(path: str | Path) -> os.stat_result | None:
    """What is known of a regular file; None if there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 (takes texts too)
    except OSError as error:
        if error.errno not in NOTHING_THERE:
            raise
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def folders_in(start: Path) -> list[str]:
    """The names of the folders in a folder that have a file below, ascending, those that links lead to included.

    The folder may be missing. One whose files were all deleted is no folder of a store, as in S3.
    """
    try:
        with os.scandir(start) as entries:
            return sorted(entry.name for entry in entries if _is_folder(entry) and not _is_empty(entry.path))
    except OSError as error:
        if error.errno not in NOTHING_THERE:
            raise
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno not in NOTHING_THERE:
            raise
        return False


def _is_empty(folder: str) -> bool:
    """Whether only folders are below; one that may not be listed may have files."""
    closed: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=closed.append):
        if files or closed or any(os.path.islink(f"{place}/{name}") for name in folders):  # noqa: PTH114 (never raises)
            return False
    return not closed


def _handle_below(root: Path, start: Path, closed: list[str] | None) -> Callable[[OSError], None]:
    """What to do about a folder that cannot be listed."""

    def handle(error: OSError) -> None:
        folder = Path(error.filename or start)
        below = folder.relative_to(start).parts
        is_denied = isinstance(error, PermissionError)
        if is_denied and any(name[0] in "._" for name in below):
            return
        if not (is_denied and below) or closed is None:
            raise error
        closed.append(folder.relative_to(root).as_posix())

    return handle
