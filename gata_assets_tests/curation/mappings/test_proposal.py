"""What is proposed for a file's columns, by their names and values, and what of it is called a guess.

Real: the proposal, the hints of the package, tables. The columns are written here; no file is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandera.polars as pa
import polars as pl
import pytest

from gata_assets.curation.files.formats import RawFormat
from gata_assets.curation.mappings.hints import Hints, plain, word_of
from gata_assets.curation.mappings.proposal import Proposal, propose, unknown_names
from gata_assets.curation.mappings.raw_columns import RawColumns
from gata_assets.interactions.presets import PRESETS, read_hints
from gata_assets.interactions.schema import Instant
from gata_assets.interactions.tables import INTERACTIONS, ITEMS, TABLES
from gata_assets.tables.declaration import spec_of
from gata_assets.tables.mapped_table import mapped
from gata_assets.tables.raw_mapping import NO_MAPPING
from gata_assets.tables.spec import TableSpec
from gata_assets.tickets.raw_files.raw_tickets import raw_ticket_table


def columns(
    values: Mapping[str, Sequence[str | None]], *, has_header: bool = True, nested: Sequence[str] = ()
) -> RawColumns:
    texts = pl.DataFrame({name: pl.Series(name, texts, dtype=pl.String) for name, texts in values.items()})
    separator, form = (",", RawFormat.CSV) if not nested else (None, RawFormat.JSON_LINES)
    return RawColumns(form, (*values, *nested), texts, tuple(nested), separator, has_header)


def proposed(values: Mapping[str, Sequence[str | None]], table: str = INTERACTIONS, **others: bool) -> Proposal:
    return propose(TABLES[table], columns(values, **others), read_hints())


TIMES, IDS = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"], ["a", "b"]


def test_a_file_of_the_tables_own_names_needs_no_mapping() -> None:
    found = proposed({"user_id": IDS, "item_id": IDS, "interaction_type": ["view", "click"], "timestamp": TIMES})
    assert found == Proposal(NO_MAPPING)


@pytest.mark.parametrize("name", ["userId", "USER ID", "User-Id", "uid", "CustomerID", "visitor_id", "reviewerID"])
def test_other_spellings_of_a_name_are_known(name: str) -> None:
    found = proposed({name: IDS, "item_id": IDS, "interaction_type": ["view", "click"], "timestamp": TIMES})
    assert found.mapping.columns == {"user_id": (name,)}
    assert found.notes == ()


def test_an_own_name_comes_before_others_and_those_stay_unknown() -> None:
    raw = columns(
        {"customer": IDS, "user_id": IDS, "item": IDS, "sku": IDS, "interaction_type": ["view", "buy"], "ts": TIMES}
    )
    found = propose(TABLES[INTERACTIONS], raw, read_hints())
    assert found.mapping.columns == {"item_id": ("item",), "timestamp": ("ts",)}
    assert found.mapping.ignores_unknown
    assert unknown_names(mapped(TABLES[INTERACTIONS], found.mapping), raw) == ["customer", "sku"]


@pytest.mark.parametrize(
    ("texts", "formats"),
    [
        (["1769000000", "1769000001"], ("epoch_s",)),
        (["1769000000.25", "1769000001"], ("epoch_s",)),
        (["1769000000123", "1769000001123"], ("epoch_ms",)),
        (["2026-01-31 10:00:00 UTC"], ("%Y-%m-%d %H:%M:%S UTC",)),
        (["31.01.2026 10:00", "01.02.2026 11:30"], ("%d.%m.%Y %H:%M",)),
        (["31/01/2026", "01/02/2026"], ("%d/%m/%Y",)),
        (["2026-01-31", "2026-02-01"], ("day",)),
        (["20260131", "20260201"], ("%Y%m%d",)),
        (["2026-01-01T00:00:00Z", "1769000000"], ("iso8601", "epoch_s")),
    ],
)
def test_times_are_read_by_the_formats_that_their_values_show(texts: list[str], formats: tuple[str, ...]) -> None:
    ids = ["a"] * len(texts)
    found = proposed({"user_id": ids, "item_id": ids, "interaction_type": ["view"] * len(texts), "timestamp": texts})
    assert found.mapping.instants == {"timestamp": formats}
    assert found.missing == ()


def test_days_and_months_that_cannot_be_told_are_both_named() -> None:
    found = proposed(
        {"user_id": IDS, "item_id": IDS, "interaction_type": IDS, "timestamp": ["01/02/2026", "03/04/2026"]}
    )
    assert found.mapping.instants == {"timestamp": ("%m/%d/%Y",)}
    assert any("could also be %d/%m/%Y" in note for note in found.notes)


@pytest.mark.parametrize(
    ("ratings", "scale"),
    [
        (["1", "5"], None),
        (["0.5", "5"], (0.5, 5)),
        (["0", "5"], (0, 5)),
        (["0", "1"], (0, 1)),
        (["2", "10"], (1, 10)),
        (["0", "10"], (0, 10)),
        (["-9.5", "9"], (-10, 10)),
        (["3", "87"], (1, 100)),
        (["3", "8700"], None),
        (["5"] * 199 + ["6"], None),
    ],
)
def test_a_scale_is_the_narrowest_known_one_that_nearly_all_ratings_are_on(
    ratings: list[str], scale: tuple[float, float] | None
) -> None:
    rows = len(ratings)
    given = {"user_id": ["u"] * rows, "item_id": ["i"] * rows, "timestamp": ["2026-01-01T00:00:00Z"] * rows}
    found = proposed({**given, "score": ratings})
    assert found.mapping.scales == ({} if scale is None else {"rating": scale})
    assert found.mapping.constants == {"interaction_type": "like"}


def test_words_are_translated_as_they_are_written_and_unknown_ones_are_not() -> None:
    words = ["PV", "Add To Cart", "purchase", "hover", "a,b=c"]
    given = {"user_id": ["u"] * 5, "item_id": ["i"] * 5, "timestamp": ["2026-01-01T00:00:00Z"] * 5}
    found = proposed({**given, "event": words})
    assert found.mapping.words == {"interaction_type": {"PV": "view", "Add To Cart": "add_to_cart"}}


def test_columns_that_no_name_tells_are_found_by_values_and_called_guesses() -> None:
    found = proposed({"wer_id": IDS, "was_id": IDS, "wann": TIMES, "wie": ["pv", "buy"]})
    names = {"user_id": "wer_id", "item_id": "was_id", "timestamp": "wann", "interaction_type": "wie"}
    assert found.mapping.columns == {column: (name,) for column, name in names.items()}
    assert all(any(note.startswith(f"{column} is a guess") for note in found.notes) for column in names)
    assert any("could also be was_id" in note for note in found.notes)


def test_what_nothing_tells_is_missing() -> None:
    assert proposed({"a": ["x"], "b": ["y"]}).missing == ("user_id", "item_id", "timestamp")
    assert proposed({"name": ["x"]}, ITEMS).missing == ("item_id",)


def test_a_column_of_an_own_name_and_another_kind_is_left_out() -> None:
    raw = columns({"item_id": IDS, "title": IDS, "price": ["cheap", "dear"]}, nested=["description"])
    found = propose(TABLES[ITEMS], raw, read_hints())
    assert found.mapping.columns == {"price": (), "description": ()}
    assert [note.partition(" ")[0] for note in found.notes] == ["price", "description"]


def test_a_description_becomes_the_title_where_there_is_none() -> None:
    found = proposed({"StockCode": IDS, "Description": IDS, "UnitPrice": ["1", "2"]}, ITEMS)
    assert found.mapping.columns == {"item_id": ("StockCode",), "price": ("UnitPrice",), "title": ("Description",)}
    assert any(note.startswith("title is a guess") for note in found.notes)
    own = proposed({"item_id": IDS, "description": IDS}, ITEMS)
    assert own.mapping.columns == {"title": ("description",), "description": ()}


class Orders(pa.DataFrameModel):
    """A table of a user's own, with names that no hint knows."""

    order_no: str = pa.Field(str_length={"min_value": 1})
    placed_at: Instant
    state: str = pa.Field(isin=("open", "closed"))
    amount: float = pa.Field(nullable=True, ge=0)

    class Config:
        name = "orders"
        metadata = {"table": "orders", "event_time": "placed_at"}  # noqa: RUF012


def test_a_table_of_ones_own_is_proposed_by_spellings_values_and_words() -> None:
    spec: TableSpec = spec_of(Orders)
    raw = columns(
        {"OrderNo": IDS, "moment": ["1769000000", "1769000001"], "State": ["OPEN", "Closed"], "Amount": ["1", "x"]}
    )
    found = propose(spec, raw, read_hints())
    assert found.mapping.columns == {
        "order_no": ("OrderNo",),
        "state": ("State",),
        "amount": ("Amount",),
        "placed_at": ("moment",),
    }
    assert found.mapping.words == {"state": {"OPEN": "open", "Closed": "closed"}}
    assert found.mapping.instants == {"placed_at": ("epoch_s",)}
    assert found.mapping.discards_invalid
    assert found.missing == ()


def test_every_hint_is_of_a_column_and_an_allowed_value_and_no_name_is_twice() -> None:
    hints: Hints = read_hints()
    tables = {**TABLES, "tickets": raw_ticket_table()}
    for table, names in hints.names.items():
        assert {*names} <= {column.name for column in tables[table].raw_columns}
        for known in names.values():
            assert all(name == plain(name) for name in known)
            assert len(known) == len({*known})
    for column, words in hints.words.items():
        spec = TABLES[INTERACTIONS].column(column)
        assert {*words.values()} <= {*(spec.allowed_values or ())}
        assert all(word_of(value, spec, hints) == value for value in words.values())
    assert {*hints.substitutes, *hints.substitutes.values()} <= {*TABLES[ITEMS].required}
    assert {*hints.constants} <= {*TABLES[INTERACTIONS].required}
    assert all(" " not in preset for preset in PRESETS)
