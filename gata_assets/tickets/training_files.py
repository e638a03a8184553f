"""The files of a dataset: JSON Lines for the two channels, and the manifest that makes them one dataset.

The paths and the format are those that the fine-tuning job and its workflow read. Bytes and keys only: where
they are stored belongs to `resources`, in which order they are written to `io_managers`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.compute as pc

from gata_assets.batches import Window
from gata_assets.tables.manifests import MANIFEST_VERSION, describe_span, encode_manifest, read_manifest, withdraw
from gata_assets.tickets.rules import LabelFormat, PreparationRules
from gata_assets.tickets.splits import Split

GENERAL_DATASET = "gata-general"
LOW_VOLUME_DATASET = "gata-low-vol"
CHANNELS = ("train", "test")


def channel_key(dataset: str, batch_id: str, channel: str) -> str:
    """Where a channel's file stands in the target: `training/{dataset}/{batch_id}/{channel}/data.json`."""
    return f"training/{dataset}/{batch_id}/{channel}/data.json"


def manifest_key(dataset: str, batch_id: str) -> str:
    """Where the manifest stands: beside the two channel folders, since all that is in them is downloaded."""
    return f"training/{dataset}/{batch_id}/manifest.json"


def table_key(table: str, batch_id: str) -> str:
    """Where an intermediate table stands: `intermediate/{table}/{batch_id}.parquet`."""
    return f"intermediate/{table}/{batch_id}.parquet"


@dataclass(frozen=True)
class Origin:
    """What a whole dataset was made with and from, as its manifest says."""

    settings: Mapping[str, Any]
    label_counts: str


def read_origin(manifest: bytes) -> Origin | None:
    """The origin of a whole dataset; None where the manifest says that the files are being written anew, or is not of
    this project.
    """
    content = read_manifest(manifest)
    if content is None:
        return None
    try:
        return Origin(dict(content["settings"]), str(content["made_from"]["label_counts"]))
    except (ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True)
class Dataset:
    """What a batch has of one dataset: a split, or (`split` is None) the reason why there is none.

    `made_from` are the SHA-256 of the tables that it was made from: by that of `label_counts` the two datasets of a
    batch are told to belong together.
    """

    name: str
    batch_id: str
    split: Split | None
    reason: str
    windows: Mapping[str, Window]
    rules: PreparationRules
    code_version: str
    made_from: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_made(self) -> bool:
        """Whether there are files."""
        return self.split is not None

    def encode(self) -> DatasetFiles:
        """The dataset as bytes by key, and its manifest."""
        channels: dict[str, bytes] = {}
        rows: dict[str, int] = {}
        labels: dict[str, dict[str, int]] = {}
        if self.split is not None:
            for channel, table in zip(CHANNELS, (self.split.train, self.split.test), strict=True):
                channels[channel] = encode_json_lines(table, self.rules.label_format)
                rows[channel] = len(table)
                for label, count in table["label"].value_counts().sort_index().items():
                    labels.setdefault(str(label), dict.fromkeys(CHANNELS, 0))[channel] = int(count)
        manifest = {
            "manifest_version": MANIFEST_VERSION,
            "dataset": self.name,
            "batch_id": self.batch_id,
            "is_made": self.is_made,
            "reason": self.reason,
            "windows": {name: describe_span(window) for name, window in self.windows.items()},
            "files": {
                channel: {
                    "key": channel_key(self.name, self.batch_id, channel),
                    "rows": rows[channel],
                    "bytes": len(content),
                    "sha256": sha256(content).hexdigest(),
                }
                for channel, content in channels.items()
            },
            "labels": {label: labels[label] for label in sorted(labels, key=int)},
            "settings": self.rules.as_settings(),
            "made_from": dict(self.made_from),
            "code_version": self.code_version,
        }
        return DatasetFiles(
            contents={channel_key(self.name, self.batch_id, c): content for c, content in channels.items()},
            channel_keys=tuple(channel_key(self.name, self.batch_id, channel) for channel in CHANNELS),
            manifest_key=manifest_key(self.name, self.batch_id),
            manifest=encode_manifest(manifest),
            withdrawn_manifest=withdraw({"dataset": self.name, "batch_id": self.batch_id}),
        )


@dataclass(frozen=True)
class DatasetFiles:
    """A dataset as bytes.

    `contents` holds the channel files by key (none where the dataset is not made); `channel_keys` are the keys
    that a dataset of this batch can have; `withdrawn_manifest` stands in for a manifest that no longer holds.
    """

    contents: Mapping[str, bytes]
    channel_keys: tuple[str, ...]
    manifest_key: str
    manifest: bytes
    withdrawn_manifest: bytes


def encode_json_lines(rows: pd.DataFrame, label_format: LabelFormat) -> bytes:
    """One JSON object a line with exactly `text` and `label`, UTF-8, in the rows' order."""
    if rows.empty:
        return b""
    quote = '"' if label_format is LabelFormat.STRING else ""
    names, codes = np.unique(rows["label"].to_numpy(dtype=np.int64), return_inverse=True)
    ends = pyarrow.array([f'", "label": {quote}{label}{quote}}}\n' for label in names], type=pyarrow.large_string())
    start, nothing = (pyarrow.scalar(part, type=pyarrow.large_string()) for part in ('{"text": "', ""))
    lines = pc.binary_join_element_wise(start, _escape(rows["text"]), ends.take(pyarrow.array(codes)), nothing)
    content: bytes = lines.buffers()[2].to_pybytes()
    return content


# Bytes that stand for themselves in a JSON string of ASCII characters; the others are left to `json`.
_PLAIN = bytes(byte for byte in range(0x20, 0x7F) if byte not in b'"\\')
_NEEDS_ESCAPING = r'[^\x20-\x7e]|["\\]'


def _escape(texts: pd.Series[str]) -> pyarrow.Array:
    """Texts as they stand between the quotes of a JSON string."""
    array = pyarrow.concat_arrays(pyarrow.chunked_array(pyarrow.array(texts)).chunks).cast(pyarrow.large_string())
    # One look at all bytes takes a tenth of the time that the pattern takes.
    if array.buffers()[2].to_pybytes().translate(None, delete=_PLAIN):
        is_escaped = pc.match_substring_regex(array, _NEEDS_ESCAPING)
        encoded = [json.dumps(text)[1:-1] for text in array.filter(is_escaped).to_pylist()]
        array = pc.replace_with_mask(array, is_escaped, pyarrow.array(encoded, type=pyarrow.large_string()))
    return array
