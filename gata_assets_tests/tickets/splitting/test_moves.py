"""What became of tickets between two batches, against plain Python. Nothing is faked."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.tickets.splitting.moves import compare_sides, find_sides

_TEXTS = ("a", "b", "c", "d")
_batches = st.tuples(
    st.dictionaries(st.integers(1, 8), st.tuples(st.integers(0, 2), st.sampled_from(_TEXTS))),
    st.lists(st.sampled_from(_TEXTS)),
    st.lists(st.sampled_from(_TEXTS)),
)


def sides(batch: tuple[dict[int, tuple[int, str]], list[str], list[str]]) -> pl.DataFrame:
    tickets, train, test = batch
    rows = [(number, label, text) for number, (label, text) in tickets.items()]
    table = pl.DataFrame(rows, {"id": pl.Int64, "label": pl.Int64, "text": pl.String}, orient="row")
    texts = {"train": pl.Series(train, dtype=pl.String), "test": pl.Series(test, dtype=pl.String)}
    return find_sides(table, texts)


def side_of(text: str, train: list[str], test: list[str]) -> str | None:
    names = [name for name, texts in (("train", train), ("test", test)) if text in texts]
    return "both" if len(names) == 2 else names[0] if names else None


@given(_batches, _batches)
def test_moves_are_those_that_plain_python_counts(first: tuple, second: tuple) -> None:  # type: ignore[type-arg]
    then, now = first[0], second[0]
    both = then.keys() & now.keys()
    moves = [(side_of(then[n][1], *first[1:]), side_of(now[n][1], *second[1:])) for n in both]
    assert compare_sides(sides(first), sides(second)) == {
        "in_both": len(both),
        "only_in_first": len(then) - len(both),
        "only_in_second": len(now) - len(both),
        "changed_label": sum(then[n][0] != now[n][0] for n in both),
        "from_train_to_test": moves.count(("train", "test")),
        "from_test_to_train": moves.count(("test", "train")),
    }


def test_a_batch_without_a_dataset_has_tickets_on_no_side() -> None:
    tickets = pl.DataFrame({"id": [1], "label": [2], "text": ["a"]})
    assert find_sides(tickets, {})["side"].to_list() == [None]
