"""Batches of tickets whose labels are names, alone and in ranges, with raw texts or reduced ones.

Real: Dagster's runs, SQLite, files, the command `gata labels`. Faked: the source's column of names, by a source of the
tests over a table of numbers; like a column of texts it has names in several spellings.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from gata_assets.batches import Window, batches_between, parse_batch_id
from gata_assets.orchestration.failures import read_failures
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.tables.people.erased_people import nobody
from gata_assets.ticket_contract.source import LabelVolume, WindowRead
from gata_assets.tickets.assets.prepared_read import PreparedTickets
from gata_assets.tickets.erasure.tombstones import ErasedTickets
from gata_assets.tickets.labels.label_map import LabelsOfOneRead
from gata_assets.tickets.labels.stored_labels import StoredLabels
from gata_assets.tickets.rules import TextNormalization
from gata_assets.tickets.sources.ddl import create_sqlite
from gata_assets.tickets.sources.sqlite import SqliteTickets
from gata_assets_tests.support.command import gata
from gata_assets_tests.support.scenario import BATCH_ID, OLDER_WINDOW, RULES, TRAINING_WINDOW, database_rows, world
from gata_assets_tests.tickets.assets.test_ranges import content_of, one_by_one, run_range

# By the number in the table; two spellings are one label.
NAMES = {
    101: "Billing",
    102: "Accounts  EU",
    201: " returns",
    202: "Sales [vip]",
    203: "\u00dcbergabe",
    204: "legal",
    1203: "\u00dcbergabe\n",
}
IDS = {101: 2, 102: 1, 201: 5, 202: 3, 203: 6, 204: 4, 1203: 6}
FIRST, LAST = "2026010222", "2026010301"
FALLBACK = {"LOW_VOLUME_FALLBACK_LABEL": "Escalation"}


class NamedTickets(SqliteTickets):
    """The tickets of a SQLite file with names as labels."""

    def read_window(self, window: Window, labels: Sequence[Any] | None = None) -> WindowRead:
        """See TicketSource."""
        numbers = None if labels is None else [number for number, name in NAMES.items() if name in labels]
        read = super().read_window(window, numbers)
        names = pd.Series([NAMES.get(label) for label in read.tickets["label"]], dtype="string[pyarrow]")
        return replace(read, tickets=read.tickets.assign(label=names))

    def measure(self, window: Window, labels: Sequence[int] | None = None) -> tuple[LabelVolume, ...]:
        """See TicketSource."""
        return tuple(
            replace(volume, label=NAMES.get(volume.label or 0))  # type: ignore[arg-type]
            for volume in super().measure(window, labels)
        )


def rows(*, raw: bool = False) -> list[dict[str, object]]:
    """The tickets of the world; those of 203 have another spelling where they are older."""
    found: list[dict[str, object]] = []
    for row in world():
        is_older = int(str(row["closed"])) < TRAINING_WINDOW.start
        label = 1203 if row["label"] == 203 and is_older else row["label"]
        text = f"<p>{str(row['text']).title()}</p>\u0416" if raw else row["text"]
        found.append({**row, "label": label, "text": text})
    return found


def source_of(directory: Path, given: list[dict[str, object]], kind: type[SqliteTickets] = NamedTickets) -> Any:
    create_sqlite(directory / "tickets.sqlite", database_rows(given))
    return kind(path=str(directory / "tickets.sqlite"))


def manifest(store: LocalStoreResource, dataset: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(store.read(f"training/{dataset}/{BATCH_ID}/manifest.json"))
    return found


def prepare(source: Any, store: LocalStoreResource, **more: Any) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return run_range(instance, source, store, BATCH_ID, BATCH_ID, **{**FALLBACK, **more})


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> LocalStoreResource:
    """A target with the batch of tickets that have names."""
    directory = tmp_path_factory.mktemp("named")
    store = LocalStoreResource(directory=str(directory / "target"))
    assert prepare(source_of(directory, rows()), store).success
    return store


def test_names_train_as_the_numbers_that_the_map_gives_them(prepared: LocalStoreResource, tmp_path: Path) -> None:
    numbers = [{**row, "label": IDS[int(str(row["label"]))]} for row in rows()]
    store = LocalStoreResource(directory=str(tmp_path / "numbers"))
    assert prepare(source_of(tmp_path, numbers, SqliteTickets), store, LOW_VOLUME_FALLBACK_LABEL="7").success
    for dataset in ("gata-general", "gata-low-vol"):
        for side in ("train", "test"):
            key = f"training/{dataset}/{BATCH_ID}/{side}/data.json"
            assert prepared.read(key) == store.read(key)


def test_manifests_have_the_names_of_the_labels_in_their_dataset(prepared: LocalStoreResource) -> None:
    general, low_volume = manifest(prepared, "gata-general"), manifest(prepared, "gata-low-vol")
    assert general["label_names"] == {"1": "Accounts EU", "2": "Billing", "7": "Escalation"}
    assert low_volume["label_names"] == {"3": "Sales [vip]", "5": "returns", "6": "\u00dcbergabe"}
    assert general["labels"].keys() == general["label_names"].keys()
    assert low_volume["labels"].keys() == low_volume["label_names"].keys()
    assert general["settings"]["LOW_VOLUME_FALLBACK_LABEL"] == "Escalation"
    assert low_volume["tickets"]["excluded"].keys() & {"no_label"} == set()


def test_the_command_lists_names_ids_and_rows_of_the_newest_batch(prepared: LocalStoreResource, tmp_path: Path) -> None:
    ran = gata(tmp_path, "labels", TARGET_DIR=prepared.directory)
    *lines, last = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [(line["id"], line["name"]) for line in lines] == [
        (1, "Accounts EU"),
        (2, "Billing"),
        (3, "Sales [vip]"),
        (4, "legal"),
        (5, "returns"),
        (6, "\u00dcbergabe"),
        (7, "Escalation"),
    ]
    labels = manifest(prepared, "gata-general")["labels"]
    assert {str(line["id"]): line["rows"] for line in lines if line["rows"]} == {
        label: sum(sides.values()) for label, sides in labels.items()
    }
    assert (last["labels"], last["batch_id"]) == (7, BATCH_ID)
    shown = gata(tmp_path, "labels", "--summary", "table", TARGET_DIR=prepared.directory).stdout
    assert "Sales [vip]" in shown and BATCH_ID in shown
    assert "No label has a name" in gata(tmp_path, "labels", "--summary", "table", TARGET_DIR="none").stdout


def test_steps_alone_take_the_names_from_stored_tables(prepared: LocalStoreResource, tmp_path: Path) -> None:
    store = LocalStoreResource(directory=str(tmp_path / "again"))
    source = source_of(tmp_path, rows())
    before = content_of(prepared.directory)
    for names in (["tickets", "label_counts"], ["general_split"], ["low_volume_tickets"], ["low_volume_split"]):
        assert prepare(source, store, selection=names).success
    assert content_of(store.directory).keys() == before.keys()
    for dataset in ("gata-general", "gata-low-vol"):
        assert manifest(store, dataset) == manifest(prepared, dataset)


def test_ids_stay_when_names_come_and_go(prepared: LocalStoreResource, tmp_path: Path) -> None:
    store = LocalStoreResource(directory=str(tmp_path / "target"))
    StoredLabels(store).ids_of(["returns", "an earlier one"])
    assert prepare(source_of(tmp_path, rows()), store).success
    assert StoredLabels(store).names() == {
        1: "an earlier one",
        2: "returns",
        3: "Accounts EU",
        4: "Billing",
        5: "Sales [vip]",
        6: "legal",
        7: "\u00dcbergabe",
        8: "Escalation",
    }
    assert manifest(store, "gata-low-vol")["label_names"]["2"] == "returns"


@pytest.mark.parametrize(
    ("kind", "fallback", "why"),
    [
        (NamedTickets, "9000", "LOW_VOLUME_FALLBACK_LABEL=9000 is the id of no label"),
        (SqliteTickets, "Escalation", "LOW_VOLUME_FALLBACK_LABEL=Escalation is a name"),
    ],
)
def test_a_fallback_label_of_the_other_kind_fails_the_batch(
    kind: type[SqliteTickets], fallback: str, why: str, tmp_path: Path
) -> None:
    store = LocalStoreResource(directory=str(tmp_path / "target"))
    run = prepare(source_of(tmp_path, rows(), kind), store, LOW_VOLUME_FALLBACK_LABEL=fallback)
    [failed] = run.filter_events(lambda event: event.is_step_failure)
    assert why in read_failures(failed, BATCH_ID)[0].reason
    assert not store.exists(f"training/gata-general/{BATCH_ID}/manifest.json")


def test_a_ticket_without_a_name_has_no_label(tmp_path: Path) -> None:
    given = [*rows(), {"id": 70_001, "label": 999, "closed": TRAINING_WINDOW.start + 1}]
    store = LocalStoreResource(directory=str(tmp_path / "target"))
    assert prepare(source_of(tmp_path, given), store, ON_INVALID_TICKETS="quarantine").success
    assert manifest(store, "gata-general")["tickets"]["excluded"] == {"no_label": 1}


def test_older_tickets_are_asked_for_before_any_other_read(tmp_path: Path) -> None:
    labels = LabelsOfOneRead()
    labels.ids_of(NAMES[203].split())
    erased = ErasedTickets(nobody("default"))
    read = PreparedTickets(source_of(tmp_path, rows()), RULES, labels, lambda: erased).read_window(
        OLDER_WINDOW, [1, 99]
    )
    assert len(read.tickets) == 8
    assert set(read.tickets["label"]) == {1}


@pytest.mark.slow
@pytest.mark.parametrize("normalization", TextNormalization)
def test_a_range_gives_what_its_batches_give_one_by_one(normalization: TextNormalization, tmp_path: Path) -> None:
    source = source_of(tmp_path, rows(raw=normalization is TextNormalization.NORMALIZE))
    settings = {**FALLBACK, "TEXT_NORMALIZATION": normalization, "TEST_SHARE": "0.2"}
    alone, together = (LocalStoreResource(directory=str(tmp_path / name)) for name in ("alone", "together"))
    # The training window of the last two is a day later.
    batches = [batch.batch_id for batch in batches_between(parse_batch_id(FIRST), parse_batch_id(LAST))]
    expected = one_by_one(source, alone, batches, **settings)
    with dg.DagsterInstance.ephemeral() as instance:
        assert run_range(instance, source, together, batches[0], batches[-1], **settings).success
    assert content_of(together.directory) == expected
    counted = json.loads(together.read(f"training/gata-low-vol/{FIRST}/manifest.json")).get("text_normalization")
    is_raw = normalization is TextNormalization.NORMALIZE
    assert (counted is not None) == is_raw
    assert counted is None or counted["characters_lost"] == counted["changed"] > 300
