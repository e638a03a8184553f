"""Work on several threads with little in hand: results come in order, and what waits is as little as the threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def map_in_order(call: Callable[[Given], Made], given: Iterable[Given], threads: int) -> Iterator[Made]:
    """`map`, on threads; takes from `given` only what is worked on, where Executor.map takes all at once."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Made]] = deque()
        for one in given:
            waiting.append(pool.submit(call, one))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
