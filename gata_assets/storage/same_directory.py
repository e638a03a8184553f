"""Which directory the path of a local store was when this process first saw it, for all stores of the path.

A directory that is removed, replaced or unmounted while a command runs looks like an empty target: its files would
count as not written yet, and new ones would land elsewhere. A directory that is missing at first is none of this: the
first write creates it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gata_assets.errors import StoreError

# A directory that is held open keeps its inode, which the file system would give to the next one otherwise. A command
# has one target or two; of more, the oldest are compared by their inodes alone.
_MOST_HELD = 8
# It has data of people. Whoever shares it creates it, or changes its mode, which stays.
_OWNER_ALONE = 0o700
_HOLD = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC

Identity = tuple[int, int]


@dataclass
class _Seen:
    """A directory that must be there; without an identity, another process has seen it."""

    identity: Identity | None = None
    held: int | None = None


# Without a lock, which a forked child could inherit in a locked state: each step is one operation of a dict.
_seen: dict[str, _Seen] = {}


def is_present(directory: str) -> bool:
    """Whether a store's directory exists, which is remembered.

    Raises:
        StoreError: It has existed before in this process, and is gone now or another one.
        OSError: It cannot be looked at.
    """
    path = _absolute(directory)
    before = _seen.get(path)
    try:
        found = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        if before is None:
            return False
        raise _changed(directory, "is gone") from None
    if before is None or before.identity is None:
        return _remember(path, directory)
    if before.identity != _identity(found):
        raise _changed(directory, "is another directory")
    return True


def create(directory: str) -> None:
    """Create a directory for its owner alone, if it has not existed in this process; raises as `is_present`."""
    if not is_present(directory):
        Path(directory).mkdir(mode=_OWNER_ALONE, parents=True, exist_ok=True)
        is_present(directory)


def is_known(directory: str) -> bool:
    """Whether the directory has existed in this process."""
    return _absolute(directory) in _seen


def expect(directory: str) -> None:
    """Require the directory from now on, since the process that sent the store here has seen it."""
    _seen.setdefault(_absolute(directory), _Seen())


def forget(directory: str | None = None) -> None:
    """See the directory anew, or all: a command begins, in a process that has had others."""
    for path in list(_seen) if directory is None else [_absolute(directory)]:
        if gone := _seen.pop(path, None):
            _release(gone)


def _remember(path: str, directory: str) -> bool:
    held: int | None = None
    try:
        held = os.open(path, _HOLD)
        identity = _identity(os.fstat(held))
    except OSError:
        identity = _identity(Path(path).stat())
    new = _Seen(identity, held)
    known = _seen.setdefault(path, new)
    if known is not new and known.identity is None:
        _seen[path] = known = new
    if known is not new:
        _release(new)
        if known.identity != identity:
            raise _changed(directory, "is another directory")
    holding = [seen for seen in list(_seen.values()) if seen.held is not None]
    for old in holding[:-_MOST_HELD]:
        _release(old)
    return True


def _release(seen: _Seen) -> None:
    held, seen.held = seen.held, None
    if held is not None:
        with suppress(OSError):
            os.close(held)


def _absolute(directory: str) -> str:
    return directory if directory.startswith("/") else str(Path(directory).absolute())


def _identity(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino


def _changed(directory: str, how: str) -> StoreError:
    return StoreError(
        f"The target directory {directory} {how}: it was removed, replaced or unmounted after this command had begun "
        "to use it, and what was written before is not there now. See that it is mounted and that nothing else deletes "
        "it, then run the command again."
    )
