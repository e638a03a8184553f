"""What newly closed, late, rewritten and deleted tickets ask for: which batches, under which run keys.

Decides from a census of the ticket table, from what was seen before (the cursor) and from which batches there are.
Taking a census, asking Dagster and the clock do not belong here: the present comes in as an argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from gata_assets.batches import Batch, Window, parse_batch_id
from gata_assets.tickets.arrivals.census import SECONDS_PER_DAY, DayCensus
from gata_assets.tickets.arrivals.cursor import Cursor, Seen, mark_of, read_cursor, write_cursor


@dataclass(frozen=True)
class ArrivalRules:
    """When tickets ask for batches. Periods are days; `low_volume_period_days` is the longest that a batch reads."""

    training_period_days: int
    low_volume_period_days: int
    recent_batch_days: int
    min_new_tickets: int
    first_batch_id: str


@dataclass(frozen=True)
class BatchRequest:
    """A batch to prepare: what the run is known by for ever, and why it is asked for."""

    batch_id: str
    run_key: str
    reason: str


@dataclass(frozen=True)
class Decision:
    """What a look at the table led to; the newest batch is asked for first."""

    requests: tuple[BatchRequest, ...]
    cursor: str
    message: str


def watched_window(present: datetime, rules: ArrivalRules) -> Window:
    """The days that recent batches read: up to today's midnight, since no batch holds today's tickets yet."""
    midnight = present.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Window(midnight - timedelta(days=rules.recent_batch_days + rules.low_volume_period_days), midnight)


def is_recent(batch_id: str, present: datetime, rules: ArrivalRules) -> bool:
    """Whether a batch exists and its day is one of the last `recent_batch_days`, or today."""
    batch = parse_batch_id(batch_id)
    day_of_batch, today = _day(batch.starts_at), _day(present)
    return today - rules.recent_batch_days <= day_of_batch <= today and batch_id >= rules.first_batch_id


def next_look(cursor: str | None, present: datetime, interval: timedelta) -> datetime | None:
    """When the table may be looked at again; None when it may be now (as when a clock was put back)."""
    looked_at = read_cursor(cursor).looked_at
    if looked_at is None:
        return None
    due_at = datetime.fromtimestamp(looked_at, UTC) + interval
    return due_at if due_at - interval <= present < due_at else None


def note_failed_look(cursor: str | None, present: datetime) -> str:
    """The cursor after a read that failed: nothing was seen, and all that was seen before is kept."""
    return write_cursor(replace(read_cursor(cursor), looked_at=int(present.timestamp())))


def decide(
    cursor: str | None,
    census: Sequence[DayCensus],
    existing: Iterable[str],
    present: datetime,
    rules: ArrivalRules,
) -> Decision:
    """Compare a census of `watched_window` with what was seen, and ask for the batches that it completes or changes.

    `existing` are the batches that are prepared or are being prepared; those that are not recent are passed over.

    Rows closed on a day complete the batch of the next midnight. Every batch counts the changes of the days that it
    reads until it is asked for; it is when there are `min_new_tickets` of them. A batch that appears in `existing`
    starts with the changes of this look: whether it was made before or after them is not known. Without a cursor, or
    with one that cannot be read, this look is the start: the newest complete batch is asked for if it does not exist,
    and everything else counts from here. Under other rules than before, days that were not watched count from here.
    """
    read = read_cursor(cursor)
    days = {one.day: one for one in census}
    recent = sorted({one for one in existing if is_recent(one, present, rules)})
    if read.seen is None:
        return _start(days, recent, present, rules, read.fault)
    if int(present.timestamp()) < read.seen.at:
        return Decision((), cursor or "", "The clock was put back behind the last look; nothing was compared.")
    return _compare(read.seen, days, recent, present, rules)


def _start(
    days: Mapping[int, DayCensus], recent: Sequence[str], present: datetime, rules: ArrivalRules, why: str
) -> Decision:
    today = _day(present)
    newest = _midnight_batch(today)
    trains = sum(one.tickets for one in days.values() if one.day >= today - rules.training_period_days)
    state = _State(days, rules, askings=int(present.timestamp()))
    state.pending = dict.fromkeys(recent, 0)
    is_missing = newest not in recent and is_recent(newest, present, rules)
    if is_missing and trains >= rules.min_new_tickets:
        state.ask(newest, f"the newest complete batch, with {trains:,} tickets")
    elif is_missing:
        state.unasked = trains
    said = f"{why}: what changed since the last look is not known, watching starts anew" if why else "Watching starts"
    return state.decision(present, f"{said} with {_counted(days.values())}.")


def _compare(
    seen: Seen, days: Mapping[int, DayCensus], recent: Sequence[str], present: datetime, rules: ArrivalRules
) -> Decision:
    today, last_today = _day(present), seen.at // SECONDS_PER_DAY
    first = max(seen.first_day, _day(watched_window(present, rules).start_at))
    changed = {day: _change(seen.days.get(day), days.get(day)) for day in range(first, today)}
    changes = {day: change for day, change in changed.items() if change}
    state = _State(days, rules, askings=seen.askings)
    known = {*recent, *(one for one in seen.pending if is_recent(one, present, rules))}
    state.asked = {one: digest for one, digest in seen.asked.items() if one in known}
    state.pending = {one: seen.pending.get(one, 0) + _sum(changes, *_days_read(one, rules)) for one in known}

    # The batches that days complete which ended since the last look; with none, today's, until it has been asked for.
    unasked, counted_to = seen.unasked, first
    for day in range(max(min(last_today + 1, today), today - rules.recent_batch_days), today + 1):
        batch_id = _midnight_batch(day)
        start, end = _days_read(batch_id, rules)
        unasked += _sum(changes, max(start, counted_to), end)
        counted_to = end
        if batch_id in known:
            # Those that are enough are asked for below.
            unasked = state.pending[batch_id] if state.pending[batch_id] < rules.min_new_tickets else 0
        elif unasked >= rules.min_new_tickets and is_recent(batch_id, present, rules):
            state.ask(batch_id, f"its window is complete, with at least {_tickets(unasked)} new or changed")
            unasked = 0
    for batch_id in sorted(known):
        if state.pending[batch_id] >= rules.min_new_tickets:
            waiting = _tickets(state.pending[batch_id])
            state.ask(batch_id, f"at least {waiting} of its window came late, changed or went")
    state.unasked = unasked
    said = f"at least {_tickets(sum(changes.values()))} new or changed on {_plural(len(changes), 'day')}"
    return state.decision(present, f"Saw {_counted(days.values())}; {said if changes else 'nothing has changed'}.")


class _State:
    """What a decision makes of what was seen, while it is made."""

    def __init__(self, days: Mapping[int, DayCensus], rules: ArrivalRules, askings: int) -> None:
        self.days, self.rules, self.askings = days, rules, askings
        self.pending: dict[str, int] = {}
        self.asked: dict[str, str] = {}
        self.unasked = 0
        self._requests: list[BatchRequest] = []

    def ask(self, batch_id: str, reason: str) -> None:
        """Ask for a batch, unless its window's content is again what it was last asked for with.

        The number of the asking is part of the run key, because Dagster drops for ever a key that it has seen, and
        content may come back: A, then B, then A again.
        """
        self.pending[batch_id] = 0
        start, end = _days_read(batch_id, self.rules)
        read = [one for day, one in sorted(self.days.items()) if start <= day < end]
        lines = [f"{one.day} {one.tickets} {one.fingerprint}" for one in read]
        digest = sha256("\n".join(lines).encode()).hexdigest()[:16]
        if self.asked.get(batch_id) == digest:
            return
        self.askings += 1
        self.asked[batch_id] = digest
        self._requests.append(BatchRequest(batch_id, f"{batch_id}:{digest}:{self.askings}", reason))

    def decision(self, present: datetime, message: str) -> Decision:
        """The requests, the cursor and what is said of both."""
        at = int(present.timestamp())
        marks = {day: (one.tickets, mark_of(one)) for day, one in self.days.items()}
        first_day = _day(watched_window(present, self.rules).start_at)
        seen = Seen(at, first_day, self.askings, self.unasked, self.pending, self.asked, marks)
        requests = tuple(sorted(self._requests, key=lambda one: one.batch_id, reverse=True))
        asked = [f"{one.batch_id} ({one.reason})" for one in requests]
        waiting = max([self.unasked, *self.pending.values()])
        said = [message, f"Asked for: {'; '.join(asked)}." if asked else "No batch is asked for."]
        said += [f"{waiting:,} of MIN_NEW_TICKETS={self.rules.min_new_tickets:,} are waiting."] if waiting else []
        return Decision(requests, write_cursor(Cursor(at, seen)), " ".join(said))


def _change(before: tuple[int, str] | None, now: DayCensus | None) -> int:
    """How many tickets of a day came, went or changed; at least so many, since a mark tells only that some did."""
    if before is None or now is None:
        return (before[0] if before else 0) + (now.tickets if now else 0)
    return max(abs(now.tickets - before[0]), int(before[1] != mark_of(now)))


def _days_read(batch_id: str, rules: ArrivalRules) -> tuple[int, int]:
    """The days that a batch reads, the first and the one after the last; of the first perhaps some hours only."""
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
    counted = sorted(days, key=lambda one: one.day)
    if not counted:
        return "no ticket"
    last = datetime.fromtimestamp(counted[-1].day * SECONDS_PER_DAY, UTC)
    return (
        f"{_tickets(sum(one.tickets for one in counted))} of {_plural(len(counted), 'day')}, the last {last:%Y-%m-%d}"
    )


def _tickets(count: int) -> str:
    return _plural(count, "ticket")


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
