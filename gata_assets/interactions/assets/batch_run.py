"""Builds a tenant's batches in a run, one after the other, and records each of their two datasets once it is written.

The engine builds and checks a dataset, which is then written unless a blocking check fails. A batch with invalid data
fails alone, and the run fails after the last batch.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from time import perf_counter
from typing import TYPE_CHECKING, Any

import dagster as dg

from gata_assets.batches import days_of
from gata_assets.curation.quality.measures import QualityRules
from gata_assets.errors import ChecksFailedError, DamagedTableError, DataRuleError, ObjectNotFoundError, StoreError
from gata_assets.interactions.assets.batch_quality import BatchQuality, measure_batch
from gata_assets.interactions.assets.batch_tables import (
    NO_INTERACTIONS,
    OF_WRITTEN,
    TABLES,
    BatchTable,
    datasets_of,
    outcomes_of,
)
from gata_assets.interactions.assets.table_metadata import describe_table
from gata_assets.interactions.assets.write_tables import WrittenFiles, WrittenTables, write_tables
from gata_assets.interactions.check_names import ITEMS_ARE_IN_THE_CATALOGUE
from gata_assets.interactions.datasets import (
    CURATED_INTERACTIONS,
    CURATED_ITEMS,
    BatchDataset,
    DatasetKind,
    StoredTables,
    read_stored,
)
from gata_assets.interactions.engines import base
from gata_assets.interactions.rules import CatalogRules, InteractionRules, UnknownItemsAction
from gata_assets.interactions.sampling.empty_samples import why_no_negatives, why_no_rows
from gata_assets.interactions.staleness import Present, find_differences
from gata_assets.interactions.windows import InteractionWindows, windows_from_day_on
from gata_assets.orchestration import checks
from gata_assets.orchestration.curated_tables.quality import RunQuality
from gata_assets.orchestration.dagster_private import kept_open
from gata_assets.orchestration.recording import Event, Events, KeptFailures, Recorder, is_alone
from gata_assets.storage.resource import ObjectStoreResource
from gata_assets.tables.manifests import check_same_rows
from gata_assets.tables.outcomes import Outcome

if TYPE_CHECKING:
    from gata_assets.interactions.curated.status import CuratedLayer, StoredDays

_TO_CURATE = "Materialize it (the job curate_interactions), or use `gata prepare`, which does."


@dataclass(frozen=True)
class _Batch:
    """A batch in progress: its windows, the days of its window, and what it is built from."""

    batch_id: str
    windows: InteractionWindows
    days: StoredDays
    present: Present


class InteractionRun:
    """Builds the selected datasets of one tenant in one run, and keeps the failures of its batches."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        *,
        layer: CuratedLayer,
        rules: InteractionRules,
        catalog_rules: CatalogRules,
        earliest: date,
        code_version: str,
        engine: base.InteractionEngine,
        store: ObjectStoreResource,
        quality: QualityRules,
        preview_rows: int = 0,
    ) -> None:
        batches = len(context.partition_keys)
        self._context = context
        self._layer = layer
        self._places = layer.places
        self._rules = rules
        self._catalog_rules = catalog_rules
        is_warning = catalog_rules.action is UnknownItemsAction.WARN
        self._only_warned_of = frozenset({ITEMS_ARE_IN_THE_CATALOGUE} if is_warning else ())
        self._earliest = earliest
        self._code_version = code_version
        self._engine = engine
        self._store = store
        self._quality = RunQuality(layer.curator, quality, context.log.warning)
        self._preview_rows = preview_rows
        self._recorder = Recorder(context, code_version=code_version, as_events=batches > 1 or is_alone(context))
        self._failures = KeptFailures(context.log, partitions=batches)

    def run(self, batch_ids: Sequence[str]) -> Events:
        """Build the batches in order; yields their checks and materializations as they happen.

        Raises:
            dagster.Failure: At the end for batches that failed alone, at once for a fault that would fail every batch.
        """
        self._recorder.refuse_readers_in_range()
        wanted = datasets_of({key.path[-1] for key in self._context.selected_asset_keys})
        ended: set[str] = set()
        with kept_open(self._context.instance, self._context.run.run_id):
            for batch_id in batch_ids:
                kind, features = DatasetKind.FEATURES, None
                records: list[Events] = []
                try:
                    batch = self._look(batch_id)
                    for kind in wanted:
                        features = yield from self._build(kind, batch, features, records)
                    ended.add(batch_id)
                except Exception as error:  # noqa: BLE001 (kept as the batch's failure, which ends the run)
                    self._failures.keep(batch_id, f"{self._places.tenant}/{kind}", error)
                    self._withdraw_damaged(batch_id, error)
                yield from self._recorder.record(chain.from_iterable(records))
                self._failures.stop_if_hopeless(ended=ended)
        self._failures.stop_at_end()

    def _withdraw_damaged(self, batch_id: str, error: Exception) -> None:
        """Withdraw a damaged table that a batch reads, so that the next run rebuilds it: two writers can damage one."""
        if isinstance(error, DamagedTableError) and error.key is not None:
            try:
                self._layer.withdraw(error.key)
            except StoreError as denied:
                self._failures.keep(batch_id, f"{self._places.tenant}/{CURATED_INTERACTIONS}", denied)

    def _look(self, batch_id: str) -> _Batch:
        """The curated layer as the batch reads it; raises DataRuleError if any of its days is missing or stale."""
        windows = windows_from_day_on(batch_id, self._rules, self._earliest)
        seen_days = self._layer.look(days_of(windows.seen))
        seen_days.require_kept()
        days = seen_days.part(days_of(windows.window))
        catalog = self._layer.catalog_digest()
        if not days.has_interactions and self._layer.files_waiting:
            raise DataRuleError(
                f"{self._places.tenant}/{CURATED_INTERACTIONS}: nothing is known of {windows.window}, and "
                f"{self._layer.files_waiting} raw files wait to be validated. {_TO_CURATE}"
            )
        if days.has_interactions:
            seen_days.require_up_to_date()
            if catalog is not None and self._layer.is_catalog_stale:
                raise DataRuleError(
                    f"{self._places.tenant}/{CURATED_ITEMS} is older than the item files that came. {_TO_CURATE}"
                )
            if catalog is None:
                raise ObjectNotFoundError(
                    f"{self._places.tenant}/{CURATED_ITEMS}: there are interactions in {windows.window}, and there is "
                    "no catalog. Upload item files with `gata ingest items` (or derive items from interactions: `gata "
                    "ingest interactions … --derive-items`), and materialize it."
                )
        present = Present.of(days.digest(), seen_days.digest(), catalog, self._rules.as_settings())
        return _Batch(batch_id, windows, days, present)

    def _build(
        self, name: DatasetKind, batch: _Batch, features: StoredTables | None, records: list[Events]
    ) -> Generator[Event, None, StoredTables]:
        """Build, check and write one dataset, and append its records; returns what its manifest says."""
        started = perf_counter()
        made_from = dict(batch.present.made_from[name])
        if name is DatasetKind.TRAINING_DATA:
            features = features or self._read_features(batch)
            made_from["features"] = features.sha256
        built = self._call_engine(name, batch, features)
        outcomes = {table: outcomes_of(table, self._catalog_rules, built) for table in TABLES[name]}
        is_scored, at = name is DatasetKind.FEATURES, batch.windows.window.end_at
        quality = measure_batch(self._quality, batch.days, at) if is_scored else BatchQuality()

        def approve(files: WrittenFiles) -> None:
            if base.WITH_FEATURES in files:
                negatives, joined = (
                    [(file.rows, file.row_sum) for file in files[table]]
                    for table in (base.NEGATIVE_SAMPLES, base.WITH_FEATURES)
                )
                joined_outcomes = outcomes[base.WITH_FEATURES]
                joined_outcomes[OF_WRITTEN] = check_same_rows(negatives, joined)
                asset = f"{self._places.tenant}/{base.WITH_FEATURES}"
                checks.require_passed(asset, joined_outcomes, so="and what was written has no manifest.")

        seconds = {"seconds_making": perf_counter() - started}
        main = next(iter(TABLES[name]))
        has_rows = built is not None and built.numbers[main]["row_count"] > 0
        tables = BatchDataset(
            name=name,
            tenant=self._places.tenant,
            batch_id=batch.batch_id,
            has_rows=has_rows,
            reason=self._reason(name, features, batch.days, built),
            windows={"interactions": batch.windows.window, "seen": batch.windows.seen},
            numbers=built.numbers if built is not None else {table: {"row_count": 0} for table in TABLES[name]},
            settings=batch.present.settings,
            made_from=made_from,
            code_version=self._code_version,
        )
        try:
            for table in TABLES[name]:
                checks.require_passed(
                    f"{self._places.tenant}/{table}", outcomes[table], only_warned_of=self._only_warned_of
                )
            started = perf_counter()
            written = write_tables(self._store, tables, built if has_rows else None, approve=approve)
        except ChecksFailedError:
            for table in TABLES[name]:
                yield from checks.evaluations(
                    self._key(table), batch.batch_id, outcomes[table], only_warned_of=self._only_warned_of
                )
            raise
        seconds["seconds_writing"] = perf_counter() - started
        # Now: a preview reads the target, and a transaction must not wait for it.
        described = {
            table: describe_table(self._store, tables, written, table, preview_rows=self._preview_rows)
            for table in TABLES[name]
        }
        described[main].update(quality.metadata)
        records.append(self._records(tables, written, described, outcomes, {main: quality.outcomes}, seconds))
        return written.stored

    def _call_engine(self, name: DatasetKind, batch: _Batch, features: StoredTables | None) -> base.BuiltTables | None:
        """What the engine builds; None if there is nothing to build from."""
        windows, erased = batch.windows, self._layer.curator.erased()
        curated = base.CuratedWindow(self._places, windows.window, windows.seen, erased)
        if name is DatasetKind.FEATURES:
            return self._engine.make_features(curated, self._store) if batch.days.has_interactions else None
        if features is None or not features.has_rows:
            return None
        prefix = DatasetKind.FEATURES.prefix(self._places, batch.batch_id)
        parts = {table: features.keys(prefix, table) for table in TABLES[DatasetKind.FEATURES]}
        return self._engine.make_training_data(curated, self._rules.sampling, self._store, features=parts)

    def _reason(
        self, name: DatasetKind, features: StoredTables | None, days: StoredDays, built: base.BuiltTables | None
    ) -> str:
        """Why a dataset is empty, or has positives alone; empty for any other."""
        if built is not None and name is DatasetKind.TRAINING_DATA:
            numbers = built.numbers[base.NEGATIVE_SAMPLES]
            return why_no_negatives(numbers) if numbers["row_count"] else why_no_rows(numbers, self._rules.sampling)
        if features is not None:
            return features.reason
        if built is not None and built.numbers[base.USER_FEATURES]["row_count"]:
            return ""
        return NO_INTERACTIONS if days.staged else self._layer.why_no_rows()

    def _read_features(self, batch: _Batch) -> StoredTables:
        """The batch's stored features; raises DataRuleError if this run would build different ones."""
        key = DatasetKind.FEATURES.manifest_key(self._places, batch.batch_id)
        again = f"Materialize the features of batch {batch.batch_id} first, or together with its training data."
        try:
            stored = read_stored(self._store.read(key))
        except ObjectNotFoundError:
            raise ObjectNotFoundError(f"There is no {self._store.uri(key)}. {again}") from None
        if stored is None:
            raise DataRuleError(f"{self._store.uri(key)} is withdrawn: its files are not complete. {again}")
        if find_differences(stored, DatasetKind.FEATURES, batch.present):
            raise DataRuleError(
                f"{self._store.uri(key)}: the features were built from other curated tables than those that are stored "
                f"now, or with another INTERACTION_PERIOD. {again}"
            )
        return stored

    def _records(
        self,
        tables: BatchDataset,
        written: WrittenTables,
        described: Mapping[str, Mapping[str, Any]],
        outcomes: Mapping[str, Mapping[str, Sequence[Outcome]]],
        warnings: Mapping[str, Mapping[str, Sequence[Outcome]]],
        seconds: Mapping[str, float],
    ) -> Events:
        for table, spec in TABLES[tables.name].items():
            key, batch_id = self._key(table), tables.batch_id
            yield self._recorder.materialization(
                key,
                batch_id,
                described[table],
                version=written.version(table),
                made_from=self._recorder.versions(self._sources(spec, batch_id)),
                seconds=seconds,
            )
            record = self._recorder.find(key, batch_id)
            yield from checks.evaluations(
                key, batch_id, outcomes[table], only_warned_of=self._only_warned_of, target=record
            )
            yield from checks.evaluations(key, batch_id, warnings.get(table, {}), is_blocking=False, target=record)

    def _sources(self, table: BatchTable, batch_id: str) -> list[tuple[dg.AssetKey, str | None]]:
        """What a table was built from, for Dagster's lookup of newer versions; for days, the last one recorded."""
        curated = (CURATED_INTERACTIONS, CURATED_ITEMS)
        return [(self._key(source), None if source in curated else batch_id) for source in table.made_from]

    def _key(self, table: str) -> dg.AssetKey:
        return dg.AssetKey([self._places.tenant, table])
