"""One small world of plain values that the tests share: a batch, its windows, and tickets with a story each.

Values and frames only: nothing here starts a server, reads a file or asserts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd

from gata_assets.batches import Window, parse_batch_id
from gata_assets.tickets.rules import LabelFormat, LowVolumePolicy, PreparationRules, SplitMethod

BATCH_ID = "2026010203"
TRAINING_WINDOW = parse_batch_id(BATCH_ID).training_window(90)
OLDER_WINDOW = parse_batch_id(BATCH_ID).older_window(365, 90)
FALLBACK_LABEL = 9_000

RULES = PreparationRules(
    training_period_days=90,
    low_volume_period_days=365,
    low_volume_threshold=0.1,
    low_volume_min_count=10,
    low_volume_policy=LowVolumePolicy.DOCUMENTED,
    low_volume_fallback_label=FALLBACK_LABEL,
    split_method=SplitMethod.BY_TEXT,
    split_seed=42,
    label_format=LabelFormat.INTEGER,
)


def tickets_frame(rows: Sequence[tuple[int | None, str]], window: Window = TRAINING_WINDOW) -> pd.DataFrame:
    """`Tickets` rows from (label, text): ids from 1, closed a minute after one another from the window's start."""
    return pd.DataFrame(
        {
            "id": pd.array(range(1, len(rows) + 1), "Int64"),
            "closed": pd.array([window.start + 60 * n for n in range(len(rows))], "Int64"),
            "label": pd.array([label for label, _ in rows], "Int64"),
            "text": pd.array([text for _, text in rows], "string[pyarrow]"),
        }
    )


def database_rows(rows: Sequence[dict[str, object]]) -> pd.DataFrame:
    """Rows of the `ticket` table: what is not given is an e-mail ticket that the router routed and that trains.

    Keys: any column; `label` and `text` stand for closed_group_id_mapped and processed_data.
    """
    filled = []
    for number, row in enumerate(rows, start=1):
        given = dict(row)
        label = given.pop("label", 101)
        filled.append(
            {
                "id": number,
                "processed_data": given.pop("text", f"ticket number {number}"),
                "via_channel": "email",
                "probability": 0.5,
                "routed_by": "gata",
                "created": TRAINING_WINDOW.start - 3_600,
                "initial_group_id": None,
                "initial_group_id_mapped": None,
                "closed": TRAINING_WINDOW.start + 60 * number,
                "closed_group_id": label,
                "closed_group_id_mapped": label,
                **given,
            }
        )
    frame = pd.DataFrame(filled)
    groups = ["initial_group_id", "initial_group_id_mapped", "closed_group_id", "closed_group_id_mapped"]
    return frame.astype(dict.fromkeys(groups, "Int64"))


def world() -> list[dict[str, object]]:
    """Tickets of a help desk: two large groups (101, 102), two low-volume ones that suffice (201, 202), one low-volume
    one that suffices only with its older tickets (203), one that never does (204).
    """
    rows: list[dict[str, object]] = []
    for label, in_window, older in (
        (101, 260, 300),
        (102, 180, 200),
        (201, 14, 6),
        (202, 12, 0),
        (203, 4, 8),
        (204, 3, 2),
    ):
        rows += [
            {"label": label, "text": f"case {n} of group {label}", "closed": TRAINING_WINDOW.start + 9_000 * n + label}
            for n in range(in_window)
        ]
        rows += [
            {"label": label, "text": f"old case {n} of group {label}", "closed": OLDER_WINDOW.start + 9_000 * n + label}
            for n in range(older)
        ]
    return rows


def instant(text: str) -> int:
    """Epoch seconds of an ISO instant in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
