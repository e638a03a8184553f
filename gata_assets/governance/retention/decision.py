"""What retention deletes of a scope, and what stays although it is old, and why. Pure: from names, days and reports.

A batch goes by the hour of its ID, a raw file by the instant at which it landed, a curated day by its date. What a
batch that stays was built from stays: its days, and the files with rows of them. `docs/retention.md` has the rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from gata_assets.curation.superseding import valid_reports
from gata_assets.governance.retention.plans import (
    BatchState,
    FileState,
    Going,
    ScopePlan,
    ScopeState,
    Staying,
    TableState,
)
from gata_assets.governance.retention.rules import DataType, RetentionRules


def decide(state: ScopeState, rules: RetentionRules, now: datetime) -> ScopePlan:
    """What goes and what stays of a scope."""
    cutoff = rules.cutoff(DataType.TRAINING, now)
    is_held = state.hold is not None
    old = [batch for batch in state.batches if batch.starts_at < cutoff]
    kept = [batch for batch in state.batches if is_held or batch.starts_at >= cutoff]
    training = DataType.TRAINING
    why = f"its hour is more than {rules.days[training].delete} days ago"
    going = [Going(training, "batch", batch.name, why, batch.size, batch.keys) for batch in old if not is_held]
    held = [Staying(training, "batch", batch.name, str(state.hold)) for batch in old if is_held]
    tables = [_decide_table(table, kept, state.hold, rules, now) for table in state.tables]
    return ScopePlan(
        state.name,
        tuple(going),
        {
            table.name: plan.first_days[table.name]
            for table, plan in zip(state.tables, tables, strict=True)
            if table.name in plan.first_days
        },
        tuple(day for plan in tables for day in plan.days),
        tuple(chain for plan in tables for chain in plan.files),
        tuple(leftover for plan in tables for leftover in plan.leftovers),
        (*held, *(staying for plan in tables for staying in plan.staying)),
        sum(plan.ignored_rows for plan in tables),
    )


def _decide_table(
    table: TableState, kept: Sequence[BatchState], hold: str | None, rules: RetentionRules, now: datetime
) -> ScopePlan:
    raw = DataType.RAW
    first, why_first = _first_day(table, kept, hold, rules, now)
    counting = {report.file_id for report in valid_reports(file.report for file in table.files)}
    why_kept = {
        file.name: why
        for file in table.files
        if (why := _why_needed(file, table, first, why_first, hold, is_counted=file.name in counting))
    }
    cutoff = rules.cutoff(raw, now)
    old = {file.name for file in table.files if file.report.landed_at < cutoff}
    going = old - why_kept.keys()
    _keep_superseding(table.files, going, why_kept)
    why = f"it landed more than {rules.days[raw].delete} days ago"
    entries = {
        file.name: Going(raw, "file", f"{table.name}/{file.name}", why, file.size, file.keys, file.seen)
        for file in table.files
        if file.name in going
    }
    days = [day for day in table.days if table.by_day and day.day < first and hold is None]
    why_day = f"it is more than {rules.days[raw].delete} days ago, and no batch needs it"
    first_old = rules.first_day_kept(raw, now)
    # Also days that nobody has curated yet must not be, once their files' turn has come.
    ending = {day.day for day in days} | {
        day for file in table.files if file.name in counting for day in file.report.days if day < first
    }
    is_moved = table.by_day and first > table.first_day and bool(ending)
    staying = [Staying(raw, "file", f"{table.name}/{name}", why_kept[name]) for name in sorted(old - going)]
    if table.by_day:
        why_days = hold or why_first
        staying += [
            Staying(raw, "day", f"{table.name}/{day.day}", why_days)
            for day in table.days
            if (hold or day.day >= first) and day.day < first_old
        ]
    staying += [Staying(raw, "file", key, "it is not validated yet, so its age is not known") for key in table.waiting]
    leftovers = [
        Going(raw, "leftover", key, "no raw file and no report is of it", 0, (key,)) for key in table.leftovers
    ]
    return ScopePlan(
        "",
        first_days={table.name: first} if is_moved else {},
        days=tuple(Going(raw, "day", f"{table.name}/{day.day}", why_day, day.size, day.keys) for day in days),
        files=tuple(tuple(entries[name] for name in chain) for chain in _chains(table.files, going)),
        leftovers=tuple(leftovers) if hold is None else (),
        staying=tuple(staying),
        ignored_rows=sum(
            part.rows
            for file in table.files
            if table.by_day and file.name in counting and file.name not in going
            for part in file.report.parts
            if part.day and part.day < first
        ),
    )


def _first_day(
    table: TableState, kept: Iterable[BatchState], hold: str | None, rules: RetentionRules, now: datetime
) -> tuple[date, str]:
    """The first day that is kept of a table, and why no day from there on goes."""
    if hold is not None or not table.by_day:
        return table.first_day, hold or ""
    limits = [
        (rules.first_day_kept(DataType.RAW, now), "it is not old enough"),
        (now.date() - timedelta(days=table.days_needed), "the next batches read it"),
    ]
    for batch in kept:
        if not batch.is_known:
            limits.append((date.min, f"the manifest of {batch.name} cannot be read: prepare that batch again"))
        elif batch.needs_from is not None:
            limits.append((batch.needs_from, f"the manifest of {batch.name} names its day, or one before it"))
    found, why = min(limits)
    return max(table.first_day, found), why


def _why_needed(
    file: FileState, table: TableState, first: date, why_first: str, hold: str | None, *, is_counted: bool
) -> str | None:
    """Why a file stays, whatever its age; None if nothing needs it."""
    report = file.report
    if hold is not None:
        return hold
    if file.is_changed:
        return "it was overwritten, and what is there now is not validated yet"
    if not is_counted or not report.valid:
        return None
    if not table.by_day:
        return f"it counts: {table.name} is built from all files that do"
    later = [day for day in report.days if day >= first]
    return f"it has rows of {later[0]}: {why_first}" if later else None


def _keep_superseding(files: Sequence[FileState], going: set[str], why_kept: dict[str, str]) -> None:
    """Keep files that supersede one that stays, or have claimed it: without them it would count again."""
    reports = {file.name: file.report for file in files}
    is_changed = True
    while is_changed:
        is_changed = False
        for name, report in reports.items():
            if name in going:
                continue
            claimant = [report.replaced_by] if report.replaced_by else []
            for other in (*claimant, *(new for new in going if name in reports[new].replaces)):
                if other in going:
                    going.discard(other)
                    why_kept[other] = f"it supersedes {name}, which stays"
                    is_changed = True


def _chains(files: Sequence[FileState], going: set[str]) -> list[list[str]]:
    """Files that supersede one another together, each after those that it supersedes, and after those that it claimed:
    whatever of a chain is left counts no more than before.
    """
    before: dict[str, set[str]] = {file.name: set() for file in files if file.name in going}
    for file in files:
        if file.name in going:
            before[file.name] |= going.intersection(file.report.replaces)
            if file.report.replaced_by in going:
                before[str(file.report.replaced_by)].add(file.name)
    chain_of = {name: {name} for name in before}
    for name, olds in before.items():
        for old in olds:
            joined = chain_of[name] | chain_of[old]
            chain_of |= dict.fromkeys(joined, joined)
    ordered: dict[int, list[str]] = {}
    seen: set[str] = set()

    def add(name: str) -> None:
        # A circle, which a file that came again leaves for a moment, ends here.
        if name in seen:
            return
        seen.add(name)
        for old in sorted(before[name]):
            add(old)
        ordered.setdefault(id(chain_of[name]), []).append(name)

    for name in sorted(before):
        add(name)
    return list(ordered.values())
