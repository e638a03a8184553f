"""Service levels: calendar minutes up to the first reply and the solving, and whether they are later than the targets.

The metrics of the export count where it has them; business minutes it alone can know. Nothing depends on the present:
a ticket that waits is judged at the instant of its version, so that the same rows give the same judgment at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl

from gata_assets.lake.offline.nested import Comment, in_utc
from gata_assets.lake.offline.rules import SlaTargets
from gata_assets.lake.schema import CLOSED, SOLVED, UNSOLVED

# Columns that the derivations need besides those of offline tickets.
REPLIED_AT, KNOWS_REPLIES = "replied_at", "knows_replies"


def first_reply_at(
    comments: Sequence[list[Comment] | None], requesters: Sequence[str | None], created: Sequence[float]
) -> list[datetime | None]:
    """When somebody else than the requester first wrote a public comment after the ticket's creation.

    The comment that creates the ticket is no reply, whoever wrote it: agents open tickets for customers.

    Args:
        comments: the comments of each ticket.
        requesters: who asked.
        created: when, in epoch seconds.
    """
    return [
        None
        if found is None
        else min(
            (
                comment.created_at
                for comment in found
                if comment.public is not False
                and comment.author_id is not None
                and str(comment.author_id) != requester
                and comment.created_at is not None
                and in_utc(comment.created_at).timestamp() > created_at
            ),
            key=in_utc,
            default=None,
        )
        for found, requester, created_at in zip(comments, requesters, created, strict=True)
    ]


def with_minutes(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with the minutes that the export's metrics do not have: those since creation, rounded down."""
    is_solved = pl.col("status").is_in([SOLVED, CLOSED])
    resolution = pl.when(is_solved).then(_minutes_since_creation("solved_at"))
    return rows.with_columns(
        pl.coalesce("first_reply_minutes", _minutes_since_creation(REPLIED_AT)).alias("first_reply_minutes"),
        pl.coalesce("full_resolution_minutes", resolution).alias("full_resolution_minutes"),
    )


def with_breaches(rows: pl.DataFrame, targets: SlaTargets) -> pl.DataFrame:
    """Rows with judgments of both minutes; null without a target for the priority, or without knowledge.

    Without minutes a ticket has breached its target once a version that is still unsolved was made after the deadline.
    For the first reply the export must have comments or metrics: otherwise a reply may only not be known.
    """
    reply = _breach("first_reply_minutes", targets.first_reply, pl.col(KNOWS_REPLIES))
    resolution = _breach("full_resolution_minutes", targets.resolution, pl.lit(value=True))
    return rows.with_columns(reply.alias("first_reply_breached"), resolution.alias("resolution_breached"))


def _minutes_since_creation(column: str) -> pl.Expr:
    minutes = (pl.col(column) - pl.col("created_at")).dt.total_minutes()
    is_after = pl.col(column) >= pl.col("created_at")
    return pl.when(is_after).then(minutes).cast(pl.Int32, strict=False)


def _breach(column: str, targets: Mapping[str, int], is_known: pl.Expr) -> pl.Expr:
    if not targets:
        return pl.lit(None, pl.Boolean)
    most = pl.col("priority").replace_strict(dict(targets), default=None, return_dtype=pl.Int64)
    age = (pl.col("version_at") - pl.col("created_at")).dt.total_minutes()
    waits_too_long = is_known & pl.col("status").is_in(UNSOLVED) & (age > most)
    is_given = pl.col(column).is_not_null() & most.is_not_null()
    return pl.when(is_given).then(pl.col(column) > most).when(waits_too_long).then(pl.lit(value=True))
