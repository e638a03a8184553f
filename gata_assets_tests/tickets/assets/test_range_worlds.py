"""Ranges over random small worlds with bad rows: files and failures as those of their batches one by one.

Real: Dagster's runs and events, files. The source is a table in a file: unlike the databases' tables, it may hold
missing values and the same id twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import dagster as dg
import pandas as pd
import pytest

from gata_assets.batches import Window, batches_between, parse_batch_id
from gata_assets.errors import SourceError
from gata_assets.orchestration.failures import BatchFailure, read_failures
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.ticket_contract.census import DayCensus
from gata_assets.ticket_contract.source import LabelVolume, SourceReport, TicketSource, WindowRead
from gata_assets.tickets.sources.sqlite import SqliteTickets
from gata_assets_tests.support.fakes import window_read
from gata_assets_tests.support.scenario import BATCH_ID, world
from gata_assets_tests.tickets.assets.test_ranges import content_of, run_range, sqlite_of

FIRST, LAST = parse_batch_id("2026010222"), parse_batch_id("2026010301")
BATCHES = [batch.batch_id for batch in batches_between(FIRST, LAST)]
# Short windows, so that a row is often in one batch's and not in the next one's.
SETTINGS = {
    "TRAINING_PERIOD": "2",
    "LOW_VOLUME_PERIOD": "5",
    "LOW_VOLUME_THRESHOLD": "0.3",
    "LOW_VOLUME_MIN_COUNT": "3",
}


class TicketsOfAFile(TicketSource):
    """The rows of a Parquet file, as they are."""

    path: str

    def read_window(self, window: Window, labels: Sequence[int] | None = None) -> WindowRead:
        """See TicketSource."""
        tickets = pd.read_parquet(self.path, dtype_backend="numpy_nullable")
        tickets = tickets.astype({"text": "string[pyarrow]"})
        return window_read(tickets, window, labels)

    def take_census(self, window: Window) -> tuple[DayCensus, ...]:
        """Nobody asks."""
        raise NotImplementedError

    def measure(self, window: Window, labels: Sequence[int] | None = None) -> tuple[LabelVolume, ...]:
        """Nobody asks."""
        raise NotImplementedError

    def probe(self) -> SourceReport:
        """Nobody asks."""
        raise NotImplementedError


class TicketsUntilARead(SqliteTickets):
    """The tickets of a SQLite file, until the n-th read; `counter` is a file that counts."""

    counter: str
    breaks_at: int

    def read_window(self, window: Window, labels: Sequence[int] | None = None) -> WindowRead:
        """Read, until it is this call's turn to fail."""
        with Path(self.counter).open("a") as file:
            file.write("x")
        if Path(self.counter).stat().st_size >= self.breaks_at:
            raise SourceError("the database broke")
        return super().read_window(window, labels)


def random_world(random: Random) -> pd.DataFrame:
    """Tickets of labels of very different sizes, many at the windows' borders, some texts shared; and bad rows."""
    first, last = int(FIRST.starts_at.timestamp()), int(LAST.starts_at.timestamp())
    labels = random.sample([0, 5, 7, 8, 10**10], 4)
    weights = random.choices([2, 6, 30], k=4)
    rows: list[list[object]] = []
    for number in range(random.choice([60, 150])):
        closed = random.choice([random.randrange(first - 5 * 86_400, last), first + 3_600 * random.randrange(-52, 4)])
        text = f"text {random.randrange(random.choice([20, 400]))}"
        rows.append([number, closed, random.choices(labels, weights)[0], text])
    for fault in random.choices(["no label", "no text", "capitals", "twice", "moved", "none"], k=2):
        near_start = first - 2 * 86_400 + random.randrange(4 * 3_600)
        row = random.choice(rows)
        bad = [row[0] if fault in ("twice", "moved") else len(rows), near_start, row[2], row[3]]
        if fault == "twice":
            bad[1] = row[1]
        elif fault == "no label":
            bad[2] = None
        elif fault in ("no text", "capitals"):
            bad[3] = None if fault == "no text" else "CAPITALS"
        if fault != "none":
            rows.append(bad)
    frame = pd.DataFrame(rows, columns=["id", "closed", "label", "text"])
    return frame.astype({"id": "Int64", "closed": "Int64", "label": "Int64", "text": "string"})


def prepare(
    source: TicketSource, store: LocalStoreResource, first: str, last: str, **settings: str
) -> list[BatchFailure]:
    """Run a range in an instance of its own; what failed of it."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = run_range(instance, source, store, first, last, selection=None, **SETTINGS, **settings)
        events = result.filter_events(lambda event: event.is_step_failure)
        return [failure for event in events for failure in read_failures(event, first)]


# Of pandera, for a table that breaks several rules, one of them by missing values.
@pytest.mark.filterwarnings("ignore:The behavior of DataFrame concatenation:FutureWarning")
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, 24))])
@pytest.mark.slow
def test_a_range_writes_and_refuses_what_its_batches_would_one_by_one(seed: int, tmp_path: Path) -> None:
    random = Random(seed)
    random_world(random).to_parquet(tmp_path / "tickets.parquet")
    source = TicketsOfAFile(path=str(tmp_path / "tickets.parquet"))
    settings = {
        "SPLIT_METHOD": random.choice(["by-text", "by-text", "sklearn"]),
        "LOW_VOLUME_POLICY": random.choice(["documented", "router"]),
        "BACKFILL_CHUNK": random.choice(["3", "744"]),
    }
    alone, together = (LocalStoreResource(directory=str(tmp_path / name)) for name in ("alone", "together"))
    expected = [failure for batch_id in BATCHES for failure in prepare(source, alone, batch_id, batch_id, **settings)]
    found = prepare(source, together, BATCHES[0], BATCHES[-1], **settings)
    assert sorted(map(str, found)) == sorted(map(str, expected))
    assert content_of(together.directory) == content_of(alone.directory)


def test_a_database_that_breaks_stops_the_run_and_the_batch_before_is_recorded(tmp_path: Path) -> None:
    # Two reads a batch, since each is read by itself: the fifth is the third batch's first.
    path = sqlite_of(tmp_path, world()).path
    source = TicketsUntilARead(path=path, counter=str(tmp_path / "reads"), breaks_at=5)
    store = LocalStoreResource(directory=str(tmp_path / "target"))
    with dg.DagsterInstance.ephemeral() as instance:
        result = run_range(instance, source, store, BATCH_ID, "2026010208", BACKFILL_CHUNK="1")
        recorded = instance.get_materialized_partitions(dg.AssetKey("low_volume_split"))
    [failed] = result.filter_events(lambda event: event.is_step_failure)
    [failure] = read_failures(failed, BATCH_ID)
    assert (failure.batch_id, failure.reason, failure.would_fail_all) == ("2026010205", "the database broke", True)
    assert recorded == {"2026010203", "2026010204"}
    assert "1 of 6 batches failed, 3 were not tried" in str(failed.step_failure_data.user_failure_data)
