"""`gata backfill`: what is missing of a range, what it says before and while it works, and how it ends.

Real: the command (as a process where it is interrupted), SQLite, a Data API over PostgreSQL, files. Nothing is faked.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.batches import Batch, Window, batches_between, consecutive, parse_batch_id
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.ticket_contract.source import SourceReport, WindowRead, no_tickets
from gata_assets.tickets.backfill_estimate import SpanVolume, Volume, estimate_backfill
from gata_assets.tickets.sources.ddl import create_sqlite
from gata_assets.tickets.sources.shared_read import SharedTickets
from gata_assets.tickets.windows import BatchWindows, merge_windows, windows_of
from gata_assets_tests.conftest import SourceOf
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.command import PROGRAM, Ran, dagster_home, environment, gata, instance_of
from gata_assets_tests.support.fakes import window_read
from gata_assets_tests.support.pipelines import ticket_plan
from gata_assets_tests.support.scenario import BATCH_ID, FALLBACK_LABEL, RULES, TRAINING_WINDOW, database_rows, world

SETTINGS = {"LOW_VOLUME_THRESHOLD": "0.1", "LOW_VOLUME_FALLBACK_LABEL": str(FALLBACK_LABEL)}
FIRST, LAST = BATCH_ID, "2026010208"


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A directory with the world's tickets in it."""
    create_sqlite(tmp_path / "tickets.sqlite", database_rows(world()))
    return tmp_path


def backfill(directory: Path, *arguments: str, **variables: str) -> Ran:
    settings = {"TICKETS_URL": "sqlite:///tickets.sqlite", **SETTINGS, **variables}
    return gata(directory, "backfill", *arguments, **settings)


def files_of(directory: Path) -> dict[str, tuple[str, int]]:
    """Every file below a directory with its SHA-256 and the time of its last change."""
    return {
        str(path.relative_to(directory)): (sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_a_backfill_prepares_what_is_missing_and_says_how_far_it_is(workplace: Path) -> None:
    first = backfill(workplace, FIRST, "2026010205")
    assert first.returncode == 0, first.stderr[-2_000:]
    assert (
        "tickets            3 batches from 2026010203 to 2026010205: 0 are complete in the target, 3 to prepare"
        in first.stdout
    )
    assert "3 batches prepared, 0 failed, in 1 runs and " in first.stdout
    lines = [json.loads(line) for line in first.stderr.splitlines()]
    progress = [line for line in lines if line["event"] == "BACKFILL_PROGRESS"]
    assert [(line["done"], line["of"]) for line in progress] == [(1, 3), (2, 3), (3, 3)]
    assert progress[-1]["seconds_left"] == 0
    assert {line["batch_id"] for line in lines if line["event"] == "ASSET_MATERIALIZATION"} == {
        "2026010203",
        "2026010204",
        "2026010205",
    }
    before = files_of(workplace / "gata-data")

    # A dataset without a manifest is none: it and what lies after it are made, in a run for each stretch.
    (workplace / "gata-data/training/gata-general/2026010204/manifest.json").unlink()
    second = backfill(workplace, FIRST, LAST)
    assert second.returncode == 0
    assert "6 batches from 2026010203 to 2026010208: 2 are complete in the target, 4 to prepare" in second.stdout
    assert "4 batches prepared, 0 failed, in 2 runs" in second.stdout
    after = files_of(workplace / "gata-data")
    for path, (digest, changed_at) in before.items():
        assert after[path][0] == digest
        if "2026010204" not in path:
            assert after[path][1] == changed_at, f"{path} was written again"


def test_again_prepares_everything_and_a_step_prepares_every_so_many_hours(workplace: Path) -> None:
    assert backfill(workplace, "2026010100", "2026010400", "--every", "24h").returncode == 0
    made = {path.parent.name for path in workplace.glob("gata-data/training/gata-general/*/manifest.json")}
    assert made == {"2026010100", "2026010200", "2026010300", "2026010400"}
    nothing = backfill(workplace, "2026010100", "2026010400", "--every", "1d")
    assert "4 are complete in the target, 0 to prepare" in nothing.stdout
    again = backfill(workplace, "2026010100", "2026010400", "--every", "1d", "--again")
    assert "4 are complete in the target, 4 to prepare" in again.stdout
    assert "4 batches prepared, 0 failed, in 4 runs" in again.stdout


def test_a_plan_says_what_it_would_take_and_touches_nothing(workplace: Path) -> None:
    planned = backfill(workplace, FIRST, LAST, "--plan")
    assert planned.returncode == 0, planned.stderr
    assert not (workplace / "gata-data").exists()
    assert "6 batches from 2026010203 to 2026010208: 0 are complete in the target, 6 to prepare" in planned.stdout
    for line in (
        "runs               1",
        "tickets read       489, each once",
        "database calls     about 3",
        "written  ",
    ):
        assert line in planned.stdout
    assert "Nothing was written." in planned.stdout
    assert backfill(workplace, FIRST, LAST).returncode == 0
    before = files_of(workplace)
    planned = backfill(workplace, FIRST, LAST, "--plan")
    assert "6 are complete in the target, 0 to prepare" in planned.stdout
    assert files_of(workplace) == before


def test_batches_that_were_made_with_other_settings_are_counted_and_kept(workplace: Path) -> None:
    assert backfill(workplace, FIRST, "2026010204").returncode == 0
    other = backfill(workplace, FIRST, "2026010205", SPLIT_SEED="7")
    assert (
        "2 complete batches were built with other settings, first 2026010203; --again prepares them again"
        in other.stdout
    )
    assert "1 batches prepared" in other.stdout
    again = backfill(workplace, FIRST, "2026010205", "--again", SPLIT_SEED="7")
    assert "other settings" not in again.stdout
    assert "3 batches prepared" in again.stdout


def test_batches_that_fail_are_named_and_the_command_exits_with_1(workplace: Path) -> None:
    bad = {"text": canary("a text").upper(), "closed": TRAINING_WINDOW.start + 5}
    create_sqlite(workplace / "tickets.sqlite", database_rows([*world(), bad]))
    failed = backfill(workplace, FIRST, LAST)
    assert failed.returncode == 1
    assert "FAILED 2026010203 tickets: tickets breaks 1 rule, and nothing was written." in failed.stdout
    assert "5 batches prepared, 1 failed, in 1 runs" in failed.stdout
    assert canary("a text") not in (failed.stdout + failed.stderr).lower()
    assert backfill(workplace, "2026010204", LAST).returncode == 0


def test_a_target_that_cannot_be_written_ends_the_backfill_and_counts_what_was_not_tried(workplace: Path) -> None:
    blocked = workplace / "gata-data" / "intermediate"
    blocked.parent.mkdir()
    blocked.write_text("in the way")
    failed = backfill(workplace, "2026010100", "2026010400", "--every", "24h")
    assert failed.returncode == 1
    assert "FAILED 2026010100 tickets: " in failed.stdout
    assert "cannot be written" in failed.stdout
    assert "not tried          3 batches, from 2026010200; run this again" in failed.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("2026010205", "2026010203"), "2026010203 is before 2026010205"),
        (("2026010203", "2026013100x"), "'2026013100x' is not a batch ID"),
        (("2023010203", "2026010203"), "is before the first batch 2024010100"),
        (("2026010203", "2999010100"), "is in the future"),
        (("2026010203", "2026010205", "--every", "90m"), "'90m' is not a step: hours or days"),
        (("2026010203", "2026010205", "--every", "0h"), "'0h' is not a step"),
    ],
)
def test_wrong_arguments_are_explained_and_exit_with_2(arguments: tuple[str, ...], said: str, workplace: Path) -> None:
    ran = backfill(workplace, *arguments)
    assert ran.returncode == 2
    assert said in " ".join(ran.stderr.split())
    assert not (workplace / "gata-data").exists()


def test_a_withdrawn_manifest_is_no_dataset(tmp_path: Path, workplace: Path) -> None:
    assert backfill(workplace, FIRST, FIRST).returncode == 0
    store = LocalStoreResource(directory=str(workplace / "gata-data"))
    key = f"training/gata-low-vol/{FIRST}/manifest.json"
    assert ticket_plan(store, [FIRST]).due == ()
    manifest = json.loads(store.read(key))
    manifest["reason"] = "withdrawn: the files are being written anew; do not read them"
    store.write(key, json.dumps(manifest).encode())
    assert ticket_plan(store, [FIRST]).due == (FIRST,)
    store.write(key, b"half a mani")
    assert ticket_plan(store, [FIRST]).due == (FIRST,)


def test_datasets_of_two_runs_are_no_batch(workplace: Path) -> None:
    assert backfill(workplace, FIRST, FIRST).returncode == 0
    general = workplace / f"gata-data/training/gata-general/{FIRST}/manifest.json"
    earlier = general.read_bytes()
    more = [{"label": 101, "text": f"late {n}", "closed": TRAINING_WINDOW.start + 5 + n} for n in range(9)]
    create_sqlite(workplace / "tickets.sqlite", database_rows([*world(), *more]))
    assert backfill(workplace, FIRST, FIRST, "--again").returncode == 0
    general.write_bytes(earlier)
    mixed = backfill(workplace, FIRST, FIRST)
    assert "0 are complete in the target, 1 to prepare" in mixed.stdout
    assert general.read_bytes() != earlier


@pytest.mark.process
def test_an_interrupted_backfill_says_so_and_leaves_whole_batches(workplace: Path) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "backfill", FIRST, "2026011203"],
        cwd=workplace,
        env=environment(TICKETS_URL="sqlite:///tickets.sqlite", **SETTINGS),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    until = time.monotonic() + 300
    while len(list(workplace.glob("gata-data/training/gata-low-vol/*/manifest.json"))) < 3:
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Interrupted. What is written is complete; the same command goes on with the rest." in said
    assert "FAILED" not in said
    store = LocalStoreResource(directory=str(workplace / "gata-data"))
    batch_ids = [batch.batch_id for batch in batches_between(parse_batch_id(FIRST), parse_batch_id("2026011203"))]
    whole = ticket_plan(store, batch_ids).complete
    prepared = int(said.split(" batches prepared, 0 failed")[0].split()[-1])
    assert 0 <= len(whole) - prepared <= 2


def test_a_source_measures_what_it_would_read(source_of: SourceOf) -> None:
    bad = [{"label": None, "closed": TRAINING_WINDOW.start + 1}, {"via_channel": "api", "initial_group_id": 5}]
    source = source_of(database_rows([*world(), *bad, {"label": 101, "text": "žluť", "closed": TRAINING_WINDOW.start}]))
    for labels in (None, [101, 203], []):
        read = source.read_tickets(TRAINING_WINDOW, labels)
        sizes = pd.Series([len(text.encode()) for text in read["text"]], dtype="int64").groupby(
            read["label"].astype("object").where(read["label"].notna(), None).values, dropna=False
        )
        expected = {(None if pd.isna(label) else int(label)): (len(of), int(of.sum())) for label, of in sizes}
        found = {one.label: (one.tickets, one.text_bytes) for one in source.measure(TRAINING_WINDOW, labels)}
        assert found == expected


def test_an_estimate_grows_with_what_is_read_and_written() -> None:
    small = SpanVolume(10, Volume(1_000, 600_000), Volume(100, 60_000), batch_share=0.8)
    large = SpanVolume(720, Volume(120_000, 72_000_000), Volume(4_000, 2_400_000), batch_share=0.72)
    one = estimate_backfill([small], runs=1, has_pages=True, is_recorded=False)
    two = estimate_backfill([small, large], runs=2, has_pages=True, is_recorded=False)
    assert one.tickets_read == 1_100
    assert two.tickets_read == 125_100
    assert two.database_calls > 80 > one.database_calls
    assert estimate_backfill([small, large], runs=2, has_pages=False, is_recorded=True).database_calls < 10
    assert two.bytes_written > 720 * 54_000_000
    assert two.seconds > one.seconds > 0
    assert estimate_backfill([], runs=0, has_pages=True, is_recorded=False).database_calls == 0


def hours(numbers: list[int]) -> list[str]:
    """The batches so many hours after New Year."""
    start = parse_batch_id("2026010100").starts_at
    return [Batch(start + timedelta(hours=number)).batch_id for number in numbers]


@given(st.lists(st.integers(0, 400), unique=True, max_size=40).map(sorted))
def test_stretches_hold_every_batch_once_and_have_no_gap(numbers: list[int]) -> None:
    ranges = consecutive(hours(numbers))
    assert [one for stretch in ranges for one in stretch] == hours(numbers)
    for stretch in ranges:
        first, last = parse_batch_id(stretch[0]), parse_batch_id(stretch[-1])
        assert [batch.batch_id for batch in batches_between(first, last)] == stretch
    for before, after in pairwise(ranges):
        gap = parse_batch_id(after[0]).starts_at - parse_batch_id(before[-1]).starts_at
        assert gap.total_seconds() > 3_600


class InMemory:
    """A reader over a frame that counts how often each row is read; what SharedTickets reads through."""

    def __init__(self, tickets: pd.DataFrame) -> None:
        self.tickets = tickets
        self.reads: dict[int, int] = {}

    def read_window(self, window: Window, labels: Sequence[int] | None = None) -> WindowRead:
        read = window_read(self.tickets, window, labels)
        for ticket in read.tickets["id"]:
            self.reads[int(ticket)] = self.reads.get(int(ticket), 0) + 1
        return read

    def probe(self) -> SourceReport:
        raise AssertionError("nobody asks")


@given(
    st.lists(st.integers(0, 24 * 60), unique=True, min_size=1, max_size=12).map(sorted),
    st.sampled_from([(1, 1), (1, 5), (3, 4), (7, 30)]),
    st.lists(st.tuples(st.integers(-24 * 40, 24 * 61), st.integers(1, 4)), min_size=1, max_size=60),
    st.data(),
)
@pytest.mark.slow
def test_what_is_shared_is_what_the_source_gives_and_no_ticket_is_read_twice(
    numbers: list[int], periods: tuple[int, int], tickets: list[tuple[int, int]], data: st.DataObject
) -> None:
    start = int(parse_batch_id("2026010100").starts_at.timestamp())
    frame = pd.DataFrame(
        {
            "id": pd.array(range(len(tickets)), "Int64"),
            "closed": pd.array([start + 1_800 * hour for hour, _ in tickets], "Int64"),
            "label": pd.array([label for _, label in tickets], "Int64"),
            "text": pd.array(["text"] * len(tickets), "string[pyarrow]"),
        }
    ).sort_values(["closed", "id"], ignore_index=True)
    training_days, low_volume_days = periods
    batches = [
        BatchWindows(batch.training_window(training_days), batch.older_window(low_volume_days, training_days))
        for batch in map(parse_batch_id, hours(numbers))
    ]
    reader, plain = InMemory(frame), InMemory(frame)
    shared = SharedTickets(reader, batches)
    for windows in batches:
        labels = data.draw(st.lists(st.integers(1, 4), unique=True))
        for window, of in ((windows.training, None), (windows.older, labels)):
            found, expected = shared.read_window(window, of), plain.read_window(window, of)
            pd.testing.assert_frame_equal(found.tickets, expected.tickets)
            assert found.counts.account() == expected.counts.account()
    if len(merge_windows(batches)) == 1:
        assert max(reader.reads.values(), default=0) <= 1


def test_a_window_of_no_batch_is_refused() -> None:
    windows = windows_of(BATCH_ID, RULES)
    shared = SharedTickets(InMemory(no_tickets()), [windows])
    with pytest.raises(KeyError, match="not a window of the batches"):
        shared.read_window(Window(windows.training.start_at, windows.training.end_at + timedelta(hours=1)))


@pytest.mark.slow
def test_runs_of_a_backfill_are_recorded_where_dagster_home_is_set(workplace: Path) -> None:
    home = dagster_home(workplace)
    assert backfill(workplace, FIRST, "2026010204", DAGSTER_HOME=str(home)).returncode == 0
    with instance_of(home) as instance:
        [run] = instance.get_runs()
        assert run.status is dg.DagsterRunStatus.SUCCESS
        assert instance.get_materialized_partitions(dg.AssetKey("general_split")) == {FIRST, "2026010204"}
