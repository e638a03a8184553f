"""Finding and marking finished datasets, in a directory and over S3's HTTP. The rows are bytes; the rest is real."""

from __future__ import annotations

import pytest

from gata_assets.errors import TrackingError
from gata_assets.storage.datasets import DatasetWrite
from gata_assets.storage.finished import DatasetFolder, DatasetUse, FinishedDatasets
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.manifests import Manifest, withdrawn

FOLDERS = (
    DatasetFolder("acme/features/", DatasetUse.FEATURES, "acme"),
    DatasetFolder("training/gata-general/", DatasetUse.TRAINING, None),
)
BATCHES = [f"20260101{hour:02}" for hour in range(24)]


def write(store: ObjectStore, folder: str, batch_id: str, **details: object) -> str:
    with DatasetWrite(store, f"{folder}{batch_id}/") as writing:
        name, entry = writing.write("a.json", b"{}", 1)
        return writing.publish(
            Manifest("any", {name: entry}, details={"batch_id": batch_id, **details})
        ).manifest.digest


def finish_all(finished: FinishedDatasets, batch_ids: list[str] | None = None) -> list[str]:
    digests: list[str] = []
    waiting = finished.find_waiting(FOLDERS) if batch_ids is None else finished.find_waiting_of(FOLDERS, batch_ids)
    for found in list(waiting):
        assert finished.finish(found, lambda manifest: digests.append(manifest.digest))
    return digests


def test_each_reader_is_given_each_finished_dataset_once(any_store: ObjectStore) -> None:
    first = write(any_store, "acme/features/", BATCHES[0])
    second = write(any_store, "training/gata-general/", BATCHES[0])
    one, other = FinishedDatasets(any_store, "marks/one/"), FinishedDatasets(any_store, "marks/other/")
    assert sorted(finish_all(one)) == sorted([first, second])
    assert finish_all(one) == []
    assert finish_all(FinishedDatasets(any_store, "marks/one/")) == []
    assert sorted(finish_all(other)) == sorted([first, second])
    again = write(any_store, "acme/features/", BATCHES[0], numbers=2)
    assert finish_all(one) == [again]


def test_what_has_no_rows_or_is_withdrawn_is_no_work_and_waits_no_longer(any_store: ObjectStore) -> None:
    write(any_store, "acme/features/", BATCHES[0], is_made=False)
    any_store.write(f"acme/features/{BATCHES[1]}/manifest.json", withdrawn("features"))
    assert finish_all(FinishedDatasets(any_store, "marks/")) == []
    assert list(FinishedDatasets(any_store, "marks/").find_waiting(FOLDERS)) == []


def test_batches_are_found_alone_or_among_many(any_store: ObjectStore) -> None:
    wanted = [write(any_store, "training/gata-general/", batch_id) for batch_id in BATCHES[:3]]
    write(any_store, "training/gata-general/", "2026020203")
    # So few are listed one by one, and so many with all others.
    assert finish_all(FinishedDatasets(any_store, "marks/a/"), BATCHES[:3]) == wanted
    assert finish_all(FinishedDatasets(any_store, "marks/a/"), BATCHES[:3]) == []
    assert finish_all(FinishedDatasets(any_store, "marks/b/"), BATCHES) == wanted
    assert finish_all(FinishedDatasets(any_store, "marks/b/"), BATCHES) == []


def test_work_that_fails_leaves_no_mark_and_a_replaced_manifest_is_found_again(any_store: ObjectStore) -> None:
    write(any_store, "acme/features/", BATCHES[0])
    finished = FinishedDatasets(any_store, "marks/")
    [found] = finished.find_waiting(FOLDERS)

    def fail(_: Manifest) -> None:
        raise TrackingError("away")

    with pytest.raises(TrackingError):
        finished.finish(found, fail)
    assert list(any_store.list_keys("marks/")) == []
    newer = write(any_store, "acme/features/", BATCHES[0], numbers=2)
    assert not finished.finish(found, fail), "no work with a manifest that is not the one that was listed"
    assert finish_all(finished) == [newer]
    any_store.delete(f"acme/features/{BATCHES[0]}/manifest.json")
    assert finished.finish(found, fail), "nothing is left to do"
