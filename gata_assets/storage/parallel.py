"""Work on several threads with little in hand: results come in order, and what waits is as little as the threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

# Calls of the store at once, where each brings or takes a table.
CALLS_AT_ONCE = 2
# Where each brings a little JSON and is waited for. 2,000 reports at 10 ms a call: 14 s by 2, 2.8 s by 10 and by 16
# (one core is busy then), and 1 MB more; the SDK keeps 10 connections.
SMALL_CALLS_AT_ONCE = 10

Given = TypeVar("Given")
Made = TypeVar("Made")


def map_in_order(call: Callable[[Given], Made], given: Iterable[Given], threads: int) -> Iterator[Made]:
    """`map`, on threads; takes from `given` only what is worked on, where Executor.map takes all at once.

    What `given` raises comes in its order too: after the results of all that it gave before.
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Made]] = deque()
        broken_off: Exception | None = None
        coming = iter(given)
        while True:
            try:
                one = next(coming)
            except StopIteration:
                break
            except Exception as error:  # noqa: BLE001 (raised below, when its turn comes)
                broken_off = error
                break
            waiting.append(pool.submit(call, one))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        if broken_off:
            raise broken_off
