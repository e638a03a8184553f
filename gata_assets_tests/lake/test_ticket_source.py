"""The lake as a ticket source, besides the contract of all sources (`tickets/sources/test_sources`).

Real: files in a directory, and a second writer. Offline tickets are written here as far as a source reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import polars as pl
import pytest

from gata_assets.curation.layout import TenantLayout
from gata_assets.errors import SourceError
from gata_assets.lake.days import CURRENT_FILE
from gata_assets.lake.labels import LabelField, is_label_field
from gata_assets.lake.snapshot import LakeSnapshots
from gata_assets.lake.tables import TICKETS
from gata_assets.lake.ticket_source import LakeTickets
from gata_assets.storage.local import LocalStore
from gata_assets.storage.resource import LocalStoreResource
from gata_assets_tests.lake.written import TENANT, lake_of, offline_rows, write_days
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.scenario import TRAINING_WINDOW, database_rows

DAY = 86_400
START = TRAINING_WINDOW.start
FOLDER = TenantLayout(TENANT).curated(TICKETS)


def three_days() -> list[dict[str, object]]:
    return [{"created": START + n * DAY, "closed": START + n * DAY + 60} for n in range(3)]


def test_a_lake_without_tickets_is_an_error_that_says_how_to_fill_it(tmp_path: Path) -> None:
    source = LakeTickets(store=LocalStoreResource(directory=str(tmp_path)), tenant=TENANT)
    for read in (source.probe, lambda: source.read_window(TRAINING_WINDOW)):
        with pytest.raises(SourceError, match=f"gata ingest tickets FILE --tenant {TENANT}"):
            read()


def test_labels_that_are_no_numbers_are_an_error_without_the_value(tmp_path: Path) -> None:
    secret = canary("a group")
    source = lake_of(tmp_path, database_rows([{}, {}]), {101: secret})
    as_numbers = LakeTickets(store=source.store, tenant=TENANT, label_field="channel")
    assert set(as_numbers.read_tickets(TRAINING_WINDOW)["label"]) == {"email"}
    rows = offline_rows(database_rows([{}, {"id": 7}])).with_columns(
        ended_group_id=pl.when(pl.col("id") == 7).then(pl.lit(secret)).otherwise("ended_group_id")
    )
    write_days(source.store, rows)
    with pytest.raises(SourceError, match=r"1 of 2 closed tickets .* LABEL_FIELD=group takes names") as caught:
        LakeTickets(store=source.store, tenant=TENANT).read_window(TRAINING_WINDOW)
    assert secret not in str(caught.value)


@pytest.mark.parametrize("number", ["360012345678", "team", "a-b"])
def test_a_custom_field_is_a_label_of_names(number: str) -> None:
    fields = [f'{{"x": 1, "{number}": {value}}}' for value in ('"Billing"', "25", "null", '" "')]
    found = pl.DataFrame({"custom_fields": [*fields, None]}).select(LabelField(f"custom_fields.{number}").text)
    assert found.to_series().to_list() == ["Billing", "25", None, None, None]


@pytest.mark.parametrize("name", ["text", "custom_fields", "custom_fields.", "custom_fields.a'b", "group_id ", ""])
def test_other_fields_are_no_labels(name: str) -> None:
    assert not is_label_field(name)


def test_days_without_tickets_closed_in_the_window_are_not_read(tmp_path: Path) -> None:
    source = lake_of(tmp_path, database_rows([{}, {"created": START - 400 * DAY, "closed": START - 399 * DAY}]))
    old = min((tmp_path / FOLDER).glob("*/current-*"))
    old.unlink()
    assert list(source.read_tickets(TRAINING_WINDOW)["id"]) == [1]
    with pytest.raises(SourceError, match="written all the time"):
        source.probe()


class Rewritten(LocalStore):
    """A directory in which something is done each time that a file of tickets is read."""

    def __init__(self, directory: str, then: Callable[[int], None]) -> None:
        self.directory, self._then, self._reads, self._lock = directory, then, 0, Lock()

    def read_versioned(self, key: str) -> Any:
        """See ObjectStore."""
        found = super().read_versioned(key)
        if CURRENT_FILE.partition(".")[0] in key:
            # Days are read in threads, and two writers at once would fail.
            with self._lock:
                self._reads += 1
                self._then(self._reads)
        return found


def _snapshot(tmp_path: Path, then: Callable[[LocalStoreResource, int], None]) -> list[int]:
    store = LocalStoreResource(directory=str(tmp_path))
    write_days(store, offline_rows(database_rows(three_days())))
    snapshots = LakeSnapshots(Rewritten(str(tmp_path), lambda reads: then(store, reads)), TENANT)
    return [id_ for table in snapshots.read(lambda _: True, ["id"]) for id_ in table["id"]]


def test_tickets_are_those_of_one_moment_while_days_are_rewritten(tmp_path: Path) -> None:
    def rewrite(store: LocalStoreResource, reads: int) -> None:
        if reads == 1:
            rows = database_rows([{**row, "id": n} for n, row in enumerate(three_days(), start=11)])
            write_days(store, offline_rows(rows))

    assert _snapshot(tmp_path, rewrite) == [11, 12, 13]


def test_a_lake_that_is_rewritten_all_the_time_is_an_error(tmp_path: Path) -> None:
    def rewrite(store: LocalStoreResource, reads: int) -> None:
        write_days(store, offline_rows(database_rows([{**three_days()[0], "id": 100 + reads}])))

    with pytest.raises(SourceError, match="written all the time: try again"):
        _snapshot(tmp_path, rewrite)


def test_a_damaged_manifest_is_an_error_and_no_day_less(tmp_path: Path) -> None:
    source = lake_of(tmp_path, database_rows(three_days()))
    manifest = min((tmp_path / FOLDER).glob("*/manifest.json"))
    manifest.write_text("{")
    with pytest.raises(SourceError, match=r"manifest\.json is damaged, or its day is being rewritten"):
        source.read_window(TRAINING_WINDOW)


def test_a_damaged_file_is_an_error_and_no_day_less(tmp_path: Path) -> None:
    source = lake_of(tmp_path, database_rows(three_days()))
    min((tmp_path / FOLDER).glob("*/current-*")).write_bytes(b"PAR1")
    with pytest.raises(SourceError, match="is not what its manifest says"):
        source.read_window(TRAINING_WINDOW)
