"""Erases tickets from stored batches: rows of tables and of quarantine, and lines that train. All others stay.

Counts of what is left stay true, so a batch can be read and verified as before; aggregates, as those of labels in
`label_counts`, still count the tickets. `changes` carries it out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from io import BytesIO
from typing import Any

import numpy as np

from gata_assets.batches import is_batch_id
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.manifests import FileEntry
from gata_assets.ticket_contract.accounting import ERASED, TicketAccount
from gata_assets.tickets.erasure.batch_rows import (
    TABLES_OF_TICKETS,
    FoundBatch,
    FoundLines,
    FoundTable,
    Selection,
    find_rows,
)
from gata_assets.tickets.erasure.changes import (
    BatchChange,
    DatasetChange,
    TableChange,
    carry_out,
    complete,
    stored_changes,
    without_lines,
)
from gata_assets.tickets.provenance import COUNTS_AS
from gata_assets.tickets.training_files import DATASETS, batches_folder, quarantine_key, table_key

_ERASED_BY = "erased_by"


@dataclass(frozen=True)
class ErasedRows:
    """What was removed of a batch: rows of tables, rows in quarantine, lines that train; `unknown` are datasets whose
    lines could not be found.
    """

    rows: int = 0
    quarantined: int = 0
    lines: int = 0
    unknown: int = 0


def stored_batches(store: ObjectStore) -> list[str]:
    """The batches that may have rows of tickets, ascending, also those that failed; raises StoreError."""
    tables = {key(table, "")[: -len(".parquet")] for table in TABLES_OF_TICKETS for key in (table_key, quarantine_key)}
    found = {key.removeprefix(folder).removesuffix(".parquet") for folder in tables for key in store.list_keys(folder)}
    found |= {name for dataset in DATASETS for name in store.list_folders(batches_folder(dataset))}
    return sorted(filter(is_batch_id, found | stored_changes(store)))


def erase_batch(store: ObjectStore, batch_id: str, select: Selection, request: str) -> ErasedRows:
    """Remove the selected tickets from a batch, once what was cut off is completed.

    Raises ConflictError if another command changes the batch at this moment, DamagedTableError, or StoreError.
    """
    earlier = complete(store, batch_id)
    # Without keeping what was found, which is as large as the batch.
    change, unknown = _plan(find_rows(store, batch_id, select), request)
    if change.tables:
        carry_out(store, change, earlier)
    quarantined = sum(len(table.places) for table in change.tables if not table.provenance)
    rows = sum(len(table.places) for table in change.tables if table.provenance)
    lines = sum(len(places) for dataset in change.datasets for places in dataset.places.values())
    return ErasedRows(rows, quarantined, lines, unknown)


def _plan(found: FoundBatch, request: str) -> tuple[BatchChange, int]:
    """What changes in a batch, and how many datasets cannot be changed, nor their tables."""
    changes = [TableChange(table.key, table.sha256, _places(table)) for table in found.quarantine.values()]
    if found.unknown:
        # Without the rows of tables, nobody could ever find the lines.
        return BatchChange(found.batch_id, (), tuple(changes)), len(found.unknown)
    renamed = dict[str, str]()
    # In the order in which they are built from one another.
    for table in found.tables.values():
        made_from = _renamed(table.provenance["made_from"], renamed)
        if table.is_meant.any() or made_from != table.provenance["made_from"]:
            noted = _noted(table.provenance, request, int(table.is_meant.sum()))
            provenance = json.dumps({**table.provenance, "made_from": made_from, **noted})
            changes.append(TableChange(table.key, table.sha256, _places(table), provenance))
            renamed[table.sha256] = sha256(changes[-1].encode(table.rows)).hexdigest()
    datasets = [_change_dataset(lines, renamed, request) for lines in found.datasets.values()]
    return BatchChange(found.batch_id, tuple(filter(None, datasets)), tuple(changes)), 0


def _change_dataset(lines: FoundLines, renamed: Mapping[str, str], request: str) -> DatasetChange | None:
    """What changes of a dataset, if it or a table that it was built from does."""
    before = lines.manifest
    made_from = _renamed(before.made_from, renamed)
    if made_from == before.made_from:
        return None
    places = {name: tuple(found.tolist()) for name, found in lines.places.items()}
    files, labels = {}, {label: dict(counts) for label, counts in before.details["labels"].items()}
    for name, entry in before.files.items():
        content, gone = lines.contents[name], set(places[name])
        files[name] = FileEntry.of(without_lines(content, places[name]), entry.rows - len(gone))
        for place, line in enumerate(BytesIO(content)):
            if place in gone:
                labels[str(json.loads(line)["label"])][name.partition("/")[0]] -= 1
    details: dict[str, Any] = {
        **before.details,
        **_noted(before.details, request, sum(map(len, places.values()))),
        "labels": {label: counts for label, counts in labels.items() if any(counts.values())},
        COUNTS_AS: before.details.get(COUNTS_AS, before.digest),
    }
    after = replace(before, files=files, made_from=made_from, details=details)
    return DatasetChange(lines.folder, before, after, places)


def _noted(details: Mapping[str, Any], request: str, erased: int) -> dict[str, Any]:
    """What is said of an erasure, with the account of tickets without those that were erased."""
    notes: dict[str, Any] = {_ERASED_BY: [*details.get(_ERASED_BY, []), request]}
    if "tickets" in details:
        notes["tickets"] = TicketAccount.from_json(details["tickets"]).exclude({ERASED: erased}).as_json()
    return notes


def _renamed(made_from: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    return {name: renamed.get(digest, digest) for name, digest in made_from.items()}


def _places(table: FoundTable) -> tuple[int, ...]:
    return tuple(np.flatnonzero(table.is_meant).tolist())
