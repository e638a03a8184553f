"""From raw files to curated days: what is promised for any rows, files, order and failure.

Real: files in every format, a local store, Parquet; S3 over HTTP on loopback. Faked: a store whose writes fail from a
given call on.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dagster_aws.s3 import S3Resource
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from gata_assets.errors import DamagedTableError, StoreError
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.curated.merge import curate_interactions
from gata_assets.interactions.rules import InteractionType
from gata_assets.interactions.tables import INTERACTIONS, ITEMS, TABLES
from gata_assets.storage.objects import Version
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.storage.s3 import S3StoreResource
from gata_assets.tables.columns.dictionaries import decoded
from gata_assets.tables.manifests import decode_manifest, plain_name
from gata_assets.tables.outcomes import broken
from gata_assets_tests.support.raw_worlds import (
    ENDINGS,
    NOW,
    STRICT,
    Row,
    curate_day,
    curated_bytes,
    curated_rows,
    curator_of,
    encode,
    interaction,
    item,
    quarantined,
    send,
    validate_new,
)
from gata_assets_tests.support.stored_datasets import stored_key

DAY = date(2026, 1, 2)

ROWS = st.builds(
    interaction,
    user_id=st.sampled_from(["u1", "u2", "ü 3", None]),
    item_id=st.sampled_from(["i1", 'i"2', "i,3"]),
    interaction_type=st.sampled_from([*InteractionType, "look"]),
    timestamp=st.sampled_from(
        ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.5Z", "2026-01-03T00:00:00+01:00", "2026-01-04T00:00:00", "now"]
    ),
    rating=st.sampled_from([None, "1", "4.5", "5.1"]),
    location=st.sampled_from([None, "AT", "two\nlines"]),
)


@contextmanager
def a_place() -> Iterator[Path]:
    """A directory of its own; Hypothesis runs many examples in one test's."""
    with TemporaryDirectory() as directory:
        yield Path(directory)


def curate_all(curator: Curator) -> None:
    validate_new(curator)
    assert all(made.is_written for made in curator.curate(INTERACTIONS, curator.stale(INTERACTIONS)))
    assert curator.stale(INTERACTIONS) == []


@settings(max_examples=25)
@given(rows=st.lists(ROWS, min_size=1, max_size=30), seed=st.integers(0, 99), files=st.integers(1, 4))
@pytest.mark.slow
def test_neither_the_order_of_files_nor_the_division_of_rows_changes_a_byte(
    rows: list[Row], seed: int, files: int
) -> None:
    with a_place() as one, a_place() as other:
        whole, divided = curator_of(one / "store"), curator_of(other / "store")
        send(whole, rows, one / "in")
        shuffled = random.Random(seed).sample(rows, len(rows))
        for number in range(files):
            if part := shuffled[number::files]:
                ending = ENDINGS[(seed + number) % len(ENDINGS)]
                send(divided, part, other / "in", name=f"{number}.{ending}")
        for curator in (whole, divided):
            curate_all(curator)
        assert curated_bytes(whole) == curated_bytes(divided)


@settings(max_examples=25)
@given(rows=st.lists(ROWS, min_size=1, max_size=30), garbage=st.text(st.sampled_from('a,"\n\r'), max_size=40))
@pytest.mark.slow
def test_no_row_is_lost_whatever_is_in_a_file(rows: list[Row], garbage: str) -> None:
    with a_place() as place:
        curator = curator_of(place / "store")
        content = encode(rows, "csv") + garbage.encode()
        report = send(curator, content, place / "in")
        assert report.refused is None
        assert report.valid + report.rejected == report.rows >= len(rows)
        curate_all(curator)
        made = list(curator.curate(INTERACTIONS, report.days))
        assert sum(one.rows + one.dropped for one in made) == report.valid
        assert not report.rejected or len(quarantined(curator, report)) == report.rejected


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_and_compression_gives_the_same_day(ending: str, tmp_path: Path) -> None:
    rows = [interaction(user_id=f"u{n}", rating="3.5" if n % 2 else None, location='a "b",\nc') for n in range(50)]
    plain, other = curator_of(tmp_path / "plain"), curator_of(tmp_path / "other")
    send(plain, rows, tmp_path / "in")
    send(other, rows, tmp_path / "in", name=f"file.{ending}")
    for curator in (plain, other):
        curate_all(curator)
    assert curated_bytes(plain) == curated_bytes(other)


def test_what_is_written_is_what_was_checked_whoever_reads_it(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    sent = [interaction(user_id=f"u{n % 7}" * (1 + n % 3), item_id=f"i{n % 5}", rating="2.5") for n in range(40)]
    report = send(curator, [*sent, interaction(timestamp="2026-01-03T00:00:00Z")], tmp_path / "in")
    curate_all(curator)
    made = curate_interactions(pa.concat_tables(map(curator.read_staged, report.parts)), report.days)[DAY]
    rows = next(decoded(made.coded, len(made.coded)))
    folder = curator.places.curated("interactions", DAY)
    with curator.store.local_copy(stored_key(curator.store, folder, "interactions.parquet")) as path:
        assert_frame_equal(pl.read_parquet(path), rows)
        assert_frame_equal(pl.DataFrame(pl.from_arrow(pq.read_table(path))), rows)
    for kind, name in (("user", "users"), ("item", "items")):
        with curator.store.local_copy(stored_key(curator.store, folder, f"{name}.parquet")) as path:
            expected = rows.select(f"{kind}_id", f"{kind}_key").unique().sort(f"{kind}_id")
            assert_frame_equal(pl.read_parquet(path), expected)


def test_of_an_item_the_row_that_landed_last_counts(tmp_path: Path) -> None:
    early, late = (curator_of(tmp_path / "store", now=NOW.replace(day=day)) for day in (3, 4))
    send(late, [item(title="new"), item(title="newer")], tmp_path / "in", data=ITEMS, name="a.csv")
    send(early, [item(title="old"), item(item_id="i0")], tmp_path / "in", data=ITEMS, name="b.csv")
    made = next(late.curate(ITEMS, [None]))
    assert (made.rows, made.dropped) == (2, 2)
    table = pl.read_parquet(
        io.BytesIO(late.store.read(stored_key(late.store, late.places.curated("items"), "items.parquet")))
    )
    assert table["title"].to_list() == ["A thing", "newer"]


def test_a_late_file_makes_just_its_days_stale(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    send(curator, [interaction(), interaction(timestamp="2026-01-03T00:00:00Z")], tmp_path / "in")
    curate_all(curator)
    send(curator, [interaction(user_id="late"), interaction()], tmp_path / "in", name="late.csv")
    assert curator.stale(INTERACTIONS) == [DAY]
    made = curate_day(curator, DAY)
    assert (made.rows, made.dropped) == (2, 1)
    assert curator.stale(INTERACTIONS) == []


def test_days_on_which_nothing_happened_are_curated_with_a_reason(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    send(curator, [interaction()], tmp_path / "in")
    range_ = (date(2026, 1, 1), date(2026, 1, 3))
    assert curator.stale(INTERACTIONS, *range_) == curator.days_between(*range_)
    made = {one.day: one.reason for one in curator.curate(INTERACTIONS, curator.days_between(*range_))}
    assert made == {
        date(2026, 1, 1): "no file that counts has a row of interactions on 2026-01-01",
        DAY: None,
        date(2026, 1, 3): "no file that counts has a row of interactions on 2026-01-03",
    }
    assert curator.stale(INTERACTIONS, *range_) == curator.stale(INTERACTIONS) == []
    assert curated_rows(curator).height == 1


def test_a_corrected_file_takes_the_place_of_an_earlier_one_and_may_give_it_back(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    first = send(curator, [interaction(user_id="wrong"), interaction(user_id=None)], tmp_path / "in")
    curate_all(curator)
    second = send(curator, [interaction(user_id="right")], tmp_path / "in", name="b.csv", replaces=[first.file_id])
    assert second.replaces == (first.file_id,)
    curate_all(curator)
    assert curated_rows(curator)["user_id"].to_list() == ["right"]
    assert curator.supersede(first, [second.file_id]).replaces == (second.file_id,)
    curate_all(curator)
    assert curated_rows(curator)["user_id"].to_list() == ["wrong"]


def test_tenants_touch_nothing_of_one_another(tmp_path: Path) -> None:
    store = LocalStoreResource(directory=str(tmp_path / "store"))
    valid, damaged = curator_of(store, "acme"), curator_of(store, "acme_2")
    send(valid, [interaction()], tmp_path / "in")
    curate_all(valid)
    before = {key: store.read(key) for key in store.list_keys("acme/")}
    store.write(damaged.places.raw(INTERACTIONS) + "x.parquet", b"garbage")
    store.write(damaged.places.report(INTERACTIONS) + "x.json", b"garbage")
    with pytest.raises(StoreError, match="is not a complete report"):
        validate_new(damaged)
    curate_all(valid)
    assert {key: store.read(key) for key in store.list_keys("acme/")} == before


def send_and_curate(curator: Curator, rows: Sequence[Row], directory: Path) -> None:
    send(curator, rows, directory)
    # One after the other: of two that are written at once, either may be the one that fails.
    for day in curator.stale(INTERACTIONS):
        for _ in curator.curate(INTERACTIONS, [day]):
            pass


class FailingStore(LocalStoreResource):
    """A local store whose writes fail after so many."""

    writes_left: int

    def _count(self) -> None:
        object.__setattr__(self, "writes_left", self.writes_left - 1)
        if self.writes_left < 0:
            raise StoreError("The target is away.")

    def write(self, key: str, content: bytes, **conditions: Any) -> Version:
        self._count()
        return super().write(key, content, **conditions)

    def write_file(self, key: str, path: Path, **more: Any) -> None:
        self._count()
        super().write_file(key, path, **more)


def files_of_day(curator: Curator, day: date) -> dict[str, bytes]:
    folder = curator.places.curated("interactions", day)
    return {plain_name(key): curator.store.read(key) for key in curator.store.list_keys(folder)}


def test_whichever_write_fails_no_day_is_half_and_all_is_caught_up_with(tmp_path: Path) -> None:
    rows = [interaction(), interaction(timestamp="2026-01-03T00:00:00Z"), interaction(user_id=None)]
    expected = curator_of(tmp_path / "expected")
    send(expected, rows, tmp_path / "in")
    curate_all(expected)
    days = expected.days_between(DAY, date(2026, 1, 3))
    whole_days = []
    for writes in range(50):
        directory = str(tmp_path / f"store {writes}")
        failing = curator_of(FailingStore(directory=directory, writes_left=writes))
        try:
            send_and_curate(failing, rows, tmp_path / "in")
        except StoreError:
            assert failing.store.writes_left < 0
        else:
            break
        curator = curator_of(LocalStoreResource(directory=directory))
        stale = curator.stale(INTERACTIONS, days[0], days[-1])
        for day in days:
            if day not in stale:
                found, wanted = files_of_day(curator, day), files_of_day(expected, day)
                manifests = [
                    decode_manifest(files.pop(f"{curator.places.curated('interactions', day)}manifest.json"))
                    for files in (found, wanted)
                ]
                assert found == wanted
                assert [manifest and manifest.digest for manifest in manifests] == [manifests[0].digest] * 2
        whole_days.append(len(days) - len(stale))
        send(curator, rows, tmp_path / "in")
        curate_all(curator)
        assert curated_bytes(curator) == curated_bytes(expected)
    # Then no write fails any more. Before, those of the file and of a day failed in turn, and again with a day whole.
    assert 0 < len(whole_days) < 50
    assert whole_days == sorted(whole_days)
    assert whole_days.count(0) > whole_days.count(1) >= 4


def test_a_day_that_could_not_be_rebuilt_stays_as_it_was_and_is_stale(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    send(curator, [interaction()], tmp_path / "in")
    curate_all(curator)
    before = files_of_day(curator, DAY)
    send(curator, [interaction(user_id="u2")], tmp_path / "in", name="b.csv")
    failing = curator_of(FailingStore(directory=str(tmp_path / "store"), writes_left=2))
    with pytest.raises(StoreError):
        curate_day(failing, DAY)
    assert files_of_day(curator, DAY) == before
    assert curator.stale(INTERACTIONS) == [DAY]


def test_a_part_that_is_gone_fails_the_check_and_leaves_the_day_as_it_was(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    report = send(curator, [interaction()], tmp_path / "in")
    curator.store.delete(report.parts[0].key)
    made = curate_day(curator, DAY)
    assert not made.is_written
    (lost,) = broken(made.outcomes["no_row_is_lost"])
    assert (lost.rule, lost.failed) == ("staged parts have the rows that were validated", 1)
    assert not curator.store.exists(curator.places.curated("interactions", DAY) + "manifest.json")
    curator.validate(report.raw_key)
    assert curate_day(curator, DAY).is_written


def test_no_value_of_a_row_is_in_reports_or_manifests(tmp_path: Path) -> None:
    secret = "hidden7719"
    curator = curator_of(tmp_path / "store", rules=STRICT)
    columns = [column.name for column in TABLES[INTERACTIONS].raw_columns]
    rows: Sequence[Row] = [interaction(**{name: secret}) for name in columns] + [interaction(user_id=secret)]
    send(curator, [item(item_id=secret), item()], tmp_path / "in", data=ITEMS)
    curator.refresh(ITEMS)
    send(curator, rows, tmp_path / "in")
    curate_all(curator)
    told = [key for key in curator.store.list_keys("") if key.endswith(".json")]
    # Of each file a report and the claim of its content, and the manifests of an event day and of the items.
    assert len(told) == 6
    assert [key for key in told if secret.encode() in curator.store.read(key) or secret in key] == []


def test_a_bucket_holds_what_a_directory_holds(bucket: str, tmp_path: Path) -> None:
    rows = [interaction(user_id=f"u{n}", timestamp=f"2026-01-0{1 + n % 3}T00:00:00Z") for n in range(30)]
    local, remote = curator_of(tmp_path / "store"), curator_of(S3StoreResource(bucket=bucket, s3=S3Resource()))
    for curator in (local, remote):
        send(curator, [*rows, interaction(rating="9")], tmp_path / "in")
        curate_all(curator)
    local_keys, remote_keys = (map(plain_name, curator.store.list_keys("acme/")) for curator in (local, remote))
    assert sorted(local_keys) == sorted(remote_keys)
    assert curated_bytes(local) == curated_bytes(remote)


def test_what_is_of_no_day_is_reported_by_its_key(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    curator.store.write(f"{curator.places.curated('interactions')}old/manifest.json", b"{}")
    with pytest.raises(DamagedTableError, match=r"acme/curated/interactions/old/manifest.json is of no day"):
        curator.stale(INTERACTIONS)
