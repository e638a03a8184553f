"""Labels that are names: a column of texts in place of numbers, in a table and in a query.

Real: SQLite files, a PostgreSQL server, boto3 over HTTP. Faked: Aurora's Data API, by the project's own server.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pandas as pd
import pytest

from gata_assets.batches import Window
from gata_assets.errors import SourceError
from gata_assets.ticket_contract.census import ticket_hash
from gata_assets.ticket_contract.source import LabelVolume
from gata_assets.tickets.sources.ddl import create_sqlite
from gata_assets.tickets.sources.shared_read import SharedTickets
from gata_assets.tickets.sources.sqlite import SqliteTickets
from gata_assets.tickets.windows import BatchWindows
from gata_assets_tests.support.scenario import OLDER_WINDOW, TRAINING_WINDOW, database_rows
from gata_assets_tests.tickets.sources.conftest import SourceOf

ODD = 'Überprüfung "EU" {a,b} \\ it\'s'
NAMES = {1: "Billing", 2: ODD, 3: "  ", 4: "25000000000101"}
NAMED = pd.StringDtype("pyarrow")


def rows_of(*labels: int | None) -> pd.DataFrame:
    return database_rows([{"label": label, "text": f"t {n}"} for n, label in enumerate(labels)])


def test_names_are_read_as_they_are_and_blanks_as_none(source_of: SourceOf) -> None:
    read = source_of(rows_of(1, 2, 3, None, 4, 1), NAMES).read_tickets(TRAINING_WINDOW)
    expected = pd.Series(["Billing", ODD, None, None, "25000000000101", "Billing"], name="label", dtype=NAMED)
    pd.testing.assert_series_equal(read["label"], expected)
    assert (read["id"].dtype, read["closed"].dtype) == (pd.Int64Dtype(), pd.Int64Dtype())


def test_names_select_and_no_name_selects_nothing(source_of: SourceOf) -> None:
    source = source_of(rows_of(1, 2, 3, None, 4, 2), NAMES)
    assert list(source.read_tickets(TRAINING_WINDOW, [ODD, "none of this name"])["id"]) == [2, 6]
    assert list(source.read_tickets(TRAINING_WINDOW, ["billing"])["id"]) == []
    nothing = source.read_tickets(TRAINING_WINDOW, [])
    assert (len(nothing), nothing["label"].dtype) == (0, NAMED)


def test_a_window_without_tickets_has_a_column_for_names(source_of: SourceOf) -> None:
    read = source_of(rows_of(1), NAMES).read_tickets(OLDER_WINDOW)
    assert (len(read), read["label"].dtype) == (0, NAMED)


def test_names_are_measured_and_reported(source_of: SourceOf) -> None:
    source = source_of(rows_of(1, 2, None, 1), NAMES)
    found = sorted(source.measure(TRAINING_WINDOW), key=lambda volume: str(volume.label))
    assert found == [LabelVolume("Billing", 2, 6, 3), LabelVolume(None, 1, 3, 3), LabelVolume(ODD, 1, 3, 3)]
    assert source.measure(TRAINING_WINDOW, ["Billing"]) == (LabelVolume("Billing", 2, 6, 3),)
    assert source.probe().names_look == "texts"


def test_a_census_follows_names_before_and_after_the_table_was_read(source_of: SourceOf) -> None:
    rows = rows_of(1, 3)
    source = source_of(rows, NAMES)
    [before] = source.take_census(TRAINING_WINDOW)
    source.read_tickets(TRAINING_WINDOW)
    assert source.take_census(TRAINING_WINDOW) == (before,)
    closed = [TRAINING_WINDOW.start + 60, TRAINING_WINDOW.start + 120]
    expected = ticket_hash(1, closed[0], "Billing", "t 0") + ticket_hash(2, closed[1], None, "t 1")
    assert before.fingerprint == str(expected)


def test_a_shared_read_gives_the_names_of_its_windows(source_of: SourceOf) -> None:
    rows = pd.concat([rows_of(1, 2, 4), database_rows([{"id": 9, "label": 4, "closed": OLDER_WINDOW.start + 60}])])
    shared = SharedTickets(source_of(rows, NAMES), [BatchWindows(training=TRAINING_WINDOW, older=OLDER_WINDOW)])
    whole = Window(OLDER_WINDOW.start_at, TRAINING_WINDOW.end_at)
    assert list(shared.read_window(TRAINING_WINDOW).tickets["label"]) == ["Billing", ODD, "25000000000101"]
    older = shared.read_window(OLDER_WINDOW, ["25000000000101"]).tickets
    assert (list(older["id"]), older["label"].dtype) == ([9], NAMED)
    assert list(shared.read_window(whole, ["25000000000101"]).tickets["id"]) == [9, 3]


@pytest.mark.parametrize(("closed", "is_refused"), [("closed", True), ("0", False)], ids=["closed", "open"])
def test_a_name_among_numbers_is_refused_unless_its_ticket_is_open(
    closed: str, is_refused: bool, tmp_path: Path
) -> None:
    create_sqlite(tmp_path / "t.sqlite", rows_of(1, 2, 101))
    with sqlite3.connect(tmp_path / "t.sqlite") as connection:
        connection.execute(f"UPDATE ticket SET closed_group_id_mapped = 'Billing', closed = {closed} WHERE id = 2")
    connection.close()
    source = SqliteTickets(path=str(tmp_path / "t.sqlite"))
    if not is_refused:
        assert list(source.read_tickets(TRAINING_WINDOW)["label"]) == [1, 101]
        return
    with pytest.raises(SourceError, match=r"numbers in 2 closed tickets and names in 1\. Labels are one or"):
        source.read_tickets(TRAINING_WINDOW)
    columns = "id, processed_data, closed, CAST(closed_group_id_mapped AS text) AS closed_group_id_mapped"
    named = SqliteTickets(path=str(tmp_path / "t.sqlite"), query=f"SELECT {columns} FROM ticket")
    assert list(named.read_tickets(TRAINING_WINDOW)["label"]) == ["1", "Billing", "101"]
    assert list(named.read_tickets(TRAINING_WINDOW, ["101"])["id"]) == [3]


def test_a_query_may_write_its_columns_in_capitals(tmp_path: Path) -> None:
    create_sqlite(tmp_path / "t.sqlite", rows_of(1, 2))
    query = "SELECT id AS ID, processed_data AS Processed_Data, closed AS CLOSED, closed_group_id_mapped FROM ticket"
    source = SqliteTickets(path=str(tmp_path / "t.sqlite"), query=query)
    assert list(source.read_tickets(TRAINING_WINDOW)["id"]) == [1, 2]


def test_a_first_name_that_arrives_between_two_reads_is_an_error(tmp_path: Path) -> None:
    create_sqlite(tmp_path / "t.sqlite", rows_of(1, 2))
    source = SqliteTickets(path=str(tmp_path / "t.sqlite"))
    source.read_tickets(TRAINING_WINDOW)
    with sqlite3.connect(tmp_path / "t.sqlite") as connection:
        connection.execute("UPDATE ticket SET closed_group_id_mapped = 'Billing' WHERE id = 2")
    connection.close()
    with pytest.raises(SourceError, match="contain str"):
        source.read_tickets(TRAINING_WINDOW)
