"""How events prove themselves to whoever verifies the target. Real: segments and files of events. Faked: the store."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest

from gata_assets.errors import DamagedTableError
from gata_assets.governance.trust.names import Role
from gata_assets.governance.trust.proofs import encode_proven, read_proven
from gata_assets.ingestion.segments.chain import Chain, segment_key
from gata_assets.ingestion.segments.coding.proofs import check_of, faults, names_of_report
from gata_assets.ingestion.segments.raw_files import ORIGIN_SCHEMA
from gata_assets.ingestion.segments.rollup import RollUp, RollUpRules
from gata_assets.interactions.tables import INTERACTIONS
from gata_assets_tests.support.event_worlds import OTHER, START, STREAM, event, segment_of
from gata_assets_tests.support.memory_store import MemoryStore, PausingStore
from gata_assets_tests.support.raw_worlds import curator_of


def with_segments(store: MemoryStore, count: int, stream: str = STREAM) -> list[str]:
    """Segments of two events each, by their keys."""
    chain, keys = Chain(store, stream), []
    for number in range(count):
        first = chain.end()
        keys.append(segment_key(stream, first))
        assert chain.append(segment_of([event(number), event(number + 1)], first=first, stream=stream)).is_own
    return keys


def roll_up(store: MemoryStore, hours: int = 10) -> None:
    for _ in RollUp(store, lambda: START + timedelta(hours=hours), RollUpRules()).run():
        pass


def test_each_segment_is_checked_with_its_place() -> None:
    store = MemoryStore()
    first, second = with_segments(store, 2)
    check = check_of(first)
    assert check
    check(store, first)
    store.write(second, store.read(first))
    with pytest.raises(DamagedTableError, match="a segment of another place"):
        check(store, second)


@pytest.mark.parametrize(
    "key",
    [
        "ingestion/segments/http/00000000000000aa/1.arrow",
        "ingestion/segments/http/00000000000000aa/00000000000000000001.parquet",
        "ingestion/rolled_up/http/00000000000000aa.json",
        "acme/events/interactions/a.parquet",
        "acme/raw/interactions/2026-01-10/events-http-2026011009-0-0.jsonl.zst",
    ],
)
def test_other_objects_are_not_checked(key: str) -> None:
    assert check_of(key) is None


@pytest.mark.parametrize("missing", [0, 1, 2, 3])
def test_a_gap_in_a_chain_is_found_behind_what_is_rolled_up(missing: int) -> None:
    store = MemoryStore()
    with_segments(store, 3, OTHER)
    keys = with_segments(store, 4)
    assert list(faults(store)) == []
    store.delete(keys[missing])
    # Nothing shows that there was another one behind the last.
    assert [fault.key for fault in faults(store)] == ([] if missing == 3 else [keys[missing]])
    roll_up_alone = MemoryStore()
    keys = with_segments(roll_up_alone, 4)
    roll_up(roll_up_alone)
    roll_up_alone.delete(keys[missing])
    assert list(faults(roll_up_alone)) == []


def test_a_chain_that_is_rolled_up_and_deleted_meanwhile_has_no_fault() -> None:
    def world() -> MemoryStore:
        store = MemoryStore()
        with_segments(store, 3)
        return store

    calls = PausingStore(world(), 0, lambda: None)
    assert list(faults(calls)) == []

    def meanwhile(store: MemoryStore) -> None:
        for hours in (10, 20, 30):
            roll_up(store, hours)

    for call in range(1, calls.calls + 1):
        store = world()
        assert list(faults(PausingStore(store, call, lambda store=store: meanwhile(store)))) == []  # type: ignore[misc]
        assert not list(store.list_keys("ingestion/segments/"))


def test_origins_are_named_by_the_report_of_their_raw_file_and_count_from_1() -> None:
    store = MemoryStore()
    with_segments(store, 2)
    roll_up(store)
    [report] = curator_of(store, now=START + timedelta(hours=2)).validate_new(INTERACTIONS)
    [name] = names_of_report("", report)
    check = check_of(name.key)
    assert (name.role, name.sha256, store.exists(name.key)) == (Role.BESIDE, None, True)
    assert check
    check(store, name.key)
    rows = read_proven(store, name.key)
    for wrong in (rows.take([*range(len(rows))[::-1]]), pa.concat_tables([rows, rows]), rows.drop_columns(["form"])):
        store.write(name.key, encode_proven(wrong))
        with pytest.raises(DamagedTableError):
            check(store, name.key)
    assert rows.schema.names == ORIGIN_SCHEMA.names
