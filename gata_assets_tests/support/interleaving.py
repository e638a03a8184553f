"""Two writers in turns: each waits before the calls of its store until it is its turn again.

Real: threads, and whatever store is given. A schedule says before which call a writer pauses; so every order in which
two can meet is tried one by one, and comes out the same each time.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Condition
from typing import Any

from gata_assets.errors import StoreError
from gata_assets.storage.objects import ObjectStore

_PATIENCE_SECONDS = 60
_METHODS = frozenset(
    {
        "write",
        "write_file",
        "read",
        "read_versioned",
        "read_part",
        "list_keys",
        "list_delivered",
        "list_versions",
        "version",
        "exists",
    }
    | {"delete", "local_copy"}
)


class PacedStore:
    """A store of one writer, whose calls wait once so many were made."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._changed = Condition()
        self._allowed: float = 0
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in _METHODS:
            return found

        def call(*args: Any, **values: Any) -> Any:
            self._wait_for_turn()
            result = found(*args, **values)
            # Listings are carried out when they are asked for, not when they are looked at.
            return iter(list(result)) if name.startswith("list_") else result

        return call

    def allow(self, calls: float) -> None:
        """Let so many calls happen in all."""
        with self._changed:
            self._allowed = calls
            self._changed.notify_all()

    def wait_until_paused(self, done: Future[Any]) -> None:
        """Wait until the writer waits, or has ended."""
        done.add_done_callback(lambda _: self._notify())
        with self._changed:
            assert self._changed.wait_for(lambda: self.calls > self._allowed or done.done(), timeout=_PATIENCE_SECONDS)

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _wait_for_turn(self) -> None:
        with self._changed:
            self.calls += 1
            mine = self.calls
            if mine > self._allowed:
                self._changed.notify_all()
                assert self._changed.wait_for(lambda: mine <= self._allowed, timeout=_PATIENCE_SECONDS)


Writer = Callable[[Any], Any]


def run_in_turns(
    store: ObjectStore,
    first: Writer,
    second: Writer,
    *,
    pause_first: int,
    pause_second: float = float("inf"),
    after_each: Callable[[list[StoreError | None]], None],
) -> tuple[list[StoreError | None], list[int]]:
    """Pause the first before a call, let the second go on (to its end, or before a call), then the first, the second.

    `after_each` is called whenever a writer has ended, with how those that have ended did (None: well). Gives that of
    both, and how many calls each made.
    """
    stores = PacedStore(store), PacedStore(store)
    with ThreadPoolExecutor(2) as pool:
        ends = [pool.submit(_run, writer, paced) for writer, paced in zip((first, second), stores, strict=True)]
        ended: set[int] = set()
        for turn, calls in ((0, pause_first - 1), (1, pause_second - 1), (0, float("inf")), (1, float("inf"))):
            stores[turn].allow(calls)
            if calls == float("inf"):
                ends[turn].result(timeout=_PATIENCE_SECONDS)
            stores[turn].wait_until_paused(ends[turn])
            if ends[turn].done() and turn not in ended:
                ended.add(turn)
                after_each([ends[number].result() for number in sorted(ended)])
        return [end.result() for end in ends], [paced.calls for paced in stores]


def _run(writer: Writer, store: PacedStore) -> StoreError | None:
    try:
        writer(store)
    except StoreError as error:
        return error
    return None
