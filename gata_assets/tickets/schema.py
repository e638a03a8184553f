"""The tables of the ticket pipeline: tickets, label counts and training rows.

A model defines columns, types and rules; advice about rows that break a rule belongs to `checks`.
The rules come from the systems that read the result: the fine-tuning job's text pattern and integer labels.
"""

from __future__ import annotations

from typing import Annotated

import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series

from gata_assets.batches import Window

# The texts that the fine-tuning job accepts; matched against the whole text.
TEXT_PATTERN = r"^[a-z0-9\s\.\?!]+$"
# A text of white space and punctuation says nothing.
TEXT_CONTENT = r"[^\s.?!]"

# Arrow-backed: uses less memory than Python strings, and Arrow's kernel matches the pattern (100,000 texts of
# 550 characters: the whole table is validated in 0.24 s).
Text = Annotated[pd.StringDtype, "pyarrow", pd.NA]


class Tickets(pa.DataFrameModel):
    """Closed tickets for training: one row per ticket."""

    id: Series[pd.Int64Dtype] = pa.Field(unique=True, description="The Zendesk ticket's id.")
    closed: Series[pd.Int64Dtype] = pa.Field(description="When it was closed, in epoch seconds (UTC).")
    label: Series[pd.Int64Dtype] = pa.Field(ge=0, description="The Zendesk group that it was closed in.")
    text: Series[Text] = pa.Field(
        str_matches=TEXT_PATTERN,
        str_contains=TEXT_CONTENT,
        description="Subject and body, lower-cased and reduced to [a-z0-9?.! ].",
    )

    class Config:
        """Exactly these columns."""

        name = "tickets"
        strict = True


class LabelCounts(pa.DataFrameModel):
    """Tickets per label in the training window: one row per label, most tickets first."""

    label: Series[pd.Int64Dtype] = pa.Field(unique=True, ge=0, description="The Zendesk group.")
    count: Series[pd.Int64Dtype] = pa.Field(ge=1, description="Its tickets in the training window.")
    share: Series[float] = pa.Field(gt=0, le=1, description="Its share of the window's tickets, 0 to 1.")
    is_low_volume: Series[bool] = pa.Field(description="Whether the share is below LOW_VOLUME_THRESHOLD.")

    class Config:
        """Exactly these columns."""

        name = "label_counts"
        strict = True


class TrainingRows(pa.DataFrameModel):
    """The rows of a training file: one row per ticket."""

    text: Series[Text] = pa.Field(
        str_matches=TEXT_PATTERN, str_contains=TEXT_CONTENT, description="The text to classify, [a-z0-9?.! ] only."
    )
    label: Series[pd.Int64Dtype] = pa.Field(ge=0, description="The class: a Zendesk group id.")

    class Config:
        """Exactly these columns."""

        name = "training rows"
        strict = True


def tickets_schema(*windows: Window) -> pa.DataFrameSchema:
    """The schema of `Tickets`, plus the rule that `closed` is inside one of the windows."""
    inside = pa.Check(lambda closed: _is_inside(closed, windows), name="closed_inside_the_window", ignore_na=True)
    schema = Tickets.to_schema()
    return schema.update_column("closed", checks=[*schema.columns["closed"].checks, inside])


def _is_inside(closed: pd.Series[int], windows: tuple[Window, ...]) -> pd.Series[bool]:
    inside = pd.Series(False, index=closed.index)
    for window in windows:
        inside |= ((closed >= window.start) & (closed < window.end)).fillna(False).astype(bool)
    return inside
