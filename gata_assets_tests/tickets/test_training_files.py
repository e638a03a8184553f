"""The bytes of a dataset, its manifest, and the picture. All real."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from gata_assets.tickets.rules import LabelFormat
from gata_assets.tickets.splitting.splits import split_by_text
from gata_assets.tickets.training_files import (
    GENERAL_DATASET,
    Dataset,
    encode_json_lines,
    manifest_key,
)
from gata_assets_tests.support.scenario import BATCH_ID, RULES, TRAINING_WINDOW, tickets_frame

SPLIT = split_by_text(tickets_frame([(100 + n % 3, f"case {n} ? . !") for n in range(90)]), seed=1)
DATASET = Dataset(
    name=GENERAL_DATASET,
    batch_id=BATCH_ID,
    split=SPLIT,
    reason="made",
    windows={"training": TRAINING_WINDOW},
    rules=RULES,
    code_version="1.2.3+abc",
)


@given(st.lists(st.tuples(st.integers(0, 2**62), st.text(alphabet="abz09 .?!", min_size=1)), min_size=1))
def test_every_line_is_an_object_of_exactly_text_and_an_integer_label(rows: list[tuple[int, str]]) -> None:
    lines = encode_json_lines(tickets_frame(rows), LabelFormat.INTEGER).decode().splitlines()
    assert [json.loads(line) for line in lines] == [{"text": text, "label": label} for label, text in rows]
    assert all(type(json.loads(line)["label"]) is int for line in lines)


def test_labels_are_strings_on_request() -> None:
    assert encode_json_lines(tickets_frame([(7, "a")]), LabelFormat.STRING) == b'{"text": "a", "label": "7"}\n'


def test_the_files_are_where_the_consumers_look() -> None:
    contents, _ = DATASET.encode()
    assert list(contents) == ["train/data.json", "test/data.json"]
    assert DATASET.folder == "training/gata-general/2026010203/"


def test_the_manifest_is_outside_of_both_channel_prefixes() -> None:
    for channel in ("train", "test"):
        assert not manifest_key(GENERAL_DATASET, BATCH_ID).startswith(
            f"training/{GENERAL_DATASET}/{BATCH_ID}/{channel}"
        )


def test_the_manifest_says_counts_checksums_window_settings_and_version() -> None:
    contents, encoded = DATASET.encode()
    manifest = json.loads(encoded.encode())
    for channel, table in (("train", SPLIT.train), ("test", SPLIT.test)):
        described = manifest["files"][f"{channel}/data.json"]
        content = contents[f"{channel}/data.json"]
        assert described["rows"] == len(table) == content.count(b"\n")
        assert described["bytes"] == len(content)
        assert described["sha256"] == sha256(content).hexdigest()
    assert manifest["windows"]["training"]["start_at"] == "2025-10-04T03:00:00+00:00"
    assert manifest["settings"]["LOW_VOLUME_THRESHOLD"] == RULES.low_volume_threshold
    assert manifest["labels"]["100"] == {"train": 27, "test": 3}
    assert (manifest["batch_id"], manifest["code_version"]) == (BATCH_ID, "1.2.3+abc")


def test_the_same_dataset_is_the_same_bytes() -> None:
    assert DATASET.encode() == replace(DATASET).encode()


def test_a_dataset_that_does_not_exist_has_a_manifest_with_the_reason_and_no_files() -> None:
    contents, encoded = replace(DATASET, split=None, reason="one label only").encode()
    manifest = json.loads(encoded.encode())
    assert not contents
    assert (manifest["is_made"], manifest["reason"], manifest["files"]) == (False, "one label only", {})
