"""What the service is measured against, as most write it: UploadFile and pandas, models of rows, an object per event.

`uvicorn benchmarks.ingestion.reference_service:app`, with BUCKET and the AWS SDK's variables.
"""

from __future__ import annotations

import os
from datetime import datetime
from functools import cache
from io import BytesIO
from typing import Any
from uuid import uuid4

import boto3
import pandas as pd
from fastapi import FastAPI, UploadFile
from pydantic import BaseModel, Field

app = FastAPI()


class Interaction(BaseModel):
    """A row."""

    user_id: str = Field(min_length=1)
    item_id: str = Field(min_length=1)
    interaction_type: str
    timestamp: datetime
    rating: float | None = Field(None, ge=1, le=5)


@cache
def _client() -> Any:
    return boto3.client("s3")


def _put(content: bytes, ending: str) -> str:
    key = f"raw/{uuid4().hex}.{ending}"
    _client().put_object(Bucket=os.environ["BUCKET"], Key=key, Body=content)
    return key


def _put_rows(rows: pd.DataFrame) -> dict[str, object]:
    held = BytesIO()
    rows.to_parquet(held)
    return {"rows_accepted": len(rows), "s3_path": _put(held.getvalue(), "parquet")}


@app.post("/upload")
def upload(file: UploadFile) -> dict[str, object]:
    """Store the rows of a CSV file."""
    rows = pd.read_csv(file.file)
    valid = rows[rows["user_id"].notna() & rows["item_id"].notna()]
    return _put_rows(valid)


@app.post("/interactions")
def interactions(rows: list[Interaction]) -> dict[str, object]:
    """Store the rows of a body."""
    return _put_rows(pd.DataFrame([row.model_dump() for row in rows]))


@app.post("/events")
def event(row: Interaction) -> dict[str, object]:
    """Store an event as an object of its own."""
    return {"s3_path": _put(row.model_dump_json().encode(), "json")}
