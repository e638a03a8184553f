"""Near-duplicate texts and their twins across the split, against a comparison of all pairs in plain Python.

All real, nothing is faked.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from random import Random

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.errors import SplitError
from gata_assets.tables.outcomes import broken
from gata_assets.tickets.checks import check_label_shares, check_no_text_in_two_splits, count_sides
from gata_assets.tickets.splitting.near_duplicates import (
    MOST_COMPARED,
    NearDuplicates,
    Sketches,
    distinct_texts,
    rows_per_band,
)
from gata_assets.tickets.splitting.splits import Split, rank_texts, split_by_text, split_with_sklearn
from gata_assets.tickets.splitting.text_groups import quota_for_test
from gata_assets.tickets.splitting.twins import Twins, count_twins
from gata_assets_tests.support.scenario import tickets_frame

quota_for_test.__test__ = False  # type: ignore[attr-defined]  # a function of the project, not a test


def shingles(text: str) -> set[tuple[str, ...]]:
    words = text.split(" ")
    return {tuple(words[at : at + 3]) for at in range(max(len(words) - 2, 1))}


def similarity(text: str, other: str) -> float:
    mine, others = shingles(text), shingles(other)
    return len(mine & others) / len(mine | others)


def all_pairs(texts: list[str], least: float) -> set[tuple[int, int]]:
    """Compare all pairs that share a shingle."""
    texts_with: dict[tuple[str, ...], list[int]] = defaultdict(list)
    found = set()
    for place, text in enumerate(texts):
        shared = Counter(earlier for shingle in shingles(text) for earlier in texts_with[shingle])
        found |= {(earlier, place) for earlier in shared if similarity(texts[earlier], text) >= least - 1e-9}
        for shingle in shingles(text):
            texts_with[shingle].append(place)
    return found


def letters(random: Random, *, templates: int, copies: int, words: int, changes: int) -> list[str]:
    """Distinct texts of form letters: copies of templates in which a few words differ."""
    texts = []
    for _ in range(templates):
        template = [f"w{random.randrange(2_000)}" for _ in range(words)]
        for _ in range(copies):
            letter = list(template)
            for _ in range(random.randrange(changes + 1)):
                letter[random.randrange(words)] = f"n{random.randrange(10**6)}"
            texts.append(" ".join(letter))
    random.shuffle(texts)
    return list(dict.fromkeys(texts))


def pairs_of(texts: list[str], least: float = 0.8) -> set[tuple[int, int]]:
    found = Sketches.of(pl.Series(texts, dtype=pl.String), similarity=least).find_pairs()
    return set(zip(found.first.tolist(), found.second.tolist(), strict=True))


@pytest.mark.parametrize("least", [0.5, 0.7, 0.8, 0.9])
@pytest.mark.parametrize(("words", "changes"), [(12, 2), (40, 5), (110, 12)])
@pytest.mark.slow
def test_the_similar_pairs_are_found_and_no_others(least: float, words: int, changes: int) -> None:
    texts = letters(Random(words), templates=150, copies=8, words=words, changes=changes)
    expected, found = all_pairs(texts, least), pairs_of(texts, least)
    assert found <= expected
    assert len(found) >= 0.99 * len(expected)


word_lists = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=6).map(" ".join), unique=True, max_size=12)


@given(texts=word_lists, least=st.sampled_from([0.5, 0.8, 1.0]))
@pytest.mark.slow
def test_short_texts_and_texts_that_repeat_words_are_compared_exactly(texts: list[str], least: float) -> None:
    found = pairs_of(texts, least)
    assert found <= all_pairs(texts, least)
    equal = {pair for pair in all_pairs(texts, least) if similarity(texts[pair[0]], texts[pair[1]]) == 1}
    assert equal <= found


def test_neither_the_order_of_texts_nor_where_they_are_cut_changes_a_pair() -> None:
    texts = letters(Random(1), templates=40, copies=6, words=30, changes=3)
    by_text = {frozenset((texts[one], texts[other])) for one, other in pairs_of(texts)}
    turned = texts[::-1]
    assert {frozenset((turned[one], turned[other])) for one, other in pairs_of(turned)} == by_text
    many = [f"unlike any other {number} {number + 1} {number + 2}" for number in range(12_000)]
    assert {frozenset((one, other)) for one, other in by_text if one in texts and other in texts} == {
        frozenset((longer[one], longer[other])) for longer in [[*many, *texts]] for one, other in pairs_of(longer)
    }


def test_bands_find_a_pair_at_the_threshold_nearly_always() -> None:
    for least in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0):
        rows = rows_per_band(least)
        assert 1 - (1 - least**rows) ** (128 // rows) >= 0.999


def near_of(rows: list[tuple[int, str]], least: float = 0.8) -> tuple[NearDuplicates, np.ndarray]:
    frame = tickets_frame(rows)
    ranks = rank_texts(frame["text"], seed=42)
    return NearDuplicates(distinct_texts(frame["text"], ranks), similarity=least), ranks


def test_a_part_of_a_table_has_the_pairs_that_it_has_alone_also_in_large_groups() -> None:
    template = [f"w{number}" for number in range(30)]
    copies = [" ".join([*template[:-1], f"copy{number}"]) for number in range(3 * MOST_COMPARED)]
    rows = [(1, text) for text in copies] + [(1, f"text {n} is like no other {n * 7}") for n in range(50)]
    near, ranks = near_of(rows)
    whole = near.among(ranks)
    # Each has as many near-duplicates as it was compared with: that it has some is certain.
    assert not whole.are_all and not whole.is_uncertain.any()
    texts = distinct_texts(tickets_frame(rows)["text"], ranks).to_list()
    for part in (ranks[::2], ranks[: len(copies) // 4]):
        alone = NearDuplicates(pl.Series([texts[rank] for rank in sorted(part)]), similarity=0.8)
        expected, found = alone.among(np.arange(len(part))), near.among(part, are_alone=True)
        places = np.array(sorted(part))
        assert places[expected.first].tolist() == found.first.tolist()
        assert places[expected.second].tolist() == found.second.tolist()


@pytest.mark.parametrize(("common", "own"), [(60, 20), (80, 16)])
@pytest.mark.slow
def test_twins_among_mail_with_a_common_signature_are_found(common: int, own: int) -> None:
    random, signature = Random(1), [f"s{number}" for number in range(common)]
    mail = [[f"w{random.randrange(30_000)}" for _ in range(own)] for _ in range(3_000)]
    for letter in mail[:200]:
        twin = list(letter)
        twin[random.randrange(own)] = f"n{random.randrange(10**6)}"
        mail.append(twin)
    texts = [" ".join([*signature, *letter]) for letter in mail]
    order = random.sample(range(len(texts)), len(texts))
    place_of = {text: place for place, text in enumerate(order)}
    shuffled = [texts[text] for text in order]
    found = Sketches.of(pl.Series(shuffled), similarity=0.8).find_pairs()
    assert not found.are_all
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    twins = [(text, 3_000 + text) for text in range(200) if similarity(texts[text], texts[3_000 + text]) >= 0.8]
    expected = {tuple(sorted((place_of[text], place_of[twin]))) for text, twin in twins}
    assert len(pairs & expected) >= 0.99 * len(expected) > 150
    assert all(similarity(shuffled[text], shuffled[other]) >= 0.8 - 1e-9 for text, other in pairs)


def twins_of(split: Split, near: NearDuplicates) -> Twins:
    assert split.text_ranks is not None
    pairs = near.among(split.text_ranks)
    return count_twins(split, pairs, texts=near.texts, similarity=near.similarity)


@pytest.mark.parametrize("method", ["by text", "sklearn"])
@pytest.mark.slow
def test_twins_are_the_test_rows_that_a_comparison_of_all_finds(method: str) -> None:
    random = Random(5)
    texts = letters(random, templates=60, copies=7, words=20, changes=2)
    rows = [(random.randrange(3), text) for text in texts + texts[:80]]
    near, ranks = near_of(rows)
    frame = tickets_frame(rows)
    if method == "sklearn":
        split = split_with_sklearn(frame, text_ranks=ranks)
    else:
        split = split_by_text(frame, seed=42, text_ranks=ranks)
    trained = list(split.train["text"])
    has_twin = [any(similarity(text, other) >= 0.8 - 1e-9 for other in trained) for text in split.test["text"]]
    twins = twins_of(split, near)
    assert 0 < twins.with_twin == sum(has_twin) < len(split.test)
    assert twins.by_label == Counter(label for label, has in zip(split.test["label"], has_twin, strict=True) if has)
    assert twins.share == twins.with_twin / len(split.test)


def grouped(rows: list[tuple[int, str]]) -> tuple[Split, NearDuplicates]:
    near, ranks = near_of(rows)
    clusters = near.among(ranks).clusters(near.texts)
    return split_by_text(tickets_frame(rows), seed=42, text_ranks=ranks, clusters=clusters), near


def test_grouped_near_duplicates_stay_on_one_side_with_every_label_at_its_quota() -> None:
    random = Random(9)
    rows = [
        (label, text) for label in range(4) for text in letters(random, templates=60, copies=3, words=25, changes=2)
    ]
    split, near = grouped(rows)
    assert twins_of(split, near).with_twin == 0 and split.divided_texts == 0
    assert broken([*check_label_shares(count_sides(split)), *check_no_text_in_two_splits(split)]) == []
    tested = Counter(split.test["label"])
    for label, count in Counter(label for label, _ in rows).items():
        assert abs(tested[label] - quota_for_test(count)) <= 2
    plain = split_by_text(tickets_frame(rows), seed=42)
    assert twins_of(plain, near).with_twin > 0


def test_a_label_that_has_near_duplicates_only_is_divided_and_says_so() -> None:
    letter = " ".join(f"w{number}" for number in range(40))
    rows = [(1, f"{letter} {number}") for number in range(20)] + [
        (2, f"own text number {n} {n * 3}") for n in range(20)
    ]
    split, near = grouped(rows)
    assert set(split.test["label"]) == {1, 2}
    twins = twins_of(split, near)
    assert (twins.divided_texts, twins.with_twin, twins.by_label) == (20, 2, {1: 2})
    [outcome] = broken(twins.check(most_share=1, is_grouped=True))
    assert "20 texts are of labels that have near-duplicates only" in outcome.advice


def test_a_label_with_one_text_is_refused_also_where_near_duplicates_are_grouped() -> None:
    with pytest.raises(SplitError, match="1 of 2 labels have fewer than two distinct texts"):
        grouped([(1, "the same"), (1, "the same"), (2, "one text of it"), (2, "another text it has")])


@given(data=st.data())
@pytest.mark.slow
def test_to_take_a_ticket_away_moves_its_cluster_and_the_ends_of_its_labels_heads_at_most(data: st.DataObject) -> None:
    """docs/adr/0008-near-duplicates.md: what an erasure can move."""
    random = Random(data.draw(st.integers(0, 10**6)))
    rows = [
        (label, text) for label in range(2) for text in letters(random, templates=25, copies=3, words=15, changes=1)
    ]
    gone = data.draw(st.integers(0, len(rows) - 1))
    before, near = grouped(rows)
    _, ranks = near_of(rows)
    clusters = near.among(ranks).clusters(near.texts)[ranks]
    after, _ = grouped([row for place, row in enumerate(rows) if place != gone])
    tested = [set(split.test["text"]) for split in (before, after)]
    moved = (tested[0] ^ tested[1]) - {rows[gone][1]}
    cluster_of = {text: cluster for (_, text), cluster in zip(rows, clusters, strict=True)}
    label_of = {text: label for label, text in rows}
    others = {cluster_of[text] for text in moved} - {clusters[gone]}
    assert {label_of[text] for text in moved} <= {rows[gone][0]}
    # The quota, the place of its own cluster (which may split), and the cluster at the end of the head.
    assert len(others) <= 3


def test_a_share_above_the_setting_warns_and_one_at_it_does_not() -> None:
    twins = Twins(0.8, 100, 5, {1: 5}, 0, 0)
    assert broken(twins.check(most_share=0.05, is_grouped=False)) == []
    [outcome] = broken(twins.check(most_share=0.049, is_grouped=False))
    assert (outcome.failed, outcome.checked, outcome.unit) == (5, 100, "test rows")
    [outcome] = broken(twins.check(most_share=1, is_grouped=True))
    assert "bug in the split" in outcome.advice
    [outcome] = broken(Twins(0.8, 100, 5, {1: 5}, 400, 0).check(most_share=1, is_grouped=False))
    assert (outcome.failed, outcome.unit) == (400, "texts")


def test_labels_that_share_their_clusters_are_divided_where_no_split_is_left() -> None:
    """Three labels with two of three clusters each: whichever cluster is in test, a label is on one side."""
    letters_of = {name: " ".join(f"{name}{number}" for number in range(40)) for name in "abc"}
    rows = [
        (label, f"{letters_of[name]} {label}{number}")
        for label, names in ((1, "ab"), (2, "bc"), (3, "ca"))
        for name in names
        for number in range(10)
    ]
    split, near = grouped(rows)
    assert set(split.train["label"]) == set(split.test["label"]) == {1, 2, 3}
    assert split.divided_texts > 0
    assert twins_of(split, near).with_twin > 0
