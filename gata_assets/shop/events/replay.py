"""Dead letters, processed again: received in batches, each deleted only after its event was processed.

What stays in the queue is received again when it is no longer hidden, until the queue's redrive policy takes it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from gata_assets.errors import EventError, QueueError
from gata_assets.shop.events.dead_letters import MOST_AT_ONCE, DeadLetterQueue, Message
from gata_assets.shop.events.event import parse_event
from gata_assets.shop.events.process import Processor, Result, State
from gata_assets.shop.events.routing import UNKNOWN, ShopPlaces, Work, route, split_by_source

# Longer than an event takes; whoever receives a message after that processes it a second time, which is harmless.
HIDDEN_SECONDS = 3_600
_CLASS_NAME_CHARACTERS = 80


@dataclass
class Replayed:
    """What a replay did, counted in messages; `undelivered` as in Result. What was not processed is still queued."""

    processed: int = 0
    ignored: int = 0
    failed: int = 0
    unreadable: int = 0
    undelivered: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether all messages that were received are done."""
        return not (self.failed or self.unreadable or self.undelivered)


@dataclass
class Listed:
    """What is in the queue: messages by stage and class of the error, and those that cannot be read."""

    by_stage_and_error: Counter[tuple[str, str]] = field(default_factory=Counter)
    unreadable: int = 0


def replay(
    queue: DeadLetterQueue,
    processor: Processor,
    done: Replayed,
    *,
    most: int | None,
    on_result: Callable[[Result], None],
    hidden_seconds: int = HIDDEN_SECONDS,
) -> None:
    """Process dead letters until the queue is empty, or so many were received; `done` counts them.

    Raises:
        QueueError: If the queue cannot be read or written; what is not deleted is received again.
    """
    for batch in _batches(queue, most, hidden_seconds):
        for number, message in enumerate(batch):
            # The others wait for this one.
            queue.hide(batch[number:], seconds=hidden_seconds)
            _replay_one(queue, processor, message, done, on_result)


def _replay_one(
    queue: DeadLetterQueue,
    processor: Processor,
    message: Message,
    done: Replayed,
    on_result: Callable[[Result], None],
) -> None:
    results = []
    try:
        for event in split_by_source(parse_event(message.body), processor.places):
            results.append(processor.attempt(event))
            on_result(results[-1])
    except EventError:
        done.unreadable += 1
        return
    if any(result.failure for result in results):
        done.failed += 1
    elif any(result.undelivered for result in results):
        done.undelivered += 1
    else:
        queue.delete(message)
        is_processed = any(result.state is State.PROCESSED for result in results)
        done.processed += is_processed
        done.ignored += not is_processed


def list_letters(queue: DeadLetterQueue, places: ShopPlaces, *, most: int | None) -> Listed:
    """Count what is in the queue, and leave it there; SQS counts this as a delivery of each message.

    Raises:
        QueueError: If the queue cannot be read.
    """
    listed = Listed()
    received: list[Sequence[Message]] = []
    try:
        for batch in _batches(queue, most, HIDDEN_SECONDS):
            received.append(batch)
            for message in batch:
                _list_one(message, places, listed)
    finally:
        for batch in received:
            # They are shown again in time anyway.
            with suppress(QueueError):
                queue.hide(batch, seconds=0)
    return listed


def _list_one(message: Message, places: ShopPlaces, listed: Listed) -> None:
    try:
        found = route(split_by_source(parse_event(message.body), places)[0], places)
    except EventError:
        listed.unreadable += 1
        return
    stage = str(found.stage) if isinstance(found, Work) else UNKNOWN
    listed.by_stage_and_error[stage, _error_of(message.body)] += 1


def _error_of(body: str) -> str:
    """The class of the error in a letter of ours; other messages have none."""
    error = json.loads(body).get("error")
    is_name = isinstance(error, str) and error.isidentifier() and len(error) <= _CLASS_NAME_CHARACTERS
    return str(error) if is_name else UNKNOWN


def _batches(queue: DeadLetterQueue, most: int | None, hidden_seconds: int) -> Iterator[Sequence[Message]]:
    """Messages until none is left; the end too is when only those come that were seen already."""
    seen: set[str] = set()
    while most is None or len(seen) < most:
        wanted = MOST_AT_ONCE if most is None else min(MOST_AT_ONCE, most - len(seen))
        found = queue.receive(wanted, hidden_seconds=hidden_seconds)
        batch = [message for message in found if message.name not in seen]
        if not batch:
            return
        seen |= {message.name for message in batch}
        yield batch
