"""The metadata of ticket tables and datasets for the UI: a chart of labels, counts, shares, and a preview."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg
import pandas as pd

from gata_assets.orchestration.asset_pages.bar_chart import bar_chart
from gata_assets.ticket_contract.accounting import TicketAccount
from gata_assets.tickets.splitting.splits import Split
from gata_assets.tickets.splitting.twins import Twins

# The first entry of an asset's page.
LABEL_DISTRIBUTION = "label_distribution"

Described = int | float | str | bool | dg.MarkdownMetadataValue | dg.JsonMetadataValue


def describe_tickets(
    table: pd.DataFrame, account: TicketAccount, names: Mapping[int, str] | None, **more: str
) -> dict[str, Described]:
    """Counts of a ticket table, and a chart of its tickets by label; `names` are theirs, if they have any."""
    counts = table["label"].value_counts()
    return {
        "dagster/row_count": len(table),
        LABEL_DISTRIBUTION: _chart(counts, names),
        "tickets": len(table),
        "labels": len(counts),
        **describe_account(account),
        **more,
    }


def describe_account(account: TicketAccount) -> dict[str, Described]:
    """The tickets in the window, those excluded, in all and by reason, and what was done to their texts."""
    texts = account.texts
    return {
        "tickets_in_window": account.in_window,
        "tickets_excluded": sum(account.excluded.values()),
        **{f"excluded_{reason}": tickets for reason, tickets in account.excluded.items()},
        **({"texts_changed": texts.changed, "characters_lost": texts.characters_lost} if texts else {}),
    }


def describe_twins(twins: Twins) -> dict[str, Described]:
    """The test rows that have a twin in train: in all, as a share, and by label."""
    by_label = {str(label): rows for label, rows in twins.by_label.items()}
    return {
        "test_rows_with_twin": twins.with_twin,
        "twin_share": round(twins.share, 4),
        "twins_by_label": dg.MetadataValue.json(by_label),
    }


def describe_split(split: Split, names: Mapping[int, str] | None) -> dict[str, Described]:
    """Counts of a train/test split, and a chart of its labels; `names` are theirs, if they have any."""
    counts = pd.concat([split.train["label"], split.test["label"]]).value_counts()
    rows = len(split.train) + len(split.test)
    return {
        "dagster/row_count": rows,
        LABEL_DISTRIBUTION: _chart(counts, names),
        "train_rows": len(split.train),
        "test_rows": len(split.test),
        "test_share": round(len(split.test) / rows, 4),
        "labels": len(counts),
    }


def _chart(counts: pd.Series[int], names: Mapping[int, str] | None) -> dg.MarkdownMetadataValue:
    named = names or {}
    return bar_chart({_shown(int(str(label)), named): int(count) for label, count in counts.items()})


def _shown(label: int, names: Mapping[int, str]) -> str:
    """A label as a chart has room for it: its id, and the beginning of its name."""
    return f"{label} {names[label]}" if label in names else str(label)
