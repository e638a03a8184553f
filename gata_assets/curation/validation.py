"""What every row of a raw file has to keep to, and the division of rows into good and bad ones.

A rule has a name that says what is true of a good row. A bad row is kept as it came, with all rules that it breaks,
its file and its line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntFlag
from hashlib import sha256

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from gata_assets.curation.files.csv_records import RAGGED, READABLE, UNREADABLE
from gata_assets.curation.files.formats import COLUMNS, CONTEXT_COLUMNS
from gata_assets.curation.files.readers import RawRows
from gata_assets.curation.layout import DataType
from gata_assets.curation.policy import CurationRules, UnknownItems
from gata_assets.interactions.rules import InteractionType
from gata_assets.tables.columns.arrow_buffers import MICROS_OF_A_DAY, micros, numbers_as_arrow
from gata_assets.tables.columns.utf8 import (
    A_NUMBER,
    NO_NUMBER,
    NOT_TOLD,
    Texts,
    are_given,
    find_codes,
    parse_instants,
    parse_ratings,
)


class Rule(IntFlag):
    """The rules of rows; the names, in lower case, are those in quarantine and reports."""

    ROW_IS_READABLE = 1
    ROW_FITS_THE_COLUMNS = 2
    USER_ID_IS_GIVEN = 4
    ITEM_ID_IS_GIVEN = 8
    INTERACTION_TYPE_IS_KNOWN = 16
    TIMESTAMP_IS_ISO_8601 = 32
    TIMESTAMP_IS_WITHIN_REASON = 64
    RATING_IS_1_TO_5 = 128
    ITEM_IS_KNOWN = 256
    TITLE_IS_GIVEN = 512
    PRICE_IS_A_NUMBER = 1024
    PRICE_IS_NOT_NEGATIVE = 2048
    AVAILABLE_AT_IS_ISO_8601 = 4096

    @property
    def label(self) -> str:
        """The name of one rule."""
        return str(self.name).lower()


# Goes up when rows are judged otherwise than before under the same settings.
_VERSION = 1

# A number beyond that of any day.
_NO_DAY = 1 << 40

# Makes a table of the rows at some places.
_Make = Callable[[NDArray[np.int64]], pa.Table]

_INSTANT = pl.Datetime("us", "UTC")
_STAGED_INTERACTIONS = {
    "user_id": pl.String(),
    "item_id": pl.String(),
    "timestamp": _INSTANT,
    "type_code": pl.UInt8(),
    "rating": pl.Float32(),
    **dict.fromkeys(CONTEXT_COLUMNS, pl.String()),
}
_STAGED_ITEMS = {
    **dict.fromkeys(("item_id", "title", "category"), pl.String()),
    "price": pl.Float64(),
    **dict.fromkeys(("brand", "description"), pl.String()),
    "available_at": _INSTANT,
    "source_line": pl.Int64(),
}
STAGED: Mapping[DataType, Mapping[str, pl.DataType]] = {
    DataType.INTERACTIONS: _STAGED_INTERACTIONS,
    DataType.ITEMS: _STAGED_ITEMS,
}


def quarantine_schema(data: DataType) -> dict[str, pl.DataType]:
    """The columns of a quarantine table: those of the raw file as texts, the whole row where it could not be read,
    the rules that it breaks, its file and its line.
    """
    texts = dict.fromkeys((*COLUMNS[data].all, "row"), pl.String())
    return {**texts, "rules": pl.List(pl.String()), "source_file": pl.String(), "source_line": pl.Int64()}


_QUARANTINE_SCHEMAS = {data: pl.DataFrame(schema=quarantine_schema(data)).to_arrow().schema for data in DataType}


def digest_settings(data: DataType, settings: CurationRules) -> str:
    """Ten characters that differ where the settings could judge rows of such a file otherwise; those of items by none.

    Not of the catalogue, which grows all the time: what it says of a row is told by sorting the file again.
    """
    parts: list[object] = [_VERSION]
    if data is DataType.INTERACTIONS:
        parts += [settings.earliest_at.isoformat(), settings.at_most_ahead, settings.unknown_items.value]
    return sha256("\n".join(map(str, parts)).encode()).hexdigest()[:10]


@dataclass(frozen=True)
class RowRules:
    """What rows of one file are judged by: the settings, when it landed, and the known items' ids (String, sorted)."""

    settings: CurationRules
    landed_at: datetime
    known_items: pl.Series

    @property
    def digest(self) -> str:
        """Ten characters that differ where a row of the file could be judged otherwise."""
        settings = self.settings
        instants = (settings.earliest_at.isoformat(), self.landed_at.isoformat())
        parts = (_VERSION, *instants, settings.at_most_ahead, settings.unknown_items.value)
        digest = sha256("\n".join(map(str, parts)).encode())
        if settings.unknown_items is UnknownItems.REJECT:
            digest.update("\n".join(self.known_items.to_list()).encode())
        return digest.hexdigest()[:10]


@dataclass(frozen=True)
class ValidatedRows:
    """Rows told apart: good ones as `STAGED` says, but for columns that the file does not have, bad ones as
    `quarantine_schema`; and what was counted on the way.
    """

    good: pa.Table
    bad: pa.Table
    bad_by_rule: Mapping[str, int]
    unknown_items: int


def validate_rows(data: DataType, rows: RawRows, rules: RowRules, source_file: str) -> ValidatedRows:
    """Tell the good rows of a block from the bad; every row is in one of the two."""
    broken = np.zeros(len(rows), dtype=np.int32)
    judge = _judge_interactions if data is DataType.INTERACTIONS else _judge_items
    make, unknown = judge(rows, rules, broken)
    # Of what could not be read no more is said.
    broken[rows.faults == UNREADABLE] = Rule.ROW_IS_READABLE
    broken[rows.faults == RAGGED] = Rule.ROW_FITS_THE_COLUMNS
    is_good = broken == 0
    places = np.flatnonzero(is_good)
    counts = {rule.label: int(((broken & rule) != 0).sum()) for rule in Rule} if not is_good.all() else {}
    return ValidatedRows(
        good=make(places),
        bad=_bad_rows(data, rows, broken, source_file),
        bad_by_rule={rule: count for rule, count in counts.items() if count},
        unknown_items=int((unknown & is_good).sum()),
    )


def _judge_interactions(rows: RawRows, rules: RowRules, broken: NDArray[np.int32]) -> tuple[_Make, NDArray[np.bool_]]:
    columns = rows.columns
    has_item = are_given(columns["item_id"])
    _note(broken, Rule.USER_ID_IS_GIVEN, ~are_given(columns["user_id"]))
    _note(broken, Rule.ITEM_ID_IS_GIVEN, ~has_item)
    codes = find_codes(columns["interaction_type"], [kind.value for kind in InteractionType])
    _note(broken, Rule.INTERACTION_TYPE_IS_KNOWN, codes == 255)
    instants, is_instant = parse_instants(columns["timestamp"])
    _note(broken, Rule.TIMESTAMP_IS_ISO_8601, ~is_instant)
    start, end = (micros(at) for at in (rules.settings.earliest_at, rules.landed_at + rules.settings.at_most_ahead))
    _note(broken, Rule.TIMESTAMP_IS_WITHIN_REASON, is_instant & ((instants < start) | (instants >= end)))
    ratings, has_rating, is_number = _ratings(rows)
    _note(broken, Rule.RATING_IS_1_TO_5, has_rating & ~(is_number & (ratings >= 1) & (ratings <= 5)))
    unknown = has_item & ~_are_among(columns["item_id"], rules.known_items)
    if rules.settings.unknown_items is UnknownItems.REJECT:
        _note(broken, Rule.ITEM_IS_KNOWN, unknown)

    def make(places: NDArray[np.int64]) -> pa.Table:
        # By day, of which many share a block: while it is in the processor's cache that costs next to nothing.
        places = places[_by_day(instants[places])]

        def texts(name: str) -> pa.Array:
            return columns[name].take(places).as_arrow()

        return pa.table(
            {
                "user_id": texts("user_id"),
                "item_id": texts("item_id"),
                "timestamp": numbers_as_arrow(instants[places], pa.timestamp("us", "UTC")),
                "type_code": numbers_as_arrow(codes[places]),
                "rating": numbers_as_arrow(ratings[places], is_given=is_number[places]),
                # A column that the file does not have is not made: three of them cost what comes after a tenth.
                **{name: texts(name) for name in CONTEXT_COLUMNS if name in columns},
            }
        )

    return make, unknown


def _by_day(instants: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places of instants by day, those of a day as they come."""
    days = instants // MICROS_OF_A_DAY
    first, last = days.min(initial=_NO_DAY), days.max(initial=-_NO_DAY)
    # NumPy puts numbers of 16 bits in order without comparing any.
    return np.argsort((days - first).astype(np.uint16) if last - first < 1 << 16 else days, kind="stable")


def _judge_items(rows: RawRows, rules: RowRules, broken: NDArray[np.int32]) -> tuple[_Make, NDArray[np.bool_]]:  # noqa: ARG001
    columns = rows.columns
    _note(broken, Rule.ITEM_ID_IS_GIVEN, ~are_given(columns["item_id"]))
    _note(broken, Rule.TITLE_IS_GIVEN, ~are_given(columns["title"]))
    price, has_price = _prices(rows)
    is_number = price.is_finite().fill_null(value=False).to_numpy()
    _note(broken, Rule.PRICE_IS_A_NUMBER, has_price & ~is_number)
    _note(broken, Rule.PRICE_IS_NOT_NEGATIVE, is_number & (price < 0).fill_null(value=False).to_numpy())
    available = columns.get("available_at") or _no_texts(len(rows))
    instants, is_instant = parse_instants(available, also_days=True)
    _note(broken, Rule.AVAILABLE_AT_IS_ISO_8601, are_given(available) & ~is_instant)
    available_at = pl.Series(instants).cast(_INSTANT).to_frame("at").select(pl.when(pl.Series(is_instant)).then("at"))
    table = pl.DataFrame(
        {
            **{name: _texts_or_none(rows, name) for name in ("item_id", "title", "category")},
            "price": price,
            **{name: _texts_or_none(rows, name) for name in ("brand", "description")},
            "available_at": available_at.to_series(),
            "source_line": pl.Series(rows.lines),
        }
    )

    def make(places: NDArray[np.int64]) -> pa.Table:
        return table[pl.Series(places)].to_arrow()

    return make, np.zeros(len(rows), dtype=np.bool_)


def _bad_rows(data: DataType, rows: RawRows, broken: NDArray[np.int32], source_file: str) -> pa.Table:
    schema = _QUARANTINE_SCHEMAS[data]
    places = np.flatnonzero(broken)
    if not len(places):
        return schema.empty_table()
    # Of the bad rows alone: columns of all of them take longer than to judge them.
    texts = {name: texts.take(places).as_arrow() for name, texts in rows.columns.items()}
    kinds, of_kind = np.unique(broken[places], return_inverse=True)
    names = [[rule.label for rule in Rule(kind)] for kind in kinds.tolist()]
    broken_rules = [names[kind] for kind in of_kind.tolist()]
    ends = np.cumsum([0, *map(len, broken_rules)], dtype=np.int64)
    faults = Texts.of_many([rows.fault_texts.get(place, "") for place in places.tolist()])
    columns = {
        **{name: texts.get(name, pa.nulls(len(places), pa.large_string())) for name in COLUMNS[data].all},
        "row": faults.as_arrow(rows.faults[places] != READABLE),
        "rules": pa.LargeListArray.from_arrays(
            numbers_as_arrow(ends), Texts.of_many([name for some in broken_rules for name in some]).as_arrow()
        ),
        "source_file": Texts.of_many([source_file] * len(places)).as_arrow(),
        "source_line": numbers_as_arrow(rows.lines[places]),
    }
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _note(broken: NDArray[np.int32], rule: Rule, is_broken: NDArray[np.bool_]) -> None:
    broken |= is_broken * np.int32(rule)


def _prices(rows: RawRows) -> tuple[pl.Series, NDArray[np.bool_]]:
    """The prices of rows (null where there is no number), and which rows say anything there."""
    texts = rows.columns.get("price") or _no_texts(len(rows))
    return texts.as_series().cast(pl.Float64, strict=False), are_given(texts)


def _ratings(rows: RawRows) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
    """The ratings of rows, which rows say anything there, and which of these say a number."""
    if "rating" not in rows.columns:
        nothing = np.zeros(len(rows), dtype=np.bool_)
        return np.zeros(len(rows), dtype=np.float32), nothing, nothing
    texts = rows.columns["rating"]
    ratings, found = parse_ratings(texts)
    has_rating, is_number = found != NO_NUMBER, found == A_NUMBER
    # What is not written as ratings are, Polars reads.
    others = np.flatnonzero(found == NOT_TOLD)
    if len(others):
        rest = texts.take(others)
        numbers = rest.as_series().cast(pl.Float32, strict=False)
        ratings[others], is_number[others] = numbers.fill_null(0).to_numpy(), numbers.is_not_null().to_numpy()
        has_rating[others] = are_given(rest)
    return ratings, has_rating, is_number


def _are_among(texts: Texts, known: pl.Series) -> NDArray[np.bool_]:
    if known.is_empty():
        return np.zeros(len(texts), dtype=np.bool_)
    return texts.as_series().is_in(known.implode()).fill_null(value=False).to_numpy()


def _texts_or_none(rows: RawRows, name: str) -> pl.Series:
    texts = rows.columns.get(name)
    return pl.repeat(None, len(rows), dtype=pl.String, eager=True) if texts is None else texts.as_series()


def _no_texts(rows: int) -> Texts:
    return Texts(np.zeros(rows + 1, dtype=np.int64), np.zeros(1, dtype=np.uint8))
