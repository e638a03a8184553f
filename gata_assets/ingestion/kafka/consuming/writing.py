"""Makes the messages of one partition durable, without loss or repetition: judged, and appended to the chain.

The chain's end says what is in, never the offset that was committed. So it does not matter how a process ends, or
whether two believe that the partition is theirs: of two that write behind the same end one is first, and the other
goes on behind what it wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gata_assets.errors import RegistryError
from gata_assets.ingestion.kafka.consuming.judging import Judge
from gata_assets.ingestion.kafka.consuming.message import KafkaMessage
from gata_assets.ingestion.segments.chain import Chain, seconds_since_boot
from gata_assets.ingestion.segments.event import Event, Segment
from gata_assets.ingestion.segments.rejected import RejectedMessage
from gata_assets.storage.objects import ObjectStore

# What is only skipped is written down this late: offsets alone are read again, and come in no second time.
_SKIPPED_SECONDS, _SKIPPED_OFFSETS = 600.0, 1_000_000


@dataclass(frozen=True)
class Stored:
    """What became of messages.

    Attributes:
        end: the messages before this offset are done with.
        segment: what was written; None if nothing was, or another process was faster.
        skipped: how many we had produced ourselves.
        blocked: why those from `end` on cannot be judged yet.
    """

    end: int
    segment: Segment | None = None
    skipped: int = 0
    blocked: RegistryError | None = None


class PartitionWriter:
    """Writes the chain of one partition; one thread at a time."""

    def __init__(
        self,
        store: ObjectStore,
        topic: str,
        partition: int,
        judge: Judge,
        *,
        clock: Callable[[], float] = seconds_since_boot,
    ) -> None:
        self.topic, self.partition = topic, partition
        self._judge, self._clock = judge, clock
        self._chain = Chain(store, f"kafka/{topic}/{partition}", clock=clock)
        self._written_at = clock()

    @property
    def stream(self) -> str:
        """The name of its stream."""
        return self._chain.stream

    def end(self) -> int:
        """The offset behind the chain; 0 if nothing was ever written. Raises DamagedTableError or StoreError."""
        return self._chain.end()

    def store(self, messages: Sequence[KafkaMessage]) -> Stored:
        """Store messages in ascending order, as far as they are not stored yet.

        After an error they may be stored or not: storing them again finds that out.

        Raises:
            ValueError: A message is too large for any segment.
            ConflictError: The process slept for long; store them again.
            StoreError: The target failed.
        """
        first = end = self._chain.end()
        events: list[Event] = []
        rejected: list[RejectedMessage] = []
        skipped = 0
        blocked: RegistryError | None = None
        for message in messages:
            if message.offset < first:
                continue
            try:
                judged = self._judge.judge(self.topic, self.partition, message)
            except RegistryError as error:
                blocked = error
                break
            if isinstance(judged, Event):
                events.append(judged)
            elif judged is not None:
                rejected.append(judged)
            else:
                skipped += 1
            end = message.offset + 1
        if not (events or rejected) and (end == first or not self._is_due(end - first)):
            return Stored(end, skipped=skipped, blocked=blocked)
        segment = Segment(self.stream, first, end, tuple(events), tuple(rejected))
        appended = self._chain.append(segment)
        self._written_at = self._clock()
        return Stored(appended.end, segment if appended.is_own else None, skipped, blocked)

    def accept_gap(self, earliest: int) -> int:
        """Write down that the offsets up to `earliest` are lost; returns how many they are. Raises as `store`."""
        first = self._chain.end()
        if first >= earliest:
            return 0
        appended = self._chain.append(Segment(self.stream, first, earliest, ()))
        return earliest - first if appended.is_own else self.accept_gap(earliest)

    def _is_due(self, offsets: int) -> bool:
        return offsets >= _SKIPPED_OFFSETS or self._clock() - self._written_at >= _SKIPPED_SECONDS
