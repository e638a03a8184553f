"""Estimates the cost of a backfill before it starts: reads, calls, bytes and approximate time.

Arithmetic over counts; the constants are measured (docs/benchmarks.md) on an ordinary machine. The estimates are rough:
they tell an hour from a minute.
"""

from __future__ import annotations

from dataclasses import dataclass

# The RDS Data API: the size of a page (docs/adr/0002-data-api.md), and the calls of a read besides its pages.
_PAGE_BYTES = 900_000
_CALLS_BESIDE_PAGES = 3
# The size of a row in a page or in a file, without its text.
_ROW_BYTES = 40
# Includes the reads of older tickets: labels turn low-volume in some batches and not in others.
_READS_OF_A_SPAN = 3

_TABLE_SHARE = 0.25
_MANIFEST_BYTES = 4_000
_SECONDS_PER_RUN = 0.5
_SECONDS_PER_BATCH = 0.05
# Dagster's record of a batch, some thirty events, in a SQLite instance.
_SECONDS_PER_RECORD = 0.2
_TICKETS_PER_SECOND_BUILT = 300_000
_TICKETS_PER_SECOND_READ = 50_000


@dataclass(frozen=True)
class Volume:
    """Tickets, the bytes of their texts, and of the largest text."""

    tickets: float
    text_bytes: float
    largest_text: int = 0

    @property
    def size(self) -> float:
        """The bytes of their rows in a page or in a file."""
        return self.text_bytes + self.tickets * _ROW_BYTES


@dataclass(frozen=True)
class SpanVolume:
    """The volume of one read, shared by its batches.

    All training windows together, the older window (low-volume labels only), and the share (0 to 1) of the training
    windows that an average batch uses.
    """

    batches: int
    training: Volume
    older: Volume
    batch_share: float

    @property
    def batch(self) -> Volume:
        """What an average batch uses."""
        return Volume(
            self.training.tickets * self.batch_share + self.older.tickets,
            self.training.text_bytes * self.batch_share + self.older.text_bytes,
        )


@dataclass(frozen=True)
class BackfillEstimate:
    """The approximate cost of a backfill."""

    tickets_read: int
    database_calls: int
    bytes_read: int
    bytes_written: int
    seconds: float


def estimate_backfill(spans: list[SpanVolume], *, runs: int, has_pages: bool, is_recorded: bool) -> BackfillEstimate:
    """Sum the costs of the spans.

    Args:
        spans: The volume of each read.
        runs: How many runs there are.
        has_pages: Whether tickets come from the RDS Data API, one page per call.
        is_recorded: Whether an instance records the runs.
    """
    seconds_per_batch = _SECONDS_PER_BATCH + (_SECONDS_PER_RECORD if is_recorded else 0)
    tickets = sum(span.training.tickets + span.older.tickets for span in spans)
    read = sum(span.training.size + span.older.size for span in spans)
    batches = sum(span.batches for span in spans)
    built = sum(span.batches * span.batch.tickets for span in spans)
    files = sum(span.batches * span.batch.size for span in spans)
    reads = len(spans) * _READS_OF_A_SPAN
    calls = reads * _CALLS_BESIDE_PAGES + -(-read // _PAGE_BYTES) if has_pages else reads
    return BackfillEstimate(
        tickets_read=int(tickets),
        database_calls=int(calls),
        bytes_read=int(read),
        bytes_written=int(files * (1 + _TABLE_SHARE) + 2 * batches * _MANIFEST_BYTES),
        seconds=runs * _SECONDS_PER_RUN
        + batches * seconds_per_batch
        + built / _TICKETS_PER_SECOND_BUILT
        + tickets / _TICKETS_PER_SECOND_READ,
    )
