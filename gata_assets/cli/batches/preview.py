"""The first rows of datasets in the target, for people: as many as PREVIEW_ROWS allows, and none in logs or JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from gata_assets.cli.terminal import text_console
from gata_assets.orchestration.batches.stored import StoredDataset
from gata_assets.orchestration.pipelines import Pipeline
from gata_assets.settings.model import Settings
from gata_assets.settings.values import SourceKind
from gata_assets.storage.datasets import find_manifest
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.parquet_parts import read_first_rows

_TRAIN_FILE = "train/data.json"
_BLOCK = 65_536
# Characters of a row; longer ones are cut.
_LONGEST = 400


@dataclass(frozen=True)
class TrainPreview:
    """Shows the first rows of a batch's training file; `forbidden` is how many more were asked for than allowed."""

    store: ObjectStore
    number: int
    forbidden: int = 0

    def show(self, pipelines: Sequence[Pipeline], batch_id: str) -> None:
        """Print rows of the first dataset that has a `train/data.json`; raises StoreError."""
        if self.number:
            self._show_first(folder for pipeline in pipelines for folder in pipeline.places(batch_id).folders.values())
        if self.forbidden:
            print_forbidden()

    def _show_first(self, folders: Iterable[str]) -> None:
        for folder in folders:
            manifest = find_manifest(self.store, folder).manifest
            if manifest and _TRAIN_FILE in manifest.files:
                text_console().print()
                _print_file(self.store, f"{folder}/{_TRAIN_FILE}", self.number, manifest.files[_TRAIN_FILE].rows)
                return


def preview_after_prepare(settings: Settings, store: ObjectStore, asked: int | None) -> TrainPreview:
    """What `gata prepare` shows of the rows that it wrote: any number of the sample, else what PREVIEW_ROWS allows.

    Rows that it did not write itself may come from other tickets than those of the settings.
    """
    if asked is not None and settings.tickets.source_kind is SourceKind.SAMPLE:
        return TrainPreview(store, asked)
    allowed = allowed_rows(settings, asked)
    return TrainPreview(store, allowed, max(0, (asked or 0) - allowed))


def allowed_rows(settings: Settings, asked: int | None) -> int:
    """How many rows may be shown of those that were asked for; of None, as many as are allowed."""
    allowed = settings.project.preview_rows
    return allowed if asked is None else min(asked, allowed)


def print_forbidden() -> None:
    """Say which setting allows more rows."""
    text_console().print(
        "PREVIEW_ROWS sets how many rows may be shown: they have the text of tickets or IDs of people."
    )


def print_rows(store: ObjectStore, dataset: StoredDataset, number: int) -> None:
    """Print the first rows of each table or part of a dataset; raises StoreError or DamagedTableError."""
    shown: set[str] = set()
    for name, file in sorted(dataset.manifest.files.items() if dataset.manifest else ()):
        part = name.partition("/")[0]
        if part not in shown and file.rows:
            shown.add(part)
            _print_file(store, f"{dataset.folder}/{name}", number, file.rows)


def _print_file(store: ObjectStore, key: str, number: int, rows: int) -> None:
    console = text_console()
    console.print(f"The first {min(number, rows):,} of {rows:,} rows of")
    console.print(f"  {store.uri(key)}", markup=False)
    for row in _read_rows(store, key, number):
        console.print(row if len(row) <= _LONGEST else f"{row[:_LONGEST]} …", markup=False)


def _read_rows(store: ObjectStore, key: str, number: int) -> list[str]:
    """The first rows of a file of JSON Lines or Parquet, as JSON."""
    if key.endswith(".parquet"):
        return pl.DataFrame(read_first_rows(store, key, number)).write_ndjson().splitlines()
    content = b""
    while content.count(b"\n") < number and (block := store.read_part(key, len(content), _BLOCK)):
        content += block
    return content.decode(errors="replace").removesuffix("\n").split("\n")[:number]
