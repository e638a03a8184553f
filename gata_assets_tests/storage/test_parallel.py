"""Work on threads comes in order, and so does what breaks it off. All real."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gata_assets.storage.parallel import map_in_order


@pytest.mark.parametrize("threads", [1, 2, 10])
@pytest.mark.parametrize("good", [0, 1, 2, 3, 20])
def test_all_that_was_given_before_an_error_comes_out_before_it(good: int, threads: int) -> None:
    def given() -> Iterator[int]:
        yield from range(good)
        raise ValueError

    made, seen = map_in_order(lambda one: one * 2, given(), threads), []
    with pytest.raises(ValueError):  # noqa: PT011 - it has no words
        seen.extend(made)
    assert seen == [2 * one for one in range(good)]


@pytest.mark.parametrize("threads", [1, 2, 10])
def test_an_error_of_the_work_comes_where_its_result_would(threads: int) -> None:
    made, seen = map_in_order(lambda one: 12 // (4 - one), range(20), threads), []
    with pytest.raises(ZeroDivisionError):
        seen.extend(made)
    assert seen == [3, 4, 6, 12]
