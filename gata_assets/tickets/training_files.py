"""The files of a dataset: JSON Lines for the two channels, and the manifest that lists them.

The paths and the format are those that the fine-tuning job and its workflow read. Bytes and keys only: `io_managers`
writes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.compute as pc

from gata_assets.batches import Window
from gata_assets.tables.manifests import MANIFEST_FILE, FileEntry, Manifest, describe_span
from gata_assets.tickets.rules import LabelFormat, PreparationRules
from gata_assets.tickets.splitting.splits import Split

GENERAL_DATASET = "gata-general"
LOW_VOLUME_DATASET = "gata-low-vol"
DATASETS = (GENERAL_DATASET, LOW_VOLUME_DATASET)
CHANNELS = ("train", "test")
# The files of a dataset below its folder; the training job downloads everything in the folders of channels.
FILES = tuple(f"{channel}/data.json" for channel in CHANNELS)


def batches_folder(dataset: str) -> str:
    """The folder of a dataset's batches."""
    return f"training/{dataset}/"


def dataset_folder(dataset: str, batch_id: str) -> str:
    """The folder of a dataset's files and manifest."""
    return f"{batches_folder(dataset)}{batch_id}/"


def manifest_key(dataset: str, batch_id: str) -> str:
    """The key of a dataset's manifest."""
    return dataset_folder(dataset, batch_id) + MANIFEST_FILE


def quarantine_key(table: str, batch_id: str) -> str:
    """The key of a table's invalid tickets: `intermediate/{table}_quarantine/{batch_id}.parquet`."""
    return table_key(f"{table}_quarantine", batch_id)


def table_key(table: str, batch_id: str) -> str:
    """The key of an intermediate table: `intermediate/{table}/{batch_id}.parquet`."""
    return f"intermediate/{table}/{batch_id}.parquet"


@dataclass(frozen=True)
class Dataset:
    """What a batch has of one dataset: a split, or (`split` is None) the reason why there is none.

    `details` are further fields of the manifest. `made_from` are the SHA-256 of the tables that it was built from: the
    two datasets of a batch belong together if that of `label_counts` is the same.
    """

    name: str
    batch_id: str
    split: Split | None
    reason: str
    windows: Mapping[str, Window]
    rules: PreparationRules
    code_version: str
    details: Mapping[str, object] = field(default_factory=dict)
    made_from: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """The folder of its files and its manifest."""
        return dataset_folder(self.name, self.batch_id)

    def encode(self) -> tuple[dict[str, bytes], Manifest]:
        """The dataset as bytes by file below its folder (none if it does not exist), and its manifest."""
        contents: dict[str, bytes] = {}
        rows: dict[str, int] = {}
        labels: dict[str, dict[str, int]] = {}
        if self.split is not None:
            for channel, file, table in zip(CHANNELS, FILES, (self.split.train, self.split.test), strict=True):
                contents[file] = encode_json_lines(table, self.rules.label_format)
                rows[file] = len(table)
                for label, count in table["label"].value_counts().sort_index().items():
                    labels.setdefault(str(label), dict.fromkeys(CHANNELS, 0))[channel] = int(count)
        manifest = Manifest(
            self.name,
            files={file: FileEntry.of(content, rows[file]) for file, content in contents.items()},
            schema={"text": "string", "label": self.rules.label_format.value},
            settings=self.rules.as_settings(),
            made_from=dict(self.made_from),
            code_version=self.code_version,
            details={
                "batch_id": self.batch_id,
                "is_made": self.split is not None,
                "reason": self.reason,
                "windows": {name: describe_span(window) for name, window in self.windows.items()},
                "labels": {label: labels[label] for label in sorted(labels, key=int)},
                **self.details,
            },
        )
        return contents, manifest


def encode_json_lines(rows: pd.DataFrame, label_format: LabelFormat) -> bytes:
    """One JSON object per line with exactly `text` and `label`, UTF-8, in the rows' order."""
    if rows.empty:
        return b""
    quote = '"' if label_format is LabelFormat.STRING else ""
    names, codes = np.unique(rows["label"].to_numpy(dtype=np.int64), return_inverse=True)
    ends = pyarrow.array([f'", "label": {quote}{label}{quote}}}\n' for label in names], type=pyarrow.large_string())
    start, nothing = (pyarrow.scalar(part, type=pyarrow.large_string()) for part in ('{"text": "', ""))
    lines = pc.binary_join_element_wise(start, _escape(rows["text"]), ends.take(pyarrow.array(codes)), nothing)
    content: bytes = lines.buffers()[2].to_pybytes()
    return content


# Bytes that need no escape in a JSON string of ASCII characters; `json` escapes the others.
_PLAIN = bytes(byte for byte in range(0x20, 0x7F) if byte not in b'"\\')
_NEEDS_ESCAPING = r'[^\x20-\x7e]|["\\]'


def _escape(texts: pd.Series[str]) -> pyarrow.Array:
    """Texts as escaped between the quotes of a JSON string."""
    array = pyarrow.concat_arrays(pyarrow.chunked_array(pyarrow.array(texts)).chunks).cast(pyarrow.large_string())
    # Scanning all bytes takes a tenth of the time of the pattern.
    if array.buffers()[2].to_pybytes().translate(None, delete=_PLAIN):
        is_escaped = pc.match_substring_regex(array, _NEEDS_ESCAPING)
        encoded = [json.dumps(text)[1:-1] for text in array.filter(is_escaped).to_pylist()]
        array = pc.replace_with_mask(array, is_escaped, pyarrow.array(encoded, type=pyarrow.large_string()))
    return array
