"""The sample of `gata sample-data`: the same on every day, and nothing of the future.

Real: the generators, the command in this process, SQLite. Instants are given.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime
from pathlib import Path

from gata_assets.sandbox.sample_interactions import SampleShop, generate_interactions, happened_interactions
from gata_assets.sandbox.sample_tickets import generate_tickets, happened_tickets
from gata_assets_tests.support.command import gata

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def test_the_sample_ends_on_the_same_day_whenever_it_is_generated(tmp_path: Path) -> None:
    ran = gata(tmp_path, "sample-data", "--since", "2026-01-01", "--interactions", "90")
    assert "closed from 2026-01-01 to 2026-01-03, written to gata-sample.sqlite." in ran.stdout
    assert "sample interactions from 2026-01-01 to 2026-01-03, for the tenant sample" in ran.stdout


def test_until_today_is_until_now(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    arguments = ("--until", "today", "--interactions", "0", "--tickets-per-day", "1000")
    assert gata(tmp_path, "sample-data", "--since", f"{before:%Y-%m-%d}", *arguments).returncode == 0
    with sqlite3.connect(tmp_path / "gata-sample.sqlite") as connection:
        [(last,)] = connection.execute("SELECT MAX(MAX(created, closed)) FROM ticket").fetchall()
    assert last is None or last < datetime.now(UTC).timestamp()
    wrong = gata(tmp_path, "sample-data", "--until", "tomorrow")
    assert (wrong.returncode, "'tomorrow' is not a day: 2026-01-03, or today." in wrong.stderr) == (2, True)


def test_of_today_only_tickets_that_were_opened_and_closed_are_there() -> None:
    tickets = generate_tickets(date(2026, 1, 1), date(2026, 1, 4), tickets_per_day=400)
    kept = happened_tickets(tickets, NOON)
    left_out = tickets[~tickets["id"].isin(kept["id"])]
    instants = left_out[["created", "closed"]].max(axis="columns")
    assert not left_out.empty
    assert instants.between(NOON.timestamp(), datetime(2026, 1, 3, tzinfo=UTC).timestamp(), inclusive="left").all()
    # An explicit day of the future is the user's wish.
    assert (kept["closed"] > datetime(2026, 1, 3, tzinfo=UTC).timestamp()).any()
    assert not kept["closed"].between(NOON.timestamp(), datetime(2026, 1, 2, 23, tzinfo=UTC).timestamp()).any()


def test_of_today_only_interactions_that_have_happened_are_there_and_faulty_instants_stay() -> None:
    shop = SampleShop(users=200, items=100, interactions_per_day=4_000)
    interactions = generate_interactions(shop, date(2026, 1, 1), date(2026, 1, 3))
    kept = happened_interactions(interactions, NOON)
    instants = kept["timestamp"].drop_nulls().to_list()
    assert not [at for at in instants if "2026-01-02T12" <= at < "2026-01-03"]
    assert [at for at in instants if at.startswith("2026-01-02T11")]
    assert [at for at in instants if at.startswith("2026-01-03")]
    assert kept["timestamp"].null_count() == interactions["timestamp"].null_count()
    faulty = [at for at in instants if not at.startswith("2026-01-0")]
    assert faulty == [at for at in interactions["timestamp"].drop_nulls().to_list() if not at.startswith("2026-01-0")]


def test_the_tickets_of_the_lake_are_landed_and_their_days_are_left_to_runs(tmp_path: Path) -> None:
    sizes = ("--since", "2026-01-01", "--interactions", "90", "--lake-tickets", "20")
    assert "sample versions of tickets" in gata(tmp_path, "sample-data", *sizes).stdout
    sample = tmp_path / "gata-data" / "sample"
    assert list(sample.glob("staged/tickets/*")) and not (sample / "curated" / "tickets").exists()
    assert gata(tmp_path, "prepare", "2026010203", "--only", "lake").returncode == 0
    assert '"id": ' in gata(tmp_path, "lake", "get", "--tenant", "sample").stdout
