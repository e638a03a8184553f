"""What retention deletes and keeps: against an oracle in plain Python, on real stores, and killed at every call.

Real: reports, manifests and holds, the directory, S3 over HTTP (moto). Faked: the store of the properties and of kills,
which is in memory; rows are any bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from gata_assets.curation.curated.retired_days import retire_days, retired_before
from gata_assets.curation.reports import Report
from gata_assets.curation.superseding import valid_reports
from gata_assets.errors import ConflictError, DamagedTableError, DeleteDeniedError
from gata_assets.governance.retention.applying import Deleted, Retention
from gata_assets.governance.retention.holds import HOLDS, Holds
from gata_assets.governance.retention.plans import ScopePlan
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.manifests import MANIFEST_FILE, decode_manifest
from gata_assets_tests.governance.retention.worlds import (
    EVENTS,
    ITEMS,
    NOW,
    PLACES,
    RULES,
    TENANT,
    File,
    Keys,
    StoredBatch,
    World,
    any_world,
    day_of,
    expected_left,
    id_of,
    put,
    raw_key,
    scope_of,
)
from gata_assets_tests.support.faulty_store import MemoryStore

# A batch that is kept with the day and files it needs, and one of each that goes; a chain of files that goes whole.
WORLD = World(
    files=(
        File(landed=150, days=frozenset({150, 151})),
        File(landed=250, days=frozenset({250, 120})),
        File(landed=260, days=frozenset({260, 261})),
        # By its name it comes before the one that it superseded.
        File(landed=265, days=frozenset({259}), replaces=2),
        File(landed=300, days=frozenset({1}), table=ITEMS),
        File(landed=290, days=frozenset({1}), table=ITEMS, replaces=4),
        File(landed=1, days=frozenset({1, 2})),
        File(landed=220, days=frozenset({220}), outcome="refused"),
    ),
    batches=(StoredBatch(age=130, reads=30), StoredBatch(age=210, reads=30), StoredBatch(age=1, reads=30)),
    curated=frozenset({1, 2, 120, 150, 151, 250, 259}),
    leftovers=1,
)


def run(store: ObjectStore) -> tuple[ScopePlan, list[Deleted]]:
    retention, scope = Retention(store, RULES, NOW), scope_of(store)
    plan = retention.plan(scope)
    return plan, list(retention.apply(scope, plan))


def left_in(store: ObjectStore) -> set[str]:
    """The keys of a store, without what retention itself writes."""
    return {key for key in store.list_keys("") if not key.startswith(HOLDS) and key != PLACES.retired(EVENTS)}


def missing_files(store: ObjectStore) -> set[str]:
    """The files that manifests, and reports of files that count, name and that are not in a store."""
    keys = set(store.list_keys(""))
    named: set[str] = set()
    for key in keys:
        if key.endswith(f"/{MANIFEST_FILE}"):
            manifest = decode_manifest(store.read(key))
            named |= {key.removesuffix(MANIFEST_FILE) + name for name in (manifest.files if manifest else ())}
    for table in (EVENTS, ITEMS):
        reports = [Report.decode(store.read(key), key) for key in keys if key.startswith(PLACES.report(table))]
        named |= {part.key for report in valid_reports(reports) for part in report.tables}
    return named - keys


@settings(max_examples=300)
@given(any_world())
def test_what_is_left_is_what_the_oracle_says_and_the_plan_said(world: World) -> None:
    store = MemoryStore()
    keys = put(store, world)
    plan, done = run(store)
    assert left_in(store) == expected_left(world, keys)
    assert not [one.error for one in done if one.error]
    planned = [key for going in plan.going for key in going.keys]
    assert sorted(planned) == sorted(keys.all() - left_in(store))
    assert sorted(one.going.name for one in done) == sorted(going.name for going in plan.going)
    assert missing_files(store) == set()
    # Nothing more goes at once, and each that is old and stays says why.
    again, _ = run(store)
    assert (again.going, again.staying) == ([], plan.staying)


@settings(max_examples=100)
@given(any_world())
def test_days_that_went_are_recorded_so_that_nobody_builds_them_again(world: World) -> None:
    store = MemoryStore()
    keys = put(store, world)
    run(store)
    first = retired_before(store, PLACES, EVENTS)
    gone = {age for age, of_day in keys.days.items() if not set(of_day) <= left_in(store)}
    assert all(first is not None and day_of(age) < first for age in gone)
    kept = {age for age, of_day in keys.days.items() if set(of_day) <= left_in(store)}
    assert first is None or all(day_of(age) >= first for age in kept)


def test_a_store_has_what_it_should_afterwards(any_store: ObjectStore) -> None:
    keys = put(any_store, WORLD)
    plan, done = run(any_store)
    assert left_in(any_store) == expected_left(WORLD, keys)
    assert [one.error for one in done if one.error] == []
    why = {staying.name: staying.why for staying in plan.staying}
    assert "/interactions/" in why[f"{EVENTS}/{id_of(WORLD, 0)}"], "the batch whose manifest names its day"
    assert why[f"{ITEMS}/{id_of(WORLD, 5)}"] == "it counts: items is built from all files that do"
    assert f"{EVENTS}/{id_of(WORLD, 2)}" in {going.name for going in plan.going}
    assert missing_files(any_store) == set()


def test_sizes_are_what_reports_and_manifests_say() -> None:
    store = MemoryStore()
    put(store, WORLD)
    plan, _ = run(store)
    batch = next(going for going in plan.batches)
    assert batch.size == len("a.parquet") + len("b/c.parquet")
    refused = next(going for going in plan.going if going.name.endswith(id_of(WORLD, 7)))
    assert refused.size == len("content 7")


@pytest.mark.parametrize("subject", [None, "u1"])
def test_a_hold_on_a_tenant_or_a_subject_keeps_all_of_the_tenant(subject: str | None, any_store: ObjectStore) -> None:
    keys = put(any_store, WORLD)
    holds = Holds(any_store, lambda tenant, name: ["c" * 64])
    holds.add(TENANT, subject, "litigation 7", NOW)
    plan, done = run(any_store)
    assert (plan.going, done, left_in(any_store)) == ([], [], keys.all())
    assert {staying.why.partition(" since")[0] for staying in plan.staying} == {
        f"legal hold on {'one of its subjects' if subject else 'all of acme'}"
    }
    holds.remove(TENANT, subject)
    run(any_store)
    assert left_in(any_store) == expected_left(WORLD, keys)


def test_a_hold_that_comes_between_plan_and_deletion_keeps_everything() -> None:
    store = MemoryStore()
    keys = put(store, WORLD)
    retention, scope = Retention(store, RULES, NOW), scope_of(store)
    plan = retention.plan(scope)
    Holds(store).add(TENANT, None, "litigation", NOW)
    with pytest.raises(ConflictError, match="was added meanwhile"):
        list(retention.apply(scope, plan))
    assert left_in(store) == keys.all()


def test_a_hold_keeps_days_counting_too_that_nobody_has_curated_yet() -> None:
    store = MemoryStore()
    put(store, World(files=(File(landed=1, days=frozenset({1, 200})),)))
    retention, scope = Retention(store, RULES, NOW), scope_of(store)
    plan = retention.plan(scope)
    assert (plan.going, list(plan.first_days)) == ([], [EVENTS])
    Holds(store).add(TENANT, None, "litigation", NOW)
    with pytest.raises(ConflictError, match="was added meanwhile"):
        list(retention.apply(scope, plan))
    assert retired_before(store, PLACES, EVENTS) is None


def test_a_hold_that_cannot_be_read_lets_nothing_be_deleted() -> None:
    store = MemoryStore()
    put(store, WORLD)
    store.write(f"{HOLDS}{TENANT}/all.json", b"{")
    with pytest.raises(DamagedTableError, match="nothing is deleted"):
        Retention(store, RULES, NOW).plan(scope_of(store))


def test_a_role_that_may_not_delete_is_an_error_and_later_stages_are_not_begun() -> None:
    store = MemoryStore()
    keys = put(store, WORLD)
    store.can_delete = False
    _, done = run(store)
    assert [type(one.error) for one in done] == [DeleteDeniedError]
    assert done[0].going.what == "batch"
    assert left_in(store) == keys.all()
    assert retired_before(store, PLACES, EVENTS) is None, "its days would not be built again"


@dataclass
class _Deniers(MemoryStore):
    """Denies the deletion of one key."""

    denied: str = ""

    def delete(self, key: str, **conditions: Any) -> None:
        if key == self.denied:
            raise DeleteDeniedError(f"{key} may not be deleted.")
        super().delete(key, **conditions)


def test_of_a_chain_no_later_file_goes_before_the_one_that_it_superseded() -> None:
    store = _Deniers(denied=raw_key(WORLD, 2))
    put(store, WORLD)
    _, done = run(store)
    assert [one.going.name for one in done if one.error] == [f"{EVENTS}/{id_of(WORLD, 2)}"]
    reports = [Report.decode(store.read(key), key) for key in store.list_keys(PLACES.report(EVENTS))]
    assert id_of(WORLD, 3) in {report.file_id for report in reports}
    assert id_of(WORLD, 2) not in {report.file_id for report in valid_reports(reports)}, "it would count again"


@pytest.mark.parametrize("what", ["report", "raw"])
def test_a_file_that_changes_between_plan_and_deletion_stays(what: str, any_store: ObjectStore) -> None:
    put(any_store, WORLD)
    retention, scope = Retention(any_store, RULES, NOW), scope_of(any_store)
    plan = retention.plan(scope)
    key = PLACES.report(EVENTS, id_of(WORLD, 7)) if what == "report" else raw_key(WORLD, 7)
    content = any_store.read(key) + b"\n"
    any_store.write(key, content)
    [error] = [one.error for one in retention.apply(scope, plan) if one.error]
    assert isinstance(error, ConflictError)
    assert any_store.read(key) == content
    assert any_store.exists(raw_key(WORLD, 7))


def test_days_that_were_retired_by_another_command_stay_retired() -> None:
    store = MemoryStore()
    put(store, WORLD)
    retire_days(store, PLACES, EVENTS, day_of(3))
    plan, _ = run(store)
    assert retired_before(store, PLACES, EVENTS) == day_of(3)
    assert {going.name for going in plan.days} >= {f"{EVENTS}/{day_of(150)}", f"{EVENTS}/{day_of(120)}"}


def test_a_damaged_record_of_retired_days_is_an_error() -> None:
    store = MemoryStore()
    put(store, WORLD)
    store.write(PLACES.retired(EVENTS), b"{}")
    with pytest.raises(DamagedTableError, match="does not say which days were deleted"):
        Retention(store, RULES, NOW).plan(scope_of(store))


def test_rows_of_deleted_days_in_files_that_stay_are_counted() -> None:
    store = MemoryStore()
    put(store, World(files=(File(landed=1, days=frozenset({1, 200, 300})),), curated=frozenset({1, 200, 300})))
    plan, _ = run(store)
    assert plan.ignored_rows == 2


def test_a_claim_of_content_stays_while_another_file_has_the_same() -> None:
    store = MemoryStore()
    world = World(files=(File(landed=150, days=frozenset({150})), File(landed=1, days=frozenset({1}))))
    put(store, world)
    first, second = (PLACES.report(EVENTS, id_of(world, number)) for number in (0, 1))
    report = Report.decode(store.read(first), "")
    same = replace(Report.decode(store.read(second), ""), raw_sha256=report.raw_sha256)
    store.write(second, same.encode())
    run(store)
    assert not store.exists(first)
    assert store.exists(PLACES.content(EVENTS, str(report.raw_sha256)))


class Killed(BaseException):
    """The process ends: nothing after it is done."""


@dataclass
class _Killing(MemoryStore):
    """A store whose process is killed at a call: neither it nor a later one is done."""

    left: int = 10**9

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    def write(self, *arguments: Any, **named: Any) -> Any:
        self._count()
        return super().write(*arguments, **named)

    def delete(self, *arguments: Any, **named: Any) -> None:
        self._count()
        super().delete(*arguments, **named)


def _kill_at(number: int, keys: Keys, make: Callable[[], _Killing]) -> bool:
    """Kill a deletion at its n-th change, look at what is left, and go on; returns whether it was killed."""
    store = make()
    store.left = number
    is_killed = False
    try:
        run(store)
    except Killed:
        is_killed = True
    store.left = 10**9
    assert missing_files(store) == set()
    present = set(store.list_keys(""))
    unreported = {raw_key(WORLD, one) for one in range(len(WORLD.files))} & present
    reports = {
        Report.decode(store.read(key), key).raw_key
        for key in present
        if f"{TENANT}/reports/" in key and "/_" not in key
    }
    assert unreported <= reports, "a raw file without its report is validated again"
    run(store)
    assert left_in(store) == expected_left(WORLD, keys)
    return is_killed


@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.soak)])
def test_a_kill_at_any_change_leaves_nothing_that_looks_complete_and_the_next_goes_on(step: int) -> None:
    def make() -> _Killing:
        store = _Killing()
        put(store, WORLD)
        return store

    keys = put(_Killing(), WORLD)
    number = 0
    while _kill_at(number, keys, make):
        number += step
    assert number > 30


def test_a_plan_writes_nothing() -> None:
    store = MemoryStore()
    put(store, WORLD)
    before = dict(store.objects)
    Retention(store, RULES, NOW + timedelta(days=1000)).plan(scope_of(store))
    assert store.objects == before


def test_holds_are_small_objects_without_the_id_of_their_subject() -> None:
    store = MemoryStore()
    hold = Holds(store, lambda tenant, subject: ["e" * 64]).add(TENANT, "user-4711", "litigation", NOW)
    assert hold.key == f"{HOLDS}{TENANT}/{'e' * 64}.json"
    assert b"4711" not in store.read(hold.key)
    assert json.loads(store.read(hold.key))["reason"] == "litigation"
