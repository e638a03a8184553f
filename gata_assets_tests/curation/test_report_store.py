"""Reports as they stand: each is read once in a run, and none that somebody has written over since.

Real: files below a directory, `gata prepare` without its tickets over S3 on loopback, a proxy that counts. Faked: a
directory that counts what is read of it, and one whose listing lags behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import pytest
from dagster_aws.s3 import S3Resource
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.curation.layout import TenantLayout
from gata_assets.curation.report_store import ReportStore
from gata_assets.curation.reports import Report
from gata_assets.errors import DamagedTableError
from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets.orchestration.runs import Runs
from gata_assets.settings.model import Settings, parse_settings
from gata_assets.storage.local import LocalStore
from gata_assets.storage.s3 import S3StoreResource
from gata_assets_tests.support.fault_proxy import S3_ERROR, FaultProxy, Faults
from gata_assets_tests.support.pipelines import run_pipelines
from gata_assets_tests.support.raw_worlds import NOW

BATCH = "2026010203"
NAMES = "abc"
KIND = INTERACTIONS
PLACES = TenantLayout("acme")


class CountingReads(LocalStore):
    """A directory that counts what is read of it, by key."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory)
        self.reads: Counter[str] = Counter()

    def read(self, key: str) -> bytes:
        """Count, then read."""
        self.reads[key] += 1
        return super().read(key)


class LaggingListing(LocalStore):
    """A directory that lists an object in the first version for ever."""

    def __init__(self, directory: str) -> None:
        super().__init__(directory)
        self._first: dict[str, str] = {}

    def list_versions(self, prefix: str) -> Iterator[tuple[str, str]]:
        """List what was there first."""
        for key, version in super().list_versions(prefix):
            yield key, self._first.setdefault(key, version)


def report_of(name: str, rows: int = 1) -> Report:
    return Report(KIND, name, f"{name}.csv", NOW, "rules", rows=rows)


def write(reports: ReportStore, report: Report) -> None:
    """Write a report whatever another process has written before."""
    reports.change(None, report, lambda _: [report])


@given(steps=st.lists(st.tuples(st.booleans(), st.sampled_from(NAMES), st.integers(0, 3)), max_size=12))
def test_what_is_reported_is_what_is_stored_whoever_wrote_or_removed_it(
    tmp_path_factory: pytest.TempPathFactory, steps: Sequence[tuple[bool, str, int]]
) -> None:
    store = LocalStore(str(tmp_path_factory.mktemp("target")))
    mine, others = ReportStore(store, PLACES), ReportStore(store, PLACES)
    for is_mine, name, rows in steps:
        if rows:
            write(mine if is_mine else others, report_of(name, rows))
        else:
            store.delete(PLACES.report(KIND, name))
        stands = ReportStore(store, PLACES).read_all(KIND)
        assert mine.read_all(KIND) == stands
        assert mine.find(KIND, name) == (report_of(name, rows) if rows else None)


def test_only_what_was_written_since_is_read_again(tmp_path: Path) -> None:
    store = CountingReads(str(tmp_path))
    mine, others = ReportStore(store, PLACES), ReportStore(store, PLACES)
    keys = {name: PLACES.report(KIND, name) for name in NAMES}
    for name in NAMES:
        write(others, report_of(name))
    for _ in range(3):
        assert [one.file_id for one in mine.read_all(KIND)] == list(NAMES)
        assert mine.read_all(ITEMS) == []
    assert store.reads == dict.fromkeys(keys.values(), 1)
    write(others, report_of("a", rows=2))
    write(mine, report_of("b", rows=3))
    for _ in range(3):
        assert [one.rows for one in mine.read_all(KIND)] == [2, 3, 1]
    assert store.reads == {keys["a"]: 2, keys["b"]: 2, keys["c"]: 1}


def test_what_it_wrote_itself_is_seen_also_where_the_listing_lags(tmp_path: Path) -> None:
    mine = ReportStore(LaggingListing(str(tmp_path)), PLACES)
    for rows in (1, 2, 3):
        write(mine, report_of("a", rows))
        assert mine.read_all(KIND) == [report_of("a", rows)]


def test_a_damaged_report_is_reported_each_time_until_it_is_repaired(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    mine = ReportStore(store, PLACES)
    for name in NAMES:
        write(mine, report_of(name))
    mine.read_all(KIND)
    store.write(PLACES.report(KIND, "b"), b"{}")
    for _ in range(2):
        with pytest.raises(DamagedTableError, match=r"b\.json is not a complete report"):
            mine.read_all(KIND)
    mended = replace(report_of("b"), rows=5)
    store.delete(PLACES.report(KIND, "b"))
    write(mine, mended)
    assert mine.read_all(KIND) == [report_of("a"), mended, report_of("c")]


@pytest.fixture
def faults() -> Faults:
    """What S3 was asked for; nothing fails."""
    return Faults()


@pytest.fixture
def settings(bucket: str, moto_url: str, faults: Faults, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """One tenant, a short window, and a bucket that is asked through a proxy."""
    with FaultProxy("s3", moto_url, faults, S3_ERROR) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield parse_settings(
            {
                "TICKETS_URL": "sqlite:///tickets.sqlite",
                "LOW_VOLUME_FALLBACK_LABEL": "9000",
                "TENANTS": "acme",
                "INTERACTION_PERIOD": "3",
                "TARGET_BUCKET": bucket,
            }
        )


def deliver(store: S3StoreResource, user: str) -> None:
    rows = f"user_id,item_id,interaction_type,timestamp\n{user},i1,click,2026-01-01T00:00:00Z\n"
    store.write(f"acme/raw/interactions/2026-01-01/{user}.csv", rows.encode())


def prepare(settings: Settings) -> Runs:
    with dg.DagsterInstance.ephemeral() as instance:
        return run_pipelines(settings, instance, [BATCH], only="interactions")


def reads_of_reports(faults: Faults) -> Counter[str]:
    """How often each report was read, by its name."""
    paths = [urlsplit(call.path).path for call in faults.calls if call.method == "GET"]
    return Counter(path.rpartition("/")[2] for path in paths if "/acme/reports/" in path)


@pytest.mark.server
def test_a_command_and_each_run_of_it_read_a_report_once(settings: Settings, bucket: str, faults: Faults) -> None:
    store = S3StoreResource(bucket=bucket, s3=S3Resource())
    store.write("acme/raw/items/2026-01-01/items.csv", b"item_id,title\ni1,one\n")
    for user in ("u1", "u2", "u3"):
        deliver(store, user)
    prepare(settings)
    earlier = [key.rpartition("/")[2] for key in store.list_keys("acme/reports/")]
    assert len(earlier) == 4
    deliver(store, "u4")
    faults.begin()
    runs = prepare(settings)
    assert len(runs.run_ids) == 2, "the days, and the batch"
    reads = reads_of_reports(faults)
    # From which day on there are days may change at any time, and is no report.
    reads.pop("interactions.json")
    assert {name: reads.pop(name) for name in earlier} == dict.fromkeys(earlier, 1 + len(runs.run_ids))
    # It is looked for before it is written, and read once by the command and by each run.
    assert list(reads.values()) == [2 + len(runs.run_ids)]
