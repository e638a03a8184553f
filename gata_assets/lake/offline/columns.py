"""Rows of bronze to the columns of offline tickets, row by row; but for `ending`, nothing depends on another row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from gata_assets.lake.flat_exports import DESCRIPTION, TEXTS
from gata_assets.lake.offline.cleaning import clean_bodies, clean_subjects
from gata_assets.lake.offline.ending import ENDING, with_ending, with_labels
from gata_assets.lake.offline.language import detect_languages
from gata_assets.lake.offline.nested import (
    INSTANTS,
    METRICS,
    NO_METRICS,
    TEXT_LISTS,
    Comment,
    NestedReader,
    NestedValues,
    Runs,
    as_column,
    in_utc,
    read_channel,
    read_comments,
    read_custom_fields,
    read_metrics,
    read_name,
    read_score,
    read_texts,
)
from gata_assets.lake.offline.people import other_fields, people_columns
from gata_assets.lake.offline.rules import OfflineRules
from gata_assets.lake.offline.schema import OFFLINE
from gata_assets.lake.offline.sla import KNOWS_REPLIES, REPLIED_AT, first_reply_at, with_breaches, with_minutes
from gata_assets.tables.columns.arrays import Int32s
from gata_assets.tables.text_normalization import normalize_texts

# Bounds what exists besides the rows: texts are copied by each pass.
_ROWS_AT_ONCE = 8_192
_NO_TEXTS: list[str] = []


class OfflineRows(NamedTuple):
    """Offline tickets, and by row how many nested values had another shape than they should."""

    rows: pl.DataFrame
    unreadable: Int32s


def offline_columns(rows: pl.DataFrame, rules: OfflineRules) -> OfflineRows:
    """Offline tickets of rows of bronze with `version_at`, in their order."""
    schema = {name: kind for name, kind in OFFLINE.curated_schema.items() if name not in ENDING}
    parts, unreadable = [pl.DataFrame(schema=schema)], [np.zeros(0, dtype=np.int32)]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE]
        reader = NestedReader(len(part))
        parts.append(_offline_columns(part, rules, reader))
        unreadable.append(reader.unreadable)
    rows = with_ending(pl.concat(parts)).select(*OFFLINE.curated_schema)
    return OfflineRows(rows, np.concatenate(unreadable))


def _offline_columns(rows: pl.DataFrame, rules: OfflineRules, reader: NestedReader) -> pl.DataFrame:
    comments = reader.read(rows["comments"], read_comments, None)
    metrics = reader.read(rows["metric_set"], read_metrics, None)
    values_of_metrics = zip(*(found or NO_METRICS for found in metrics.distinct), strict=True)
    of_metrics = pl.DataFrame(
        {
            "metric_solved_at" if name == "solved_at" else name: as_column(values, kind).gather(metrics.places)
            for (name, kind), values in zip(METRICS.items(), values_of_metrics, strict=True)
        }
    )
    columns = {
        "status": rows["status"],
        **_texts(rows, rules),
        "channel": reader.read_texts(rows["via"], read_channel, None),
        "group": reader.read_texts(rows["group"], read_name, None),
        "satisfaction": reader.read_texts(rows["satisfaction"], read_score, None),
        "tags": reader.read_texts(rows["tags"], read_texts, _NO_TEXTS, TEXT_LISTS),
        "followup_ids": reader.read_texts(rows["followup_ids"], read_texts, _NO_TEXTS, TEXT_LISTS),
        "custom_fields": reader.read(rows["custom_fields"], read_custom_fields, None).column(),
        "comments": _counts(comments),
        "more": other_fields(rows, rules, reader),
        REPLIED_AT: _replied(rows, comments),
        KNOWS_REPLIES: rows["comments"].is_not_null() | rows["metric_set"].is_not_null(),
        **people_columns(rows, rules),
    }
    # A column of bronze that says the same counts where the nested value says nothing.
    flat = pl.DataFrame({"flat_channel": rows["channel"], "flat_group": rows["group_name"]})
    found = pl.concat([rows.drop(columns, strict=False), pl.DataFrame(columns), of_metrics, flat], how="horizontal")
    found = found.with_columns(
        pl.coalesce("solved_at", "metric_solved_at").alias("solved_at"),
        pl.coalesce("channel", "flat_channel").alias("channel"),
        pl.coalesce("group", "flat_group").alias("group"),
    )
    labeled = with_labels(with_breaches(with_minutes(found), rules.targets))
    # How a ticket ended depends on all of its versions.
    return labeled.select(*(name for name in OFFLINE.curated_schema if name not in ENDING))


def _counts(comments: NestedValues[list[Comment] | None]) -> pl.Series:
    counts = [None if found is None else len(found) for found in comments.distinct]
    return as_column(counts, pa.int32()).gather(comments.places)


def _replied(rows: pl.DataFrame, comments: NestedValues[list[Comment] | None]) -> pl.Series:
    """When each ticket was first replied to."""
    asked, places = Runs.of(rows.select("requester_id", "created_at", comments=comments.places))
    created = (asked["created_at"].dt.epoch("us") / 1_000_000).to_list()
    of_asked = [comments.distinct[place] for place in asked["comments"].to_list()]
    replied = first_reply_at(of_asked, asked["requester_id"].to_list(), created)
    return as_column([at and in_utc(at) for at in replied], INSTANTS).gather(places)


def _texts(rows: pl.DataFrame, rules: OfflineRules) -> dict[str, pl.Series]:
    """What is read from subject and first message."""
    found, places = Runs.of(pl.DataFrame({"subject": _subjects(rows), "body": _joined_texts(rows)}))
    subject, body = clean_subjects(found["subject"]), clean_bodies(found["body"])
    texts = {
        "subject": subject,
        "body": body,
        "text": _normalized(found["subject"], found["body"]),
        "language": _language(subject, body, rules),
    }
    return {name: values.gather(places) for name, values in texts.items()}


def _subjects(rows: pl.DataFrame) -> pl.Series:
    return rows.select(pl.coalesce("subject", "raw_subject")).to_series()


def _joined_texts(rows: pl.DataFrame) -> pl.Series:
    """The first messages; of a file with several columns of texts, these with a blank line between."""
    if not rows.select(pl.any_horizontal(pl.col(list(TEXTS[1:])).is_not_null().any())).item():
        return rows[DESCRIPTION]
    given = [pl.when(pl.col(name).str.contains(r"\S")).then(pl.col(name)) for name in TEXTS]
    joined = pl.concat_str(given, separator="\n\n", ignore_nulls=True)
    return rows.select(
        pl.when(pl.any_horizontal(pl.col(list(TEXTS)).is_not_null())).then(joined).alias(DESCRIPTION)
    ).to_series()


def _normalized(subjects: pl.Series, bodies: pl.Series) -> pl.Series:
    """The platform's normalization of the texts as they came: its rules know markup and quoted mail."""
    parts = pl.DataFrame({"subject": subjects, "body": bodies})
    together = parts.select(pl.concat_str("subject", "body", separator="\n", ignore_nulls=True)).to_series()
    return normalize_texts(together).texts.fill_null("")


def _language(subjects: pl.Series, bodies: pl.Series, rules: OfflineRules) -> pl.Series:
    if not rules.has_language:
        return as_column([None] * len(subjects))
    return detect_languages(
        pl.DataFrame({"body": bodies, "subject": subjects})
        .select(pl.concat_str("body", "subject", separator="\n", ignore_nulls=True))
        .to_series()
    )
