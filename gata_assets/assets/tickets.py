"""The ticket line: from the closed tickets of a database to the training files of a batch.

Each asset reads its window and rules, calls `core`, has its checks report, and hands back a value with its counts
and picture. An `if` about data belongs in `core`.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as objects.
import base64
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import dagster as dg
import pandas as pd
from dagster_pandera import pandera_schema_to_dagster_type
from pandera.pandas import DataFrameModel

from gata_assets import checks
from gata_assets.batches import Window, parse_batch_id
from gata_assets.core.charts import draw_label_chart
from gata_assets.core.label_counts import count_labels, decide_low_volume
from gata_assets.core.low_volume import apply_low_volume_policy, select_low_volume_tickets
from gata_assets.core.provenance import require_making, stamp
from gata_assets.core.quality import (
    Outcome,
    check_counts_add_up,
    check_label_shares,
    check_no_text_in_two_splits,
    check_no_ticket_in_two_splits,
    check_table,
    check_test_share,
    count_sides,
)
from gata_assets.core.rules import PreparationRules, SplitMethod
from gata_assets.core.splits import Split, split_tickets
from gata_assets.core.training_files import GENERAL_DATASET, LOW_VOLUME_DATASET, Dataset
from gata_assets.errors import NoTicketsError
from gata_assets.resources.rules_resource import PreparationRulesResource
from gata_assets.resources.ticket_source import TicketSource, no_tickets
from gata_assets.schemas.tickets import LabelCounts, Tickets, TrainingRows, tickets_schema

GROUP = "tickets"
TABLES = "parquet_tables"
DATASETS = "training_datasets"
Described = int | float | str | bool | dg.MarkdownMetadataValue
Results = Iterator[dg.AssetCheckResult | dg.Output[pd.DataFrame]]
DatasetResults = Iterator[dg.AssetCheckResult | dg.Output[Dataset]]

_SPLIT_CHECKS = (
    checks.TRAINING_ROWS_ARE_VALID,
    checks.NO_TICKET_IN_TWO_SPLITS,
    checks.NO_TEXT_IN_TWO_SPLITS,
    checks.LABEL_SHARES_ARE_KEPT,
    checks.TEST_SHARE_IS_TEN_PERCENT,
)


def build_ticket_assets(partitions: dg.PartitionsDefinition[str], code_version: str) -> list[dg.AssetsDefinition]:
    """The five assets of the ticket line, on these partitions; `code_version` goes into every manifest."""
    asset = partial(dg.asset, partitions_def=partitions, group_name=GROUP, code_version=code_version)
    table_asset = partial(asset, kinds={"pandas", "parquet"}, io_manager_key=TABLES)
    dataset_asset = partial(asset, kinds={"pandas", "json"}, io_manager_key=DATASETS, metadata=_columns(TrainingRows))

    @table_asset(
        metadata=_columns(Tickets),
        check_specs=checks.specs("tickets", partitions, checks.TICKETS_ARE_VALID),
    )
    def tickets(
        context: dg.AssetExecutionContext,
        ticket_source: TicketSource,
        preparation_rules: PreparationRulesResource,
    ) -> Results:
        """The closed tickets of the training window that train: `[B - TRAINING_PERIOD days, 00:00 of B's day)`."""
        window = _training_window(context.partition_key, preparation_rules.rules)
        table = ticket_source.read_tickets(window)
        if table.empty:
            raise NoTicketsError(
                f"tickets: no ticket that trains was closed in {window}, the training window of batch "
                f"{context.partition_key}. Check the batch ID, TRAINING_PERIOD, and (`gata doctor`) which database "
                "is read and until when its tickets reach."
            )
        yield from checks.report("tickets", {checks.TICKETS_ARE_VALID: check_table(tickets_schema(window), table)})
        yield dg.Output(
            stamp(table, "tickets", preparation_rules.rules, {}),
            metadata=_described(table, "Tickets by label", window=str(window)),
        )

    @table_asset(
        metadata=_columns(LabelCounts),
        check_specs=checks.specs(
            "label_counts", partitions, checks.LABEL_COUNTS_ARE_VALID, checks.COUNTS_SUM_TO_THE_TICKETS
        ),
    )
    def label_counts(tickets: pd.DataFrame, preparation_rules: PreparationRulesResource) -> Results:
        """How the window's tickets fall on labels, which of these are low-volume, and what follows from that."""
        rules = preparation_rules.rules
        require_making(tickets, "tickets", rules)
        counts = count_labels(tickets, low_volume_threshold=rules.low_volume_threshold)
        yield from checks.report(
            "label_counts",
            {
                checks.LABEL_COUNTS_ARE_VALID: check_table(LabelCounts.to_schema(), counts),
                checks.COUNTS_SUM_TO_THE_TICKETS: check_counts_add_up(counts, tickets),
            },
        )
        decision = decide_low_volume(counts, min_count=rules.low_volume_min_count)
        yield dg.Output(
            stamp(counts, "label_counts", rules, {"tickets": tickets}),
            metadata={
                **_described(tickets, "Tickets by label"),
                "dagster/row_count": len(counts),
                "low_volume_labels": len(decision.low_volume_labels),
                "makes_low_volume_dataset": decision.is_made,
                "reason": decision.reason,
            },
        )

    @dataset_asset(
        check_specs=checks.specs("general_split", partitions, *_SPLIT_CHECKS),
    )
    def general_split(
        context: dg.AssetExecutionContext,
        tickets: pd.DataFrame,
        label_counts: pd.DataFrame,
        preparation_rules: PreparationRulesResource,
    ) -> DatasetResults:
        """The general dataset's train and test files: low-volume tickets relabelled or removed, then 90/10."""
        rules = preparation_rules.rules
        require_making(tickets, "tickets", rules)
        require_making(label_counts, "label_counts", rules, {"tickets": tickets})
        decision = decide_low_volume(label_counts, min_count=rules.low_volume_min_count)
        general = apply_low_volume_policy(tickets, decision, rules)
        split = split_tickets(general.tickets, method=rules.split_method, seed=rules.split_seed)
        yield from _report_split("general_split", split, len(general.tickets), rules)
        dataset = Dataset(
            name=GENERAL_DATASET,
            batch_id=context.partition_key,
            split=split,
            reason="the general dataset is made of every batch",
            windows={"training": _training_window(context.partition_key, rules)},
            rules=rules,
            code_version=code_version,
        )
        yield dg.Output(
            dataset,
            metadata={
                **_described_split(split),
                "relabelled_tickets": general.relabelled,
                "removed_tickets": general.removed,
            },
        )

    @table_asset(
        metadata=_columns(Tickets),
        check_specs=checks.specs("low_volume_tickets", partitions, checks.LOW_VOLUME_TICKETS_ARE_VALID),
    )
    def low_volume_tickets(
        context: dg.AssetExecutionContext,
        ticket_source: TicketSource,
        tickets: pd.DataFrame,
        label_counts: pd.DataFrame,
        preparation_rules: PreparationRulesResource,
    ) -> Results:
        """The low-volume labels' tickets of the training window and of the older part of LOW_VOLUME_PERIOD."""
        rules = preparation_rules.rules
        require_making(tickets, "tickets", rules)
        require_making(label_counts, "label_counts", rules, {"tickets": tickets})
        decision = decide_low_volume(label_counts, min_count=rules.low_volume_min_count)
        windows = _windows(context.partition_key, rules)
        older = (
            ticket_source.read_tickets(windows["older"], decision.low_volume_labels)
            if decision.is_made
            else no_tickets()
        )
        table = select_low_volume_tickets(tickets, older, decision, min_count=rules.low_volume_min_count)
        yield from checks.report(
            "low_volume_tickets",
            {checks.LOW_VOLUME_TICKETS_ARE_VALID: check_table(tickets_schema(*windows.values()), table)},
        )
        yield dg.Output(
            stamp(table, "low_volume_tickets", rules, {"tickets": tickets, "label_counts": label_counts}),
            metadata={
                **_described(table, "Low-volume tickets by label", window=str(windows["older"])),
                "makes_low_volume_dataset": decision.is_made,
                "reason": decision.reason,
            },
        )

    @dataset_asset(
        check_specs=checks.specs("low_volume_split", partitions, *_SPLIT_CHECKS),
    )
    def low_volume_split(
        context: dg.AssetExecutionContext,
        low_volume_tickets: pd.DataFrame,
        label_counts: pd.DataFrame,
        preparation_rules: PreparationRulesResource,
    ) -> DatasetResults:
        """The low-volume dataset's train and test files, or the explicit word that this batch has none."""
        rules = preparation_rules.rules
        require_making(label_counts, "label_counts", rules)
        require_making(low_volume_tickets, "low_volume_tickets", rules, {"label_counts": label_counts})
        decision = decide_low_volume(label_counts, min_count=rules.low_volume_min_count)
        split = (
            split_tickets(low_volume_tickets, method=rules.split_method, seed=rules.split_seed)
            if decision.is_made
            else None
        )
        checked = split or Split(low_volume_tickets, low_volume_tickets)
        yield from _report_split("low_volume_split", checked, len(low_volume_tickets), rules)
        dataset = Dataset(
            name=LOW_VOLUME_DATASET,
            batch_id=context.partition_key,
            split=split,
            reason=decision.reason,
            windows=_windows(context.partition_key, rules),
            rules=rules,
            code_version=code_version,
        )
        described = _described_split(split) if split else {"dagster/row_count": 0}
        yield dg.Output(dataset, metadata={**described, "is_made": decision.is_made, "reason": decision.reason})

    return [tickets, label_counts, general_split, low_volume_tickets, low_volume_split]


def _training_window(batch_id: str, rules: PreparationRules) -> Window:
    return parse_batch_id(batch_id).training_window(rules.training_period_days)


def _windows(batch_id: str, rules: PreparationRules) -> dict[str, Window]:
    older = parse_batch_id(batch_id).older_window(rules.low_volume_period_days, rules.training_period_days)
    return {"training": _training_window(batch_id, rules), "older": older}


def _report_split(
    table: str, split: Split, expected_rows: int, rules: PreparationRules
) -> Iterator[dg.AssetCheckResult]:
    rows = pd.concat([split.train, split.test], ignore_index=True)[["text", "label"]]
    sides = count_sides(split)
    outcomes: Mapping[str, list[Outcome]] = {
        checks.TRAINING_ROWS_ARE_VALID: check_table(TrainingRows.to_schema(), rows),
        checks.NO_TICKET_IN_TWO_SPLITS: check_no_ticket_in_two_splits(split, expected_rows),
        checks.NO_TEXT_IN_TWO_SPLITS: check_no_text_in_two_splits(split),
        checks.LABEL_SHARES_ARE_KEPT: check_label_shares(sides),
        checks.TEST_SHARE_IS_TEN_PERCENT: check_test_share(sides),
    }
    is_sklearn = rules.split_method is SplitMethod.SKLEARN
    return checks.report(table, outcomes, only_warned_of=checks.PROMISED_BY_TEXT_ONLY if is_sklearn else frozenset())


def _columns(model: type[DataFrameModel]) -> dict[str, Any]:
    """The model's column table for the UI.

    Not as the asset's Dagster type: that would validate every table a second time, and puts failing values into
    the event log.
    """
    with checks.without_maturity_warnings():
        return {"dagster/column_schema": pandera_schema_to_dagster_type(model).metadata["schema"]}


def _described(table: pd.DataFrame, title: str, **more: str) -> dict[str, Described]:
    counts = table["label"].value_counts()
    return {
        "dagster/row_count": len(table),
        "tickets": len(table),
        "labels": len(counts),
        "label_distribution": _picture(counts, title),
        **more,
    }


def _described_split(split: Split) -> dict[str, Described]:
    counts = pd.concat([split.train["label"], split.test["label"]]).value_counts()
    rows = len(split.train) + len(split.test)
    return {
        "dagster/row_count": rows,
        "train_rows": len(split.train),
        "test_rows": len(split.test),
        "test_share": len(split.test) / rows,
        "labels": len(counts),
        "label_distribution": _picture(counts, "Training rows by label"),
    }


def _picture(counts: "pd.Series[int]", title: str) -> dg.MarkdownMetadataValue:
    svg = draw_label_chart({str(label): int(count) for label, count in counts.items()}, title=title)
    encoded = base64.b64encode(svg.encode()).decode()
    return dg.MetadataValue.md(f"![{title}](data:image/svg+xml;base64,{encoded})")
