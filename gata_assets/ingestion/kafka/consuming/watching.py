"""What is shown of the partitions of a process: gauges of how far each is and what waits, and the lines of the log.

Lines are JSON, with topics, offsets and reasons; never what a message has.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from confluent_kafka import Consumer, KafkaException, TopicPartition

from gata_assets.errors import PartitionStoppedError
from gata_assets.ingestion.kafka.consuming.metrics import ConsumerMetrics
from gata_assets.ingestion.kafka.consuming.partition import AssignedPartition


class ConsumerLog:
    """Writes lines by `write_line`; of the same failure again and again, one."""

    def __init__(self, write_line: Callable[[str], object]) -> None:
        self._write_line = write_line
        self._failing: dict[tuple[str, int] | None, str] = {}

    def say(self, place: tuple[str, int] | None, event: str, *, reason: str = "", **facts: object) -> None:
        """Write what happened to a partition, or to no partition; `reason` is of a failure."""
        where = {"topic": place[0], "partition": place[1]} if place else {}
        line = json.dumps({"event": event, **where, **({"reason": reason} if reason else {}), **facts})
        if not reason:
            self._failing.pop(place, None)
        elif self._failing.get(place) == line:
            return
        else:
            self._failing[place] = line
        self._write_line(line)


def show_partitions(consumer: Consumer, partitions: Sequence[AssignedPartition], metrics: ConsumerMetrics) -> None:
    """Set the gauges, without asking a broker."""
    oldest = max((partition.oldest_waits_seconds for partition in partitions), default=0.0)
    metrics.set_waiting(sum(partition.waiting_bytes for partition in partitions), oldest)
    for partition in partitions:
        failure = partition.failure
        is_stopped = isinstance(failure, PartitionStoppedError)
        lost = failure.lost if isinstance(failure, PartitionStoppedError) else 0
        metrics.set_partition(
            *partition.place,
            lag=_lag(consumer, partition),
            stored=partition.stored_end,
            gap=lost,
            is_stopped=is_stopped,
        )


def _lag(consumer: Consumer, partition: AssignedPartition) -> int | None:
    """How many offsets the broker has behind the chain, as it said last; None if that is not known."""
    if partition.position is None:
        return None
    try:
        high = consumer.get_watermark_offsets(TopicPartition(*partition.place), cached=True)[1]
    except KafkaException:
        return None
    return max(high - partition.stored_end, 0) if high >= 0 else None
