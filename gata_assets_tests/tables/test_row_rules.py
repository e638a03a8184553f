"""Rules of raw rows: the same verdict as pandera's of the values, and what only raw rows and runs can break.

Real: the models, and pandera, which is the oracle. Nothing is faked.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Annotated

import pandera.polars as pa
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.tables.columns.column_spec import ReferenceMode
from gata_assets.tables.declaration import row_rule, spec_of
from gata_assets.tables.row_rules import RowContext, are_given, rule_names, validate_columns
from gata_assets.tables.spec import InvalidOptional


class Rentals(pa.DataFrameModel):
    """Every kind of column, and every kind of check."""

    bike_id: str = pa.Field(str_length={"min_value": 1}, metadata={"references": "bikes.bike_id"})
    plan: str = pa.Field(isin=("day", "hour"))
    note: str = pa.Field(nullable=True, str_length={"min_value": 2, "max_value": 4})
    code: str = pa.Field(nullable=True, str_matches="[a-c]+$")
    began_at: Annotated[pl.Datetime, "us", "UTC"]
    ended_at: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(nullable=True)
    price: float = pa.Field(ge=0, lt=100)
    tip: pl.Float32 = pa.Field(nullable=True, gt=0, le=5)
    seats: pl.Int16 = pa.Field(in_range={"min_value": 1, "max_value": 2})
    discount: pl.Int64 = pa.Field(nullable=True, ne=7)
    is_paid: bool
    birthday: pl.Date = pa.Field(nullable=True)
    ends_later = row_rule("ends_after_it_began", pl.col("ended_at") > pl.col("began_at"))
    paid = row_rule("what_has_a_tip_is_paid", pl.col("is_paid") | pl.col("tip").is_null())

    class Config:
        """A table with a reference and an event window."""

        metadata = {"table": "rentals", "event_time": "began_at"}  # noqa: RUF012


RENTALS = spec_of(Rentals)
NOTHING_KNOWN = RowContext()
ROW = {
    **{"bike_id": "b1", "plan": "day", "note": None, "code": None, "began_at": "2026-01-02T03:00:00Z"},
    **{"ended_at": None, "price": "1.5", "tip": None, "seats": "1", "discount": None, "is_paid": "true"},
    "birthday": None,
}
# For each column, texts that are values of its type.
VALUES = {
    "bike_id": st.sampled_from(["b1", "b2", "é"]),
    "plan": st.sampled_from(["day", "hour", "week", "Day"]),
    "note": st.none() | st.text("ab é", min_size=1, max_size=6).filter(lambda text: bool(text.strip())),
    "code": st.none() | st.text("abcd", min_size=1, max_size=3),
    "began_at": st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 3)).map(lambda at: f"{at.isoformat()}Z"),
    "ended_at": st.none()
    | st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 3)).map(lambda at: f"{at.isoformat()}Z"),
    "price": st.sampled_from([-1e-9, 0.0, 99.9, 100.0, 1e300, 5.5]).map(str),
    "tip": st.none() | st.sampled_from(["0", "0.1", "5", "5.0001", "-1"]),
    "seats": st.integers(-1, 4).map(str),
    "discount": st.none() | st.integers(6, 8).map(str),
    "is_paid": st.sampled_from(["true", "false", "1", "0"]),
    "birthday": st.none() | st.dates(date(2000, 1, 1), date(2001, 1, 1)).map(str),
}


def frame(*rows: dict[str, str | None]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=dict.fromkeys(ROW, pl.String))


def broken(*rows: dict[str, str | None], context: RowContext = NOTHING_KNOWN) -> list[set[str]]:
    """The rules that each row breaks."""
    found = validate_columns(RENTALS, frame(*rows), context).broken
    return [{name for name, is_broken in found.items() if is_broken[place]} for place in range(len(rows))]


def row_is_valid(values: pl.DataFrame) -> bool:
    try:
        Rentals.to_schema().validate(values, lazy=True)
    except pa.errors.SchemaErrors:
        return False
    return True


@given(rows=st.lists(st.fixed_dictionaries(VALUES), min_size=1, max_size=6))
def test_the_verdict_on_every_row_is_that_of_pandera(rows: list[dict[str, str | None]]) -> None:
    found = validate_columns(RENTALS, frame(*rows), RowContext())
    values = found.values.select(*RENTALS.curated_schema)
    assert dict(values.schema) == RENTALS.curated_schema
    expected = [row_is_valid(values[place : place + 1]) for place in range(len(rows))]
    assert [not rules for rules in broken(*rows)] == expected


@given(rows=st.lists(st.dictionaries(st.sampled_from(list(ROW)), st.none() | st.text(max_size=5)), max_size=5))
def test_whatever_texts_there_are_rows_that_break_no_rule_keep_the_model(rows: list[dict[str, str | None]]) -> None:
    texts = frame(*(ROW | row for row in rows)).with_columns(pl.all().replace("", None))
    found = validate_columns(RENTALS, texts, RowContext())
    is_broken = [any(rule[place] for rule in found.broken.values()) for place in range(len(rows))]
    kept = found.values.filter(~pl.Series(is_broken, dtype=pl.Boolean)).select(*RENTALS.curated_schema)
    assert row_is_valid(kept)


def test_what_no_value_can_break_is_reported_by_its_own_rule() -> None:
    assert broken(
        ROW | {"bike_id": None, "plan": " ", "began_at": "soon", "price": None, "seats": "1.0", "is_paid": "ja"},
        ROW | {"price": "nan", "tip": "inf", "birthday": "1.1.2000", "discount": " "},
        ROW,
    ) == [
        {
            *("bike_id_is_given", "plan_is_given", "began_at_is_iso_8601", "price_is_given"),
            *("seats_is_a_whole_number", "is_paid_is_true_or_false"),
        },
        {"price_is_a_number", "tip_is_a_number", "birthday_is_a_day"},
        set(),
    ]


def test_rules_over_several_columns_are_broken_by_rows_that_have_both_values() -> None:
    late = {"ended_at": "2026-01-02T04:00:00Z"}
    early = {"ended_at": "2026-01-02T02:00:00Z"}
    rows = (ROW, ROW | late, ROW | early, ROW | {"tip": "1", "is_paid": "false"}, ROW | early | {"began_at": "soon"})
    assert broken(*rows) == [
        *(set(), set(), {"ends_after_it_began"}, {"what_has_a_tip_is_paid"}, {"began_at_is_iso_8601"}),
    ]


def test_the_event_window_is_reported_by_the_run() -> None:
    start, end = datetime(2026, 1, 2, 3, tzinfo=UTC), datetime(2026, 1, 2, 4, tzinfo=UTC)
    at = [ROW | {"began_at": f"2026-01-02T0{hour}:00:00Z"} for hour in (2, 3, 4)]
    rule = {"began_at_is_within_reason"}
    assert broken(*at, context=RowContext(start, end)) == [rule, set(), rule]
    assert broken(*at, context=RowContext()) == [set(), set(), set()]


def test_rows_that_refer_to_nothing_are_counted_or_rejected() -> None:
    rows = frame(ROW, ROW | {"bike_id": "b9"}, ROW | {"bike_id": None})
    known = RowContext(known={"bike_id": pl.Series(["b1"])})
    warned = validate_columns(RENTALS, rows, known)
    assert {name: found.to_list() for name, found in warned.warned.items()} == {"bike_is_known": [False, True, False]}
    assert "bike_is_known" not in warned.broken
    strict = validate_columns(RENTALS, rows, replace(known, modes={"bike_id": ReferenceMode.REJECT}))
    assert (strict.broken["bike_is_known"].to_list(), strict.warned) == ([False, True, False], {})


def test_an_invalid_optional_value_is_dropped_and_counted_where_the_table_says_so() -> None:
    lenient = replace(RENTALS, invalid_optional=InvalidOptional.DISCARD_VALUE)
    rows = frame(
        ROW | {"tip": "9", "note": "far too long"},
        ROW | {"price": "-1", "tip": "x"},
        ROW | {"ended_at": "2026-01-01T00:00:00Z"},
    )
    found = validate_columns(lenient, rows, RowContext())
    discarded = {name: rows.to_list() for name, rows in found.discarded.items()}
    assert discarded == {
        "tip_is_at_most_5": [True, False, False],
        "tip_is_a_number": [False, True, False],
        "note_str_length": [True, False, False],
    }
    assert found.values["tip"].to_list() == [None, None, None]
    assert found.values["note"].to_list() == [None, None, None]
    # What a rule over several columns says is no fault of one value.
    assert set(found.broken) == {"price_is_not_negative", "ends_after_it_began"}


def test_every_rule_that_rows_break_is_among_the_names() -> None:
    rows = [ROW | dict.fromkeys(ROW, text) for text in ("", " ", "x", "-9", "9" * 30)]
    assert {name for row in broken(*rows) for name in row} <= {*rule_names(RENTALS)}


@pytest.mark.parametrize("blank", [" ", "\t\r\n", "\0", "\x7f", "\x85", "\xa0", "\u2003", "\u3000", "\u2028"])
@pytest.mark.parametrize("other", ["", "\u200b", "\u200d\ufeff", "\xad", "\u202e", "\u3164", "\u2800", "\ufe0f"])
def test_an_id_of_nothing_that_can_be_seen_is_not_given(blank: str, other: str) -> None:
    texts = [blank + other, other + blank, f"{blank}é{other}", f"{other}b1", "b1"]
    assert are_given(pl.Series(texts)).to_list() == [False, False, True, True, True]
    assert [not rules for rules in broken(*(ROW | {"bike_id": text} for text in texts))] == [
        False,
        False,
        True,
        True,
        True,
    ]


def test_a_missing_text_is_not_given() -> None:
    assert are_given(pl.Series([None, "", "a", "\xa0", "é"])).to_list() == [False, False, True, False, True]
