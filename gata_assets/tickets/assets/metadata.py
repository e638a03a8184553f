"""The metadata of ticket tables and datasets for the UI: counts, shares, and a chart of labels."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import dagster as dg
import pandas as pd

from gata_assets.tickets.accounting import TicketAccount
from gata_assets.tickets.label_chart import draw_label_chart
from gata_assets.tickets.splitting.splits import Split
from gata_assets.tickets.splitting.twins import Twins

_MOST_CHARACTERS = 16

Described = int | float | str | bool | dg.MarkdownMetadataValue | dg.JsonMetadataValue


def describe_tickets(
    table: pd.DataFrame, account: TicketAccount, title: str, names: Mapping[int, str] | None, **more: str
) -> dict[str, Described]:
    """Counts of a ticket table, and a chart of its labels with that title; `names` are theirs, if they have any."""
    counts = table["label"].value_counts()
    return {
        "dagster/row_count": len(table),
        "tickets": len(table),
        "labels": len(counts),
        "label_distribution": _picture(counts, title, names),
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
        "train_rows": len(split.train),
        "test_rows": len(split.test),
        "test_share": round(len(split.test) / rows, 4),
        "labels": len(counts),
        "label_distribution": _picture(counts, "Training rows by label", names),
    }


def _picture(counts: pd.Series[int], title: str, names: Mapping[int, str] | None) -> dg.MarkdownMetadataValue:
    shown = {_shown(int(str(label)), names or {}): int(count) for label, count in counts.items()}
    svg = draw_label_chart(shown, title=title)
    encoded = base64.b64encode(svg.encode()).decode()
    return dg.MetadataValue.md(f"![{title}](data:image/svg+xml;base64,{encoded})")


def _shown(label: int, names: Mapping[int, str]) -> str:
    """A label as a chart has room for it: its id, and the beginning of its name."""
    if label not in names:
        return str(label)
    name = names[label]
    return f"{name if len(name) <= _MOST_CHARACTERS else name[: _MOST_CHARACTERS - 1] + '…'} ({label})"
