"""The map of label names, and the tickets whose names it replaces. Plain values; nothing is faked."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.errors import DamagedTableError, DataRuleError, ManifestVersionError
from gata_assets.tickets.labels.label_map import (
    LONGEST_NAME,
    MOST_LABELS,
    LabelMap,
    LabelsOfOneRead,
    clean_name,
    fallback_id,
    has_names,
    names_of,
    with_label_ids,
)
from gata_assets_tests.support.scenario import tickets_frame

names = st.text(st.sampled_from("abAB \u00fc\u00df\u2003\t0"), max_size=5).map(clean_name).filter(bool)


@given(reads=st.lists(st.lists(names, max_size=6), max_size=6))
def test_ids_are_never_changed_or_given_twice(reads: list[list[str]]) -> None:
    known = LabelMap()
    for read in reads:
        grown = known.grown(read)
        new = sorted(set(read) - set(known.names.values()))
        assert {label: grown.names[label] for label in known.names} == known.names
        assert [grown.ids()[name] for name in new] == list(range(len(known.names) + 1, len(grown.names) + 1))
        known = LabelMap.decode(grown.encode())
        assert known == grown


def test_a_map_that_grows_by_nothing_is_the_same_map() -> None:
    known = LabelMap({1: "billing"})
    assert known.grown(["billing"]) is known


def test_a_gap_in_the_ids_is_not_filled() -> None:
    assert LabelMap({3: "billing", 9: "sales"}).grown(["returns"]).names == {3: "billing", 9: "sales", 10: "returns"}


@pytest.mark.parametrize(
    "new", [[f"name {number}" for number in range(MOST_LABELS)], ["x" * (LONGEST_NAME + 1)]], ids=["many", "long"]
)
def test_names_that_are_those_of_another_column_get_no_ids(new: list[str]) -> None:
    known = LabelMap({1: "billing"})
    with pytest.raises(DataRuleError, match="See whether it is the column of labels"):
        known.grown(new)


def test_as_many_names_as_are_allowed_get_ids() -> None:
    names = [f"{number:05}".ljust(LONGEST_NAME, "x") for number in range(MOST_LABELS)]
    assert len(LabelMap().grown(names).names) == MOST_LABELS


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"version": 1}',
        b'{"version": 1, "names": ["a"]}',
        b'{"version": 1, "names": {"x": "a"}}',
        b'{"version": 1, "names": {"0": "a"}}',
        b'{"version": 1, "names": {"1": "a", "2": "a"}}',
        b'{"version": 1, "names": {"1": "a", "01": "b"}}',
        b'{"version": 1, "names": {"1": "a", "1": "b"}}',
        b'{"version": 1, "names": {"1_0": "a"}}',
        b'{"version": 1, "names": {"1": " a"}}',
        b'{"version": 1, "names": {"1": ""}}',
    ],
)
def test_what_is_no_map_is_refused(content: bytes) -> None:
    with pytest.raises(DamagedTableError):
        LabelMap.decode(content)


def test_a_map_of_a_later_release_is_refused() -> None:
    with pytest.raises(ManifestVersionError, match="has version 2"):
        LabelMap.decode(b'{"version": 2, "names": {}}')


def test_the_map_is_json_that_people_can_read() -> None:
    content = LabelMap({2: "\u00dcbergabe", 1: "billing"}).encode()
    assert json.loads(content) == {"version": 1, "names": {"1": "billing", "2": "\u00dcbergabe"}}
    assert "\u00dcbergabe" in content.decode()


def named(*labels: str | None) -> pd.DataFrame:
    frame = tickets_frame([(1, f"text {number}") for number in range(len(labels))])
    return frame.assign(label=pd.array(labels, "string[pyarrow]"))


@given(given_labels=st.lists(st.none() | st.text(st.sampled_from("aA b\u2003"), max_size=4), max_size=8))
def test_names_become_ids_and_can_be_looked_up(given_labels: list[str | None]) -> None:
    labels = LabelsOfOneRead()
    tickets = with_label_ids(named(*given_labels), labels)
    expected = [clean_name(label) or None if label else None for label in given_labels]
    assert tickets["label"].dtype == pd.Int64Dtype()
    found = [None if pd.isna(label) else labels.names()[int(label)] for label in tickets["label"]]
    assert found == expected
    assert list(labels.names().values()) == sorted({name for name in expected if name})
    assert names_of(tickets) == {label: name for label, name in labels.names().items() if name in expected}
    assert list(tickets["id"]) == list(range(1, len(given_labels) + 1))


def test_spellings_that_differ_by_white_space_alone_are_one_label() -> None:
    tickets = with_label_ids(named("Billing EU", " Billing \u00a0 EU\n", "billing EU"), LabelsOfOneRead())
    assert list(tickets["label"]) == [1, 1, 2]


@pytest.mark.parametrize("other", ["Mo\u0308bel", "M\u00f6bel\u200b", "M\u00f6\u00adbel", "M\u00f6bel\x07"])
def test_spellings_that_look_alike_are_one_label(other: str) -> None:
    assert list(with_label_ids(named("M\u00f6bel", other), LabelsOfOneRead())["label"]) == [1, 1]


def test_a_name_of_nothing_that_can_be_seen_is_none() -> None:
    assert list(with_label_ids(named("\u200b", "a"), LabelsOfOneRead())["label"].isna()) == [True, False]


def test_a_name_with_a_nul_character_is_refused() -> None:
    with pytest.raises(DataRuleError, match="1 names of labels have a NUL character"):
        with_label_ids(named("a\0b", "a"), LabelsOfOneRead())


def test_a_fallback_label_of_digits_is_a_name_where_there_is_one() -> None:
    labels = LabelsOfOneRead()
    labels.ids_of(["10", "7000"])
    assert [fallback_id(label, labels, are_names=True) for label in (7_000, 10, 2)] == [2, 1, 2]
    labels.ids_of(["a", "b", "1"])
    with pytest.raises(DataRuleError, match="LOW_VOLUME_FALLBACK_LABEL=1 is the name of one label and the id of"):
        fallback_id(1, labels, are_names=True)


def test_labels_that_are_numbers_have_no_names() -> None:
    assert not has_names(tickets_frame([(1, "a")]))
    assert names_of(tickets_frame([(1, "a")])) is None
    assert has_names(named("a")) and has_names(named())


@pytest.mark.parametrize(
    ("label", "are_names", "found"),
    [(9_000, False, 9_000), ("sales", True, 2), (" new  one ", True, 3), (1, True, 1), (0, True, 0), (0, False, 0)],
)
def test_a_fallback_label_is_an_id_of_the_labels_that_there_are(label: int | str, are_names: bool, found: int) -> None:
    labels = LabelsOfOneRead()
    labels.ids_of(["billing", "sales"])
    assert fallback_id(label, labels, are_names=are_names) == found


@pytest.mark.parametrize(("label", "are_names"), [("billing", False), (9_000, True)])
def test_a_fallback_label_of_the_other_kind_is_refused(label: int | str, are_names: bool) -> None:
    with pytest.raises(DataRuleError, match=f"LOW_VOLUME_FALLBACK_LABEL={label} is .*, and the labels of the tickets"):
        fallback_id(label, LabelsOfOneRead(), are_names=are_names)
