"""How commands that go on until they are ended learn of it: SIGTERM of a container's manager, Ctrl-C of a person."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event


@contextmanager
def ended_by_signals(ended: Event | None = None) -> Iterator[Event]:
    """An event, `ended` or a new one, that SIGTERM and Ctrl-C set. For the main thread."""
    ended = ended or Event()
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in numbers}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
