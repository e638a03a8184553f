"""`gata batches diff`: how a batch in the target differs from another one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from gata_assets.cli.batches.stored import choose_pipelines
from gata_assets.cli.terminal import table_console, text_console
from gata_assets.definitions.stores import build_store
from gata_assets.errors import DamagedTableError, DataRuleError, ObjectNotFoundError
from gata_assets.orchestration.batches.stored import StoredDataset, read_batches
from gata_assets.orchestration.pipelines import Pipeline
from gata_assets.settings.model import Settings
from gata_assets.storage.objects import ObjectStore


@dataclass(frozen=True)
class DatasetDifference:
    """How a dataset of the second batch differs: rows by part and by label, as (first, second); settings, as the
    values of both; and the pipeline's own counts.
    """

    dataset: str
    rows: Mapping[str, tuple[int, int]]
    labels: Mapping[str, tuple[int, int]]
    settings: Mapping[str, tuple[Any, Any]]
    counts: Mapping[str, int]

    @classmethod
    def of(cls, first: StoredDataset, second: StoredDataset, counts: Mapping[str, int]) -> DatasetDifference:
        """From both datasets."""
        settings = [dataset.manifest.settings if dataset.manifest else {} for dataset in (first, second)]
        labels = [{label: sum(rows.values()) for label, rows in each.labels.items()} for each in (first, second)]
        changed = {name: pair for name, pair in _pairs(settings[0], settings[1], None).items() if pair[0] != pair[1]}
        return cls(
            first.name,
            _pairs(first.rows, second.rows, 0),
            {label: pair for label, pair in _pairs(labels[0], labels[1], 0).items() if pair[0] != pair[1]},
            changed,
            counts,
        )


def _pairs(first: Mapping[str, Any], second: Mapping[str, Any], absent: Any) -> dict[str, tuple[Any, Any]]:
    names = [*first, *(name for name in second if name not in first)]
    return {name: (first.get(name, absent), second.get(name, absent)) for name in names}


def show(settings: Settings, first: str, second: str, *, only: str | None, tenant: str | None, as_table: bool) -> bool:
    """Show the differences of each pipeline's batches, and return whether all that has one of them could be compared.

    What cannot be compared stops no other pipeline. Raises StoreError or SettingsError.
    """
    store, errors = build_store(settings), text_console(stderr=True)
    compared, failed = 0, 0
    for pipeline in choose_pipelines(settings, only=only, tenant=tenant):
        if not {first, second} & set(pipeline.stored_batch_ids()):
            continue
        try:
            _compare(pipeline, store, (first, second), as_table=as_table)
            compared += 1
        except (DataRuleError, DamagedTableError, ObjectNotFoundError) as error:
            errors.print(f"{pipeline.scope or pipeline.name} was not compared: {error}", markup=False)
            failed += 1
    if not compared + failed:
        errors.print(f"{settings.target.place} has neither of the batches {first} and {second}.", markup=False)
    return bool(compared) and not failed


def _compare(pipeline: Pipeline, store: ObjectStore, batch_ids: tuple[str, str], *, as_table: bool) -> None:
    first, second = batches = read_batches(pipeline, store, batch_ids)
    if absent := [batch.batch_id for batch in batches if not batch.is_whole]:
        raise DataRuleError(f"batch {' and '.join(absent)} is not complete in the target.")
    counts = pipeline.compare(first.batch_id, second.batch_id)
    differences = [
        DatasetDifference.of(before, after, counts.get(before.name, {}))
        for before, after in zip(first.datasets, second.datasets, strict=True)
    ]
    if as_table:
        _print_differences(pipeline, first.batch_id, second.batch_id, differences)
        return
    for difference in differences:
        of_tenant = {"tenant": pipeline.scope} if pipeline.scope else {}
        ids = {"first": first.batch_id, "second": second.batch_id}
        print(
            json.dumps({"event": "BATCHES_COMPARED", **ids, "pipeline": pipeline.name, **of_tenant} | vars(difference))
        )


def _print_differences(pipeline: Pipeline, first: str, second: str, differences: list[DatasetDifference]) -> None:
    console = table_console()
    for difference in differences:
        table = Table(
            difference.dataset,
            title=f"{pipeline.scope or pipeline.name}: batch {second} after {first}",
            title_justify="left",
        )
        for name in (first, second, "difference"):
            table.add_column(name, justify="right")
        for part, pair in difference.rows.items():
            table.add_row(part, *_counts(pair))
        for label, pair in sorted(difference.labels.items(), key=lambda entry: -abs(entry[1][1] - entry[1][0])):
            table.add_row(f"label {label}", *_counts(pair))
        for setting, values in difference.settings.items():
            table.add_row(setting, *map(str, values), "changed")
        for name, count in difference.counts.items():
            table.add_row(f"{pipeline.name} {name.replace('_', ' ')}", "", "", f"{count:,}")
        console.print(table)


def _counts(pair: tuple[int, int]) -> tuple[str, str, str]:
    before, after = pair
    return f"{before:,}", f"{after:,}", f"{after - before:+,}"
