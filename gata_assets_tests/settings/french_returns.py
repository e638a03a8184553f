"""A table of changes that declares the regions of its phone numbers."""

from __future__ import annotations

import pandera.polars as pa


class Returns(pa.DataFrameModel):
    """What customers sent back."""

    return_id: str = pa.Field(unique=True, description="The return.")
    reason: str = pa.Field(nullable=True, description="Free text.")

    class Config:
        strict = True
        ordered = True
        metadata = {  # noqa: RUF012 - as pandera has it
            "table": "returns",
            "key": ["return_id"],
            "repetitions": "latest",
            "changes": {"operation": ["Op"], "committed_at": ["dms_timestamp"]},
            "card_numbers": "truncate",
            "phone_regions": ["FR"],
        }
