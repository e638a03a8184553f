"""The tables of the ticket line: tickets, label counts and training rows.

A model says columns, types and rules; what to do about rows that break one belongs to `core.quality`.
The rules are those of the systems that read the result: the fine-tuning job's pattern and its integer labels.
"""

from __future__ import annotations

from typing import Annotated

import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series

from gata_assets.batches import Window

# What the fine-tuning job accepts as a text, matched against all of it.
TEXT_PATTERN = r"^[a-z0-9\s\.\?!]+$"

# Arrow-backed: less memory than Python strings, and the pattern is matched by Arrow's kernel (100,000 texts of
# 550 characters: the whole table is validated in 0.24 s).
Text = Annotated[pd.StringDtype, "pyarrow", pd.NA]


class Tickets(pa.DataFrameModel):
    """Closed tickets that train: one row a ticket."""

    id: Series[pd.Int64Dtype] = pa.Field(unique=True, description="The Zendesk ticket's id.")
    closed: Series[pd.Int64Dtype] = pa.Field(description="When it was closed, in epoch seconds (UTC).")
    label: Series[pd.Int64Dtype] = pa.Field(ge=0, description="The Zendesk group that it was closed in.")
    text: Series[Text] = pa.Field(
        str_matches=TEXT_PATTERN, description="Subject and body, lower-cased and reduced to [a-z0-9?.! ]."
    )

    class Config:
        """Exactly these columns."""

        name = "tickets"
        strict = True


class LabelCounts(pa.DataFrameModel):
    """How the training window's tickets fall on labels: one row a label, most tickets first."""

    label: Series[pd.Int64Dtype] = pa.Field(unique=True, ge=0, description="The Zendesk group.")
    count: Series[pd.Int64Dtype] = pa.Field(ge=1, description="Its tickets in the training window.")
    share: Series[float] = pa.Field(gt=0, le=1, description="Its share of the window's tickets, 0 to 1.")
    is_low_volume: Series[bool] = pa.Field(description="Whether the share is below LOW_VOLUME_THRESHOLD.")

    class Config:
        """Exactly these columns."""

        name = "label_counts"
        strict = True


class TrainingRows(pa.DataFrameModel):
    """What a training file holds: one row a ticket."""

    text: Series[Text] = pa.Field(str_matches=TEXT_PATTERN, description="The text to classify, [a-z0-9?.! ] only.")
    label: Series[pd.Int64Dtype] = pa.Field(ge=0, description="The class: a Zendesk group id.")

    class Config:
        """Exactly these columns."""

        name = "training rows"
        strict = True


def tickets_schema(*windows: Window) -> pa.DataFrameSchema:
    """The rules of `Tickets`, and `closed` inside one of the windows."""
    inside = pa.Check(lambda closed: _is_inside(closed, windows), name="closed_inside_the_window", ignore_na=True)
    schema = Tickets.to_schema()
    return schema.update_column("closed", checks=[*schema.columns["closed"].checks, inside])


def _is_inside(closed: pd.Series[int], windows: tuple[Window, ...]) -> pd.Series[bool]:
    inside = pd.Series(False, index=closed.index)
    for window in windows:
        inside |= ((closed >= window.start) & (closed < window.end)).fillna(False).astype(bool)
    return inside
