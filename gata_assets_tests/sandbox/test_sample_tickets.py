"""The sample tickets: reproducible by day, shaped like a help desk, and learnable.

All real: the generator runs as shipped, and a scikit-learn classifier learns from what it generates. What
does not train is found here with pandas on purpose, independently of the sources' SQL.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import MultinomialNB

from gata_assets.sandbox.sample_data import HELP_DESK
from gata_assets.sandbox.sample_tickets import MAX_TICKETS_PER_DAY, SAMPLE_GROUPS, SLOTS, generate_tickets
from gata_assets.tickets.rules import SAMPLE_FALLBACK_LABEL
from gata_assets.tickets.sources.ddl import CHANNELS, ROUTERS, TICKET_COLUMNS

LAST_DAY = date(2026, 1, 1)
THRESHOLD = 0.033
SEEDS = (0, 1, 2, 3)


def days_before(days: int, *, seed: int = 0) -> pd.DataFrame:
    return generate_tickets(LAST_DAY - timedelta(days=days - 1), LAST_DAY, seed=seed)


def that_train(tickets: pd.DataFrame) -> pd.DataFrame:
    closed = tickets["closed"] > 0
    return tickets[closed & ~routed_by_sender(tickets) & (tickets["routed_by"] != "gata-mapped")]


def routed_by_sender(tickets: pd.DataFrame) -> pd.Series[bool]:
    return (tickets["via_channel"] == "api") & (tickets["initial_group_id"].fillna(0) != 0).astype(bool)


def midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def counts_per_label(tickets: pd.DataFrame) -> dict[int, int]:
    counts = tickets["closed_group_id_mapped"].value_counts()
    return {group.label: int(counts.get(group.label, 0)) for group in SAMPLE_GROUPS}


@pytest.fixture(scope="module")
def year() -> pd.DataFrame:
    return days_before(365)


@pytest.fixture(scope="module")
def quarter(year: pd.DataFrame) -> pd.DataFrame:
    first_id = int(generate_tickets(LAST_DAY - timedelta(days=89), LAST_DAY)["id"].min())
    return year[year["id"] >= first_id]


def test_a_day_has_the_same_tickets_whatever_range_was_asked_for(quarter: pd.DataFrame) -> None:
    day = date(2025, 11, 20)
    alone = generate_tickets(day, day)
    assert len(alone) > 20
    among_others = quarter[quarter["id"].isin(alone["id"])]
    pd.testing.assert_frame_equal(alone, among_others.reset_index(drop=True))
    of_that_day = quarter["closed"].between(midnight(day), midnight(day + timedelta(days=1)) - 1)
    assert set(quarter.loc[of_that_day, "id"]) == set(alone.loc[alone["closed"] > 0, "id"])


def test_the_same_call_gives_the_same_tickets() -> None:
    pd.testing.assert_frame_equal(days_before(5, seed=7), days_before(5, seed=7))


def test_another_seed_gives_other_tickets() -> None:
    one, other = days_before(5, seed=1), days_before(5, seed=2)
    fixed = one.duplicated("processed_data", keep=False).sum()
    assert len(set(one["processed_data"]) & set(other["processed_data"])) < 0.2 * len(one) + fixed
    assert set(one["closed"]) != set(other["closed"])


def test_two_days_do_not_repeat_each_other() -> None:
    one, other = (generate_tickets(day, day) for day in (date(2025, 6, 2), date(2025, 6, 9)))
    assert len(set(one["processed_data"]) & set(other["processed_data"])) < 0.2 * len(one)


def test_columns_are_those_of_the_table_and_group_ids_are_nullable_integers(quarter: pd.DataFrame) -> None:
    assert tuple(quarter.columns) == TICKET_COLUMNS
    for name in TICKET_COLUMNS:
        if "group_id" in name:
            assert quarter[name].dtype == "Int64"
    assert quarter["probability"].between(0, 1).all()
    assert set(quarter["via_channel"]) <= set(CHANNELS)
    assert set(quarter["routed_by"]) == set(ROUTERS)


def test_ids_are_unique_rise_and_fit_a_postgresql_integer(year: pd.DataFrame) -> None:
    assert year["id"].is_unique
    assert year["id"].is_monotonic_increasing
    first, last = date(2020, 1, 1), date(2060, 12, 31)
    assert generate_tickets(first, first)["id"].min() > 0
    assert generate_tickets(last, last)["id"].max() < 2**31


def test_at_the_highest_rate_the_ids_of_a_day_stay_clear_of_the_next_days() -> None:
    monday = date(2025, 12, 1)
    tickets = generate_tickets(monday, monday + timedelta(days=1), tickets_per_day=MAX_TICKETS_PER_DAY)
    assert len(tickets) > MAX_TICKETS_PER_DAY
    assert tickets["id"].is_unique


@pytest.mark.parametrize("rate", [0, -1, MAX_TICKETS_PER_DAY + 1])
def test_a_rate_beyond_what_ids_allow_is_refused(rate: int) -> None:
    with pytest.raises(ValueError, match="tickets_per_day"):
        generate_tickets(LAST_DAY, LAST_DAY, tickets_per_day=rate)


@pytest.mark.parametrize(
    ("first_day", "last_day"),
    [
        (date(2026, 1, 2), date(2026, 1, 1)),
        (date(2019, 12, 31), date(2020, 1, 2)),
        (date(2060, 12, 30), date(2061, 1, 1)),
    ],
)
def test_days_out_of_order_or_out_of_range_are_refused(first_day: date, last_day: date) -> None:
    with pytest.raises(ValueError, match=r"2020-01-01 to 2060-12-31"):
        generate_tickets(first_day, last_day)


def test_the_lowest_rate_gives_a_table_of_the_same_types_even_on_a_day_without_tickets() -> None:
    days = [generate_tickets(day, day, tickets_per_day=1) for day in (date(2025, 3, n) for n in range(1, 29))]
    empty = next(tickets for tickets in days if tickets.empty)
    assert list(empty.dtypes) == list(days_before(1).dtypes)


def test_tickets_were_created_before_they_closed_and_within_thirty_days(year: pd.DataFrame) -> None:
    closed = year[year["closed"] > 0]
    age = closed["closed"] - closed["created"]
    assert age.between(60, 30 * 86_400).all()
    assert midnight(date(2025, 1, 2)) <= closed["closed"].min()
    assert closed["closed"].max() < midnight(date(2026, 1, 2))


def test_a_few_tickets_are_open_and_have_no_closing_group(year: pd.DataFrame) -> None:
    still_open = year[year["closed"] == 0]
    assert 0.002 < len(still_open) / len(year) < 0.01
    no_group = year["closed_group_id"].isna() & year["closed_group_id_mapped"].isna()
    assert (no_group == (year["closed"] == 0)).all()
    day_number = still_open["id"] // 10_000 - 1
    opened_on = (still_open["created"] - midnight(date(2020, 1, 1))) // 86_400
    assert (opened_on == day_number).all()


def test_the_rate_is_the_mean_over_a_week_and_weekends_are_quiet(year: pd.DataFrame) -> None:
    assert len(year) / 365 == pytest.approx(40, rel=0.03)
    weekday = pd.to_datetime(year.loc[year["closed"] > 0, "closed"], unit="s").dt.dayofweek
    per_day = weekday.value_counts() / 52
    assert per_day[[5, 6]].max() < 0.6 * per_day[[0, 1, 2, 3, 4]].min()


@pytest.mark.parametrize("seed", SEEDS)
def test_ten_groups_are_high_volume_and_six_are_low_volume(seed: int) -> None:
    tickets = that_train(days_before(90, seed=seed))
    shares = {label: count / len(tickets) for label, count in counts_per_label(tickets).items()}
    high = {label for label, share in shares.items() if share >= THRESHOLD}
    assert len(high) in (9, 10)
    assert len(SAMPLE_GROUPS) - len(high) in (6, 7)
    assert SAMPLE_FALLBACK_LABEL in high
    assert max(shares.values()) > 4 * THRESHOLD


@pytest.mark.parametrize("seed", SEEDS)
def test_low_volume_groups_reach_ten_tickets_in_a_quarter_in_a_year_or_never(seed: int) -> None:
    last_year = that_train(days_before(365, seed=seed))
    last_quarter = last_year[last_year["closed"] >= midnight(LAST_DAY - timedelta(days=89))]
    in_quarter, in_year = counts_per_label(last_quarter), counts_per_label(last_year)
    low = [label for label, count in in_quarter.items() if count < THRESHOLD * len(last_quarter)]
    assert sum(in_quarter[label] >= 10 for label in low) >= 3
    assert sum(in_quarter[label] < 10 < in_year[label] for label in low) == 1
    assert sum(0 < in_year[label] < 10 for label in low) == 1


def test_about_one_ticket_in_fourteen_does_not_train(year: pd.DataFrame) -> None:
    assert 0.03 < routed_by_sender(year).mean() < 0.05
    assert 0.02 < (year["routed_by"] == "gata-mapped").mean() < 0.04


def test_api_tickets_that_train_have_a_null_or_a_zero_initial_group(year: pd.DataFrame) -> None:
    from_api = year[year["via_channel"] == "api"]
    assert (from_api["initial_group_id"].isna()).sum() > 300
    assert (from_api["initial_group_id"] == 0).sum() > 300
    assert routed_by_sender(from_api).sum() > 300


def test_channels_have_the_shares_of_a_help_desk(year: pd.DataFrame) -> None:
    shares = year["via_channel"].value_counts(normalize=True)
    assert shares.index[0] == "email"
    assert shares[["api", "email", "web", "chat", "mobile", "voice"]].min() > 0.03
    assert 0.10 < shares["api"] < 0.14


def test_an_older_group_id_is_mapped_to_its_groups_label(year: pd.DataFrame) -> None:
    labels = {group.label: group.label for group in SAMPLE_GROUPS}
    former = {group.former_id: group.label for group in SAMPLE_GROUPS if group.former_id is not None}
    expected = labels | former
    assert not labels.keys() & former.keys()
    closed = year[year["closed"] > 0]
    assert closed["closed_group_id"].map(expected).eq(closed["closed_group_id_mapped"]).all()
    assert (closed["closed_group_id"] != closed["closed_group_id_mapped"]).mean() > 0.03


def test_texts_have_the_form_of_processed_data(year: pd.DataFrame) -> None:
    allowed = re.compile(r"^[a-z0-9\s\.\?!]+$")
    for text in year["processed_data"]:
        assert allowed.fullmatch(text), text
        assert " ".join(text.split()) == text
        assert 40 <= len(text) <= 600, text


def test_even_the_shortest_text_that_can_be_drawn_has_forty_characters() -> None:
    shortest = {slot: min(values, key=len) for slot, values in SLOTS.items()} | {"number": "12345678"}
    texts = list(HELP_DESK["shared_texts"])
    for group in SAMPLE_GROUPS:
        texts += [*group.problems, *group.mails]
    assert [text for text in texts if len(text.format_map(shortest)) < 40] == []


def test_about_eight_percent_of_texts_repeat_within_their_group(year: pd.DataFrame) -> None:
    closed = year[year["closed"] > 0]
    repeated = closed.duplicated(["closed_group_id_mapped", "processed_data"]).mean()
    assert 0.06 < repeated < 0.10


def test_a_handful_of_texts_occur_in_several_groups(quarter: pd.DataFrame) -> None:
    labels_per_text = quarter.groupby("processed_data")["closed_group_id_mapped"].nunique()
    shared = labels_per_text[labels_per_text > 1]
    assert 3 <= len(shared) <= 12
    assert any(text.startswith("hello i need help please.") for text in shared.index)


def test_a_simple_classifier_learns_the_groups_well_but_not_perfectly(quarter: pd.DataFrame) -> None:
    tickets = that_train(quarter)
    words = CountVectorizer().fit_transform(tickets["processed_data"])
    labels = tickets["closed_group_id_mapped"].astype("int64").to_numpy()
    train_words, test_words, train_labels, test_labels = train_test_split(words, labels, random_state=0)
    accuracy = MultinomialNB().fit(train_words, train_labels).score(test_words, test_labels)
    assert 0.75 < accuracy < 0.99
