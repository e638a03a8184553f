"""The map of labels in a target, while others add names to it.

Real: a directory and S3 over HTTP on loopback, threads in turns before every call, threads and processes at once.
Nothing is faked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gata_assets.errors import DamagedTableError, DataRuleError, ManifestVersionError
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.tickets.labels.label_map import LONGEST_NAME
from gata_assets.tickets.labels.stored_labels import LABELS_KEY, StoredLabels
from gata_assets_tests.support.interleaving import run_in_turns


def read(store: ObjectStore) -> dict[str, str]:
    found: dict[str, str] = json.loads(store.read(LABELS_KEY))["names"]
    return found


def test_names_keep_their_ids_over_commands(any_store: ObjectStore) -> None:
    assert StoredLabels(any_store).names() == {}
    assert dict(StoredLabels(any_store).ids_of(["sales", "billing"])) == {"billing": 1, "sales": 2}
    later = StoredLabels(any_store)
    assert dict(later.ids_of(["returns", "sales", "accounts"]))["accounts"] == 3
    assert later.names() == {1: "billing", 2: "sales", 3: "accounts", 4: "returns"}
    assert read(any_store) == {"1": "billing", "2": "sales", "3": "accounts", "4": "returns"}


def test_known_names_are_not_written_again(any_store: ObjectStore) -> None:
    labels = StoredLabels(any_store)
    labels.ids_of(["billing"])
    version = any_store.version(LABELS_KEY)
    labels.ids_of(["billing"])
    StoredLabels(any_store).ids_of(["billing"])
    assert any_store.version(LABELS_KEY) == version


@pytest.mark.parametrize("before", [[], ["known"]], ids=["none", "some"])
def test_two_that_add_names_in_turns_agree_on_all_ids(before: list[str], any_store: ObjectStore) -> None:
    for pause in range(1, 10):
        any_store.delete(LABELS_KEY)
        StoredLabels(any_store).ids_of(before)
        found: list[dict[str, int]] = []

        def add(paced: ObjectStore, *names: str, found: list[dict[str, int]] = found) -> None:
            found.append(dict(StoredLabels(paced).ids_of([*names, "both"])))

        ends, calls = run_in_turns(
            any_store,
            lambda paced: add(paced, "a first", "of one"),
            lambda paced: add(paced, "a second", "of other"),
            pause_first=pause,
            after_each=lambda _: None,
        )
        assert ends == [None, None]
        stored = {name: int(label) for label, name in read(any_store).items()}
        assert sorted(stored.values()) == list(range(1, len(before) + 6))
        assert all(ids.items() <= stored.items() for ids in found)
        if calls[0] < pause:
            break
    assert calls[0] < pause, "all calls were tried"


def test_many_threads_never_give_one_id_to_two_names(any_store: ObjectStore) -> None:
    def add(number: int) -> dict[str, int]:
        return dict(StoredLabels(any_store).ids_of([f"name {number % 5}", f"own {number}"]))

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(add, range(16)))
    stored = {name: int(label) for label, name in read(any_store).items()}
    assert sorted(stored.values()) == list(range(1, 5 + 16 + 1))
    assert all(ids.items() <= stored.items() for ids in found)


@pytest.mark.process
def test_processes_never_give_one_id_to_two_names(tmp_path: Path) -> None:
    code = (
        "import json, sys\n"
        "from gata_assets.storage.local import LocalStore\n"
        "from gata_assets.tickets.labels.stored_labels import StoredLabels\n"
        "for number in range(10):\n"
        "    names = [f'shared {number}', f'{sys.argv[2]} {number}']\n"
        "    ids = StoredLabels(LocalStore(sys.argv[1])).ids_of(names)\n"
        "    print(json.dumps({name: ids[name] for name in names}))\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name], stdout=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    outputs = [writer.communicate()[0] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    stored = {name: int(label) for label, name in read(LocalStoreResource(directory=str(tmp_path))).items()}
    assert sorted(stored.values()) == list(range(1, 31))
    for line in "".join(outputs).splitlines():
        assert json.loads(line).items() <= stored.items()


@pytest.mark.parametrize(
    ("content", "error", "why"),
    [
        (b"{", DamagedTableError, "labels.json is no map of labels. Ids of labels are never given twice"),
        (b'{"version": 9, "names": {}}', ManifestVersionError, "labels.json has version 9"),
    ],
)
def test_a_map_that_cannot_be_read_is_never_replaced(
    content: bytes, error: type[Exception], why: str, tmp_path: Path
) -> None:
    store = LocalStoreResource(directory=str(tmp_path))
    store.write(LABELS_KEY, content)
    with pytest.raises(error, match=why):
        StoredLabels(store).ids_of(["billing"])
    assert store.read(LABELS_KEY) == content


def test_names_of_another_column_leave_the_map_as_it_is(tmp_path: Path) -> None:
    store = LocalStoreResource(directory=str(tmp_path))
    with pytest.raises(DataRuleError):
        StoredLabels(store).ids_of(["billing", "x" * (LONGEST_NAME + 1)])
    assert not store.exists(LABELS_KEY)
