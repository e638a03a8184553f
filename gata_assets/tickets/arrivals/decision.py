"""Which batches to request for newly closed, late, changed and deleted tickets, and under which run keys.

Decides from a census of the ticket table, the previous snapshot (the cursor) and the existing batches. Taking a census,
calling Dagster and reading the clock do not belong here: the current time is an argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from gata_assets.batches import Batch, Window, parse_batch_id
from gata_assets.ticket_contract.census import SECONDS_PER_DAY, DayCensus
from gata_assets.tickets.arrivals.cursor import Cursor, Snapshot, mark_of, read_cursor, write_cursor


@dataclass(frozen=True)
class ArrivalRules:
    """When to request batches. Periods are days; `low_volume_period_days` is the longest that a batch reads."""

    training_period_days: int
    low_volume_period_days: int
    recent_batch_days: int
    min_new_tickets: int
    first_batch_id: str


@dataclass(frozen=True)
class BatchRequest:
    """A batch to prepare, the run key that identifies this request forever, and the reason."""

    batch_id: str
    run_key: str
    reason: str


@dataclass(frozen=True)
class Decision:
    """The result of a poll: requests (newest batch first), the new cursor, and a message."""

    requests: tuple[BatchRequest, ...]
    cursor: str
    message: str


def watched_window(now: datetime, rules: ArrivalRules) -> Window:
    """The days that recent batches read: up to today's midnight, since no batch contains today's tickets yet."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Window(midnight - timedelta(days=rules.recent_batch_days + rules.low_volume_period_days), midnight)


def is_recent(batch_id: str, now: datetime, rules: ArrivalRules) -> bool:
    """Whether a batch is not before the first one, and its day is one of the last `recent_batch_days`, or today."""
    batch = parse_batch_id(batch_id)
    day_of_batch, today = _day(batch.starts_at), _day(now)
    return today - rules.recent_batch_days <= day_of_batch <= today and batch_id >= rules.first_batch_id


def next_poll_at(cursor: str | None, now: datetime, interval: timedelta) -> datetime | None:
    """When the next poll is due; None if it is due now (also after the clock was set back)."""
    polled_at = read_cursor(cursor).polled_at
    if polled_at is None:
        return None
    due_at = datetime.fromtimestamp(polled_at, UTC) + interval
    return due_at if due_at - interval <= now < due_at else None


def record_failed_poll(cursor: str | None, now: datetime) -> str:
    """The cursor after a failed read, with the previous snapshot."""
    return write_cursor(replace(read_cursor(cursor), polled_at=int(now.timestamp())))


def decide(
    cursor: str | None, census: Sequence[DayCensus], existing: Iterable[str], now: datetime, rules: ArrivalRules
) -> Decision:
    """Compare a census with the previous snapshot, and request the batches that it completes or changes.

    Tickets closed on a day complete the batch of the next midnight. Every batch accumulates the changes on the days
    that it reads and is requested once there are `min_new_tickets` of them. A batch that is new in `existing` starts
    with the changes of this poll, since it may have been built before or after them. Without a usable cursor this poll
    is the baseline: the newest complete batch is requested if it does not exist, and all other changes count from here.
    If the rules changed, days that were not watched before count from here.

    Args:
        cursor: The stored cursor, if any.
        census: The days of `watched_window`.
        existing: The batches that are prepared or in progress; those that are not recent are ignored.
        now: The current time, timezone-aware.
        rules: The periods and the threshold.
    """
    stored = read_cursor(cursor)
    days = {day.day: day for day in census}
    recent = sorted({batch_id for batch_id in existing if is_recent(batch_id, now, rules)})
    if stored.snapshot is None:
        return _start(days, recent, now, rules, stored.fault)
    if int(now.timestamp()) < stored.snapshot.taken_at:
        return Decision((), cursor or "", "The clock was set back to before the last poll; nothing was compared.")
    return _compare(stored.snapshot, days, recent, now, rules)


def _start(
    days: Mapping[int, DayCensus], recent: Sequence[str], now: datetime, rules: ArrivalRules, fault: str
) -> Decision:
    today = _day(now)
    newest = _midnight_batch(today)
    tickets = sum(day.tickets for day in days.values() if day.day >= today - rules.training_period_days)
    state = _State(days, rules, request_count=int(now.timestamp()))
    state.pending = dict.fromkeys(recent, 0)
    is_missing = newest not in recent and is_recent(newest, now, rules)
    if is_missing and tickets >= rules.min_new_tickets:
        state.request(newest, f"the newest complete batch, with {tickets:,} tickets")
    elif is_missing:
        state.unrequested = tickets
    baseline = f"{fault}: changes since the last poll are unknown. New baseline" if fault else "Baseline"
    return state.decision(now, f"{baseline}: {_counted(days.values())}.")


def _compare(
    snapshot: Snapshot, days: Mapping[int, DayCensus], recent: Sequence[str], now: datetime, rules: ArrivalRules
) -> Decision:
    today, last_today = _day(now), snapshot.taken_at // SECONDS_PER_DAY
    first = max(snapshot.first_day, _day(watched_window(now, rules).start_at))
    changed = {day: _change(snapshot.days.get(day), days.get(day)) for day in range(first, today)}
    changes = {day: change for day, change in changed.items() if change}
    state = _State(days, rules, request_count=snapshot.request_count)
    known = {*recent, *(batch_id for batch_id in snapshot.pending if is_recent(batch_id, now, rules))}
    state.requested = {batch_id: digest for batch_id, digest in snapshot.requested.items() if batch_id in known}
    state.pending = {
        batch_id: snapshot.pending.get(batch_id, 0) + _sum(changes, *_days_read(batch_id, rules)) for batch_id in known
    }

    # The batches completed by days that ended since the last poll; if none ended, today's, until it is requested.
    unrequested, counted_to = snapshot.unrequested, first
    for day in range(max(min(last_today + 1, today), today - rules.recent_batch_days), today + 1):
        batch_id = _midnight_batch(day)
        start, end = _days_read(batch_id, rules)
        unrequested += _sum(changes, max(start, counted_to), end)
        counted_to = end
        if batch_id in known:
            # Batches that reach the threshold are requested below.
            unrequested = state.pending[batch_id] if state.pending[batch_id] < rules.min_new_tickets else 0
        elif unrequested >= rules.min_new_tickets and is_recent(batch_id, now, rules):
            state.request(batch_id, f"its window is complete, with at least {_tickets(unrequested)} new or changed")
            unrequested = 0
    for batch_id in sorted(known):
        if state.pending[batch_id] >= rules.min_new_tickets:
            pending = _tickets(state.pending[batch_id])
            state.request(batch_id, f"at least {pending} in its window arrived late, changed or disappeared")
    state.unrequested = unrequested
    difference = f"at least {_tickets(sum(changes.values()))} new or changed on {_plural(len(changes), 'day')}"
    return state.decision(now, f"Found {_counted(days.values())}; {difference if changes else 'nothing has changed'}.")


class _State:
    """The state of a decision: the counters and requests of the next cursor."""

    def __init__(self, days: Mapping[int, DayCensus], rules: ArrivalRules, request_count: int) -> None:
        self.days, self.rules, self.request_count = days, rules, request_count
        self.pending: dict[str, int] = {}
        self.requested: dict[str, str] = {}
        self.unrequested = 0
        self._requests: list[BatchRequest] = []

    def request(self, batch_id: str, reason: str) -> None:
        """Request a batch, unless its window has the same content as in its last request.

        The request count is part of the run key, because Dagster ignores a key that it has seen, and content may
        return: A, then B, then A again.
        """
        self.pending[batch_id] = 0
        start, end = _days_read(batch_id, self.rules)
        read = [count for day, count in sorted(self.days.items()) if start <= day < end]
        lines = [f"{count.day} {count.tickets} {count.fingerprint}" for count in read]
        digest = sha256("\n".join(lines).encode()).hexdigest()[:16]
        if self.requested.get(batch_id) == digest:
            return
        self.request_count += 1
        self.requested[batch_id] = digest
        self._requests.append(BatchRequest(batch_id, f"{batch_id}:{digest}:{self.request_count}", reason))

    def decision(self, now: datetime, message: str) -> Decision:
        """Return the requests, the new cursor and a message about them."""
        snapshot = Snapshot(
            taken_at=int(now.timestamp()),
            first_day=_day(watched_window(now, self.rules).start_at),
            request_count=self.request_count,
            unrequested=self.unrequested,
            pending=self.pending,
            requested=self.requested,
            days={day: (count.tickets, mark_of(count)) for day, count in self.days.items()},
        )
        requests = tuple(sorted(self._requests, key=lambda request: request.batch_id, reverse=True))
        listed = "; ".join(f"{request.batch_id} ({request.reason})" for request in requests)
        sentences = [message, f"Requested: {listed}." if requests else "No batch requested."]
        if pending := max([self.unrequested, *self.pending.values()]):
            sentences.append(f"{pending:,} of MIN_NEW_TICKETS={self.rules.min_new_tickets:,} are pending.")
        return Decision(requests, write_cursor(Cursor(snapshot.taken_at, snapshot)), " ".join(sentences))


def _change(before: tuple[int, str] | None, now: DayCensus | None) -> int:
    """The least number of a day's tickets that were added, deleted or changed; equal counts may hide more changes."""
    if before is None or now is None:
        return (before[0] if before else 0) + (now.tickets if now else 0)
    return max(abs(now.tickets - before[0]), int(before[1] != mark_of(now)))


def _days_read(batch_id: str, rules: ArrivalRules) -> tuple[int, int]:
    """The days `[first, end)` that a batch reads; of the first day perhaps only some hours."""
    batch = parse_batch_id(batch_id)
    end = _day(batch.starts_at)
    return end - rules.low_volume_period_days, end


def _sum(changes: Mapping[int, int], start: int, end: int) -> int:
    return sum(change for day, change in changes.items() if start <= day < end)


def _day(instant: datetime) -> int:
    return int(instant.timestamp()) // SECONDS_PER_DAY


def _midnight_batch(day: int) -> str:
    return Batch(datetime.fromtimestamp(day * SECONDS_PER_DAY, UTC)).batch_id


def _counted(days: Iterable[DayCensus]) -> str:
    counted = sorted(days, key=lambda day: day.day)
    if not counted:
        return "no ticket"
    last = datetime.fromtimestamp(counted[-1].day * SECONDS_PER_DAY, UTC)
    tickets = _tickets(sum(day.tickets for day in counted))
    return f"{tickets} on {_plural(len(counted), 'day')}, the last {last:%Y-%m-%d}"


def _tickets(count: int) -> str:
    return _plural(count, "ticket")


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
