"""Work on several threads with little memory: results in order, and no more waiting items than threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

# Concurrent calls of the store that each read or write a table.
CALLS_AT_ONCE = 2
# Concurrent calls that each read a little JSON. 2,000 reports at 10 ms a call: 14 s with 2, 2.8 s with 10 and with 16
# (a core is busy then), and 1 MB more; the SDK keeps 10 connections.
SMALL_CALLS_AT_ONCE = 10

Given = TypeVar("Given")
Result = TypeVar("Result")


def map_in_order(call: Callable[[Given], Result], given: Iterable[Given], threads: int) -> Iterator[Result]:
    """`map` on threads; takes only the items in progress from `given`, while Executor.map takes all at once.

    An error that `given` raises keeps its order too: it follows the results of all earlier items.
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        broken_off: Exception | None = None
        coming = iter(given)
        while True:
            try:
                item = next(coming)
            except StopIteration:
                break
            except Exception as error:  # noqa: BLE001 (raised below, when its turn comes)
                broken_off = error
                break
            waiting.append(pool.submit(call, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        if broken_off:
            raise broken_off
