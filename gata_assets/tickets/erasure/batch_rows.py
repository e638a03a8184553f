"""Finds the rows of tickets in what is stored of a batch: its tables, its quarantine, and the lines that train.

Lines have a text and a label, so they are found by those of the rows of the table that they were built from: as many
as the tickets had. Which of equal lines these are makes no difference. Nothing is written here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.errors import DamagedTableError, ObjectNotFoundError
from gata_assets.governance.trust.proofs import read_proven
from gata_assets.storage.datasets import find_manifest
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.columns.arrays import Bools, Int64s
from gata_assets.tables.manifests import Manifest
from gata_assets.tickets.labels.label_map import fallback_id
from gata_assets.tickets.labels.stored_labels import StoredLabels
from gata_assets.tickets.low_volume import decide_low_volume, label_of_low_volume_tickets
from gata_assets.tickets.provenance import FILE_KEY, LABEL_NAMES
from gata_assets.tickets.rules import LabelFormat, LowVolumePolicy
from gata_assets.tickets.training_files import (
    FILES,
    GENERAL_DATASET,
    LOW_VOLUME_DATASET,
    dataset_folder,
    encode_json_lines,
    quarantine_key,
    table_key,
)

# The tables with rows of tickets; those of a dataset come from one of them.
TICKETS, LABEL_COUNTS, LOW_VOLUME_TICKETS = "tickets", "label_counts", "low_volume_tickets"
TABLES_OF_TICKETS = (TICKETS, LOW_VOLUME_TICKETS)
SOURCES = {GENERAL_DATASET: TICKETS, LOW_VOLUME_DATASET: LOW_VOLUME_TICKETS}

# Which rows are meant, by ids and by `closed` in epoch seconds; None for none.
Selection = Callable[[pl.Series, pl.Series], Bools | None]


@dataclass(frozen=True)
class FoundTable:
    """A stored table: its rows, what its file says of itself, its file's SHA-256, and which rows are meant."""

    key: str
    rows: pa.Table
    sha256: str
    is_meant: Bools
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def meant(self) -> pa.Table:
        """The rows that are meant."""
        return self.rows.filter(pa.array(self.is_meant))


@dataclass(frozen=True)
class FoundLines:
    """A stored dataset: its manifest, its files, and the places of the lines that are meant."""

    folder: str
    manifest: Manifest
    contents: Mapping[str, bytes]
    places: Mapping[str, Int64s]


@dataclass(frozen=True)
class FoundBatch:
    """What a batch has of tickets: tables by name, quarantine by the table's name, datasets by name.

    `unknown` are the folders of datasets whose lines cannot be found: the tables that they were built from are gone.
    """

    batch_id: str
    tables: Mapping[str, FoundTable] = field(default_factory=dict)
    quarantine: Mapping[str, FoundTable] = field(default_factory=dict)
    datasets: Mapping[str, FoundLines] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


def find_rows(store: ObjectStore, batch_id: str, select: Selection) -> FoundBatch:
    """What a batch has of the selected tickets; without any of their rows, no table and no dataset.

    Raises DamagedTableError for a table, or StoreError.
    """
    quarantine = dict(_quarantine(store, batch_id, select))
    has_rows = {name: _has_any(store, table_key(name, batch_id), select) for name in TABLES_OF_TICKETS}
    folders = {name: dataset_folder(name, batch_id) for name in SOURCES}
    if not any(has_rows.values()):
        lost = [
            name for name, source in SOURCES.items() if has_rows[source] is None and _is_there(store, folders[name])
        ]
        return FoundBatch(batch_id, quarantine=quarantine, unknown=tuple(folders[name] for name in lost))
    read = {
        name: _read(store, table_key(name, batch_id), select) for name in (TICKETS, LABEL_COUNTS, LOW_VOLUME_TICKETS)
    }
    tables = {name: table for name, table in read.items() if table is not None}
    datasets, unknown = {}, []
    for name, folder in folders.items():
        found = _find_lines(store, name, folder, tables)
        if found is not None:
            datasets[name] = found
        elif _is_there(store, folder):
            unknown.append(folder)
    return FoundBatch(batch_id, tables, quarantine, datasets, tuple(unknown))


def _is_there(store: ObjectStore, folder: str) -> bool:
    return any(True for _ in store.list_keys(folder))


def _has_any(store: ObjectStore, key: str, select: Selection) -> bool | None:
    """Whether a table has rows that are meant, by the two columns that say so; None for no table."""
    try:
        with store.open_read(key) as file:
            found = pq.read_table(file, columns=["id", "closed"])
    except ObjectNotFoundError:
        return None
    except (pa.ArrowException, OSError):
        raise _damaged(store, key) from None
    return bool(_select(found, select).any())


def _read(store: ObjectStore, key: str, select: Selection) -> FoundTable | None:
    try:
        content = store.read(key)
        rows = pq.read_table(pa.BufferReader(content))
        provenance = json.loads((rows.schema.metadata or {})[FILE_KEY])
    except ObjectNotFoundError:
        return None
    except (pa.ArrowException, OSError, ValueError, KeyError):
        raise _damaged(store, key) from None
    is_meant = _select(rows, select) if "id" in rows.column_names else np.zeros(len(rows), np.bool_)
    return FoundTable(key, rows, sha256(content).hexdigest(), is_meant, provenance)


def _quarantine(store: ObjectStore, batch_id: str, select: Selection) -> list[tuple[str, FoundTable]]:
    """The quarantine of each table that has rows that are meant."""
    found = []
    for name in TABLES_OF_TICKETS:
        key = quarantine_key(name, batch_id)
        try:
            rows, content = read_proven(store, key), store.read(key)
        except ObjectNotFoundError:
            continue
        if (is_meant := _select(rows, select)).any():
            found.append((name, FoundTable(key, rows, sha256(content).hexdigest(), is_meant)))
    return found


def _select(rows: pa.Table, select: Selection) -> Bools:
    ids, closed = (pl.Series(values=rows[name]) for name in ("id", "closed"))
    found = select(ids, closed)
    return np.zeros(len(rows), np.bool_) if found is None else found


def _find_lines(store: ObjectStore, name: str, folder: str, tables: Mapping[str, FoundTable]) -> FoundLines | None:
    """The lines of the meant rows of a dataset's table; None if the dataset is not there, or not of these tables."""
    manifest, source = find_manifest(store, folder).manifest, SOURCES[name]
    if manifest is None or any(
        table not in tables or manifest.made_from.get(table) != tables[table].sha256 for table in (source, LABEL_COUNTS)
    ):
        return None
    rows = tables[source].meant.select(["text", "label"]).to_pandas(types_mapper=pd.ArrowDtype)
    if name == GENERAL_DATASET:
        rows = _as_in_general(store, rows, manifest.settings, tables, has_names=LABEL_NAMES in manifest.details)
    wanted = Counter(encode_json_lines(rows, LabelFormat(manifest.schema["label"])).splitlines(keepends=True))
    contents, places = {}, {}
    for file, entry in manifest.files.items():
        content = store.read(folder + file)
        if file not in FILES or not entry.matches(content):
            return None
        contents[file] = content
        places[file] = _take(content, wanted)
    return None if wanted.total() else FoundLines(folder, manifest, contents, places)


def _take(content: bytes, wanted: Counter[bytes]) -> Int64s:
    """The places of wanted lines, each as often as it is wanted; what is found is no longer wanted."""
    found = []
    for place, line in enumerate(BytesIO(content)):
        if wanted.get(line):
            wanted[line] -= 1
            found.append(place)
    return np.array(found, np.int64)


def _as_in_general(
    store: ObjectStore,
    rows: pd.DataFrame,
    settings: Mapping[str, Any],
    tables: Mapping[str, FoundTable],
    *,
    has_names: bool,
) -> pd.DataFrame:
    """Rows with the labels that they have in the general dataset, without those that it does not contain."""
    counts = tables[LABEL_COUNTS].rows.to_pandas()
    decision = decide_low_volume(counts, min_count=int(settings["LOW_VOLUME_MIN_COUNT"]))
    is_low_volume = rows["label"].isin(decision.low_volume_labels).to_numpy(dtype=bool)
    if not is_low_volume.any():
        return rows
    fallback = fallback_id(settings["LOW_VOLUME_FALLBACK_LABEL"], StoredLabels(store), are_names=has_names)
    policy = LowVolumePolicy(settings["LOW_VOLUME_POLICY"])
    label = label_of_low_volume_tickets(decision.is_needed, policy, fallback)
    if label is None:
        return rows[~is_low_volume]
    return rows.assign(label=rows["label"].mask(is_low_volume, label))


def _damaged(store: ObjectStore, key: str) -> DamagedTableError:
    return DamagedTableError(
        f"{store.uri(key)} is no complete table of this project, so whose rows it has is not known: prepare its batch "
        "again, or remove it (`gata batches remove`), and go on with the same request.",
        key=key,
    )
