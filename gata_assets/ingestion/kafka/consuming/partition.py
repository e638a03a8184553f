"""What is known of a partition between the broker and the chain: messages that wait, where to go on, why it stands.

Without a client: `consumer` asks it what is due, and tells it what became of that. On one thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from gata_assets.errors import GataError
from gata_assets.ingestion.kafka.consuming.message import KafkaMessage
from gata_assets.ingestion.kafka.consuming.rules import ConsumerRules
from gata_assets.ingestion.kafka.consuming.writing import PartitionWriter, Stored

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 10.0


@dataclass(frozen=True)
class Start:
    """Where a partition begins: the chain's end, or the broker's first offset for a new chain; and the offset that was
    committed, -1 if none was.
    """

    position: int
    committed: int


@dataclass
class AssignedPartition:
    """A partition that is assigned to this process."""

    writer: PartitionWriter
    rules: ConsumerRules
    clock: Callable[[], float]
    # The next offset that is wanted of the broker; None until it is known.
    position: int | None = None
    # Everything before it is in the chain.
    stored_end: int = 0
    starting: Future[Start] | None = None
    storing: Future[Stored] | None = None
    is_paused: bool = False
    failure: GataError | None = None
    committed: int = -1
    _waiting: deque[KafkaMessage] = field(default_factory=deque)
    _sent: list[KafkaMessage] = field(default_factory=list)
    _waiting_bytes: int = 0
    _since: deque[tuple[int, float]] = field(default_factory=deque)
    _retry_at: float = 0.0
    _pause: float = _FIRST_PAUSE_SECONDS

    @property
    def place(self) -> tuple[str, int]:
        """Its topic and number."""
        return self.writer.topic, self.writer.partition

    @property
    def waiting_bytes(self) -> int:
        """What its messages take in memory, about."""
        return self._waiting_bytes

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits or is being stored."""
        return not self._waiting and self.storing is None

    @property
    def oldest_waits_seconds(self) -> float:
        """For how long its oldest message waits; 0 without one."""
        return self.clock() - self._since[0][1] if self._since else 0.0

    @property
    def may_start(self) -> bool:
        """Whether it is not known where to go on, and it is time to find that out."""
        return self.position is None and self.starting is None and self.clock() >= self._retry_at

    def begin(self, start: Start) -> None:
        """Go on where the chain ends."""
        self.position = self.stored_end = start.position
        self.committed = start.committed
        self._recover()

    def take(self, messages: Sequence[KafkaMessage]) -> None:
        """Take messages of the broker; those that are not wanted any more are dropped."""
        new = [message for message in messages if self.position is not None and message.offset >= self.position]
        if new:
            self._waiting.extend(new)
            self._waiting_bytes += sum(message.size for message in new)
            self.position = new[-1].offset + 1
            self._since.append((self.position, self.clock()))

    def due(self, *, even_new: bool = False) -> list[KafkaMessage]:
        """The messages of the next segment, if it is due; they wait until `stored` or `fail` is called."""
        now = self.clock()
        if self.storing is not None or not self._waiting or now < self._retry_at:
            return []
        is_full = self._waiting_bytes >= self.rules.at_most_bytes
        if not (even_new or is_full or self.oldest_waits_seconds >= self.rules.at_most_seconds):
            return []
        size = 0
        while self._waiting and (not self._sent or size + self._waiting[0].size <= self.rules.at_most_bytes):
            size += self._waiting[0].size
            self._sent.append(self._waiting.popleft())
        return self._sent

    def stored(self, stored: Stored) -> bool:
        """Note what became of the messages that were due; returns whether the broker has to go to another offset."""
        self._waiting.extendleft(reversed(self._sent))
        self._sent, self.storing = [], None
        while self._waiting and self._waiting[0].offset < stored.end:
            self._waiting_bytes -= self._waiting.popleft().size
        while self._since and self._since[0][0] <= stored.end:
            self._since.popleft()
        self.stored_end = max(self.stored_end, stored.end)
        if stored.blocked:
            self._back_off(stored.blocked)
        else:
            self._recover()
        if self.position is not None and self.position < stored.end:
            self.position = stored.end
            return True
        return False

    def fail(self, error: GataError) -> None:
        """Note that it could not be found out where to go on, or that what was due was not stored: it waits again."""
        self._waiting.extendleft(reversed(self._sent))
        self._sent, self.storing, self.starting = [], None, None
        self._back_off(error)

    def stop(self, error: GataError) -> None:
        """Read no more of it until that is possible, which is found out now and then."""
        self.fail(error)
        self._waiting.clear()
        self._since.clear()
        self._waiting_bytes, self.position = 0, None
        self._retry_at = self.clock() + _LONGEST_PAUSE_SECONDS

    def _back_off(self, error: GataError) -> None:
        self.failure = error
        self._retry_at = self.clock() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)

    def _recover(self) -> None:
        self.failure, self._retry_at, self._pause = None, 0.0, _FIRST_PAUSE_SECONDS
