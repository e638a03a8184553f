"""The rate limit: bursts, waiting as told, bounded memory. Real: all of it. The clock is moved by hand."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.ingestion.keys.rate_limit import RateLimit


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_let_in_and_then_the_rate() -> None:
    clock = Seconds()
    limit = RateLimit(2, 3, clock)
    assert [limit.take("a") for _ in range(5)] == [0, 0, 0, 0.5, 0.5]
    clock.now += 0.25
    assert limit.take("a") == 0.25
    clock.now += 0.25
    assert [limit.take("a") for _ in range(2)] == [0, 0.5]
    clock.now += 3600
    assert [limit.take("a") for _ in range(4)] == [0, 0, 0, 0.5]


def test_keys_do_not_share_a_bucket() -> None:
    limit = RateLimit(1, 1, Seconds())
    assert [limit.take(key) for key in ("a", "b", "a", "b")] == [0, 0, 1, 1]


@given(
    per_second=st.floats(0.001, 100),
    burst=st.floats(1, 1000),
    begin=st.floats(0, 1e6),
    pauses=st.lists(st.floats(0, 1), max_size=8),
)
def test_who_waits_as_long_as_told_is_let_in(
    per_second: float, burst: float, begin: float, pauses: list[float]
) -> None:
    clock = Seconds()
    clock.now = begin
    limit = RateLimit(per_second, burst, clock)
    for pause in pauses:
        limit.take("a")
        clock.now += pause
    while not (wait := limit.take("a")):
        pass
    clock.now += wait
    assert limit.take("a") == 0


@given(
    per_second=st.floats(0.1, 100),
    burst=st.integers(1, 20),
    pauses=st.lists(st.floats(0, 2), min_size=1, max_size=60),
)
def test_no_stretch_of_time_lets_in_more_than_a_burst_and_the_rate(
    per_second: float, burst: int, pauses: list[float]
) -> None:
    clock = Seconds()
    limit = RateLimit(per_second, burst, clock)
    let_in = []
    for pause in pauses:
        clock.now += pause
        if limit.take("a") == 0:
            let_in.append(clock.now)
    for first, begin in enumerate(let_in):
        for last, end in enumerate(let_in[first:], start=1):
            assert last <= burst + (end - begin) * per_second + 0.001


def test_there_are_never_more_buckets_than_allowed_and_the_oldest_goes() -> None:
    limit = RateLimit(1, 1, Seconds(), most_buckets=3)
    for key in ("a", "b", "c", "a"):
        limit.take(key)
    assert (limit.take("d"), len(limit)) == (0, 3)
    # b was used longest ago: it begins anew.
    assert limit.take("a") > 0
    assert limit.take("b") == 0
    for number in range(1000):
        limit.take(str(number))
    assert len(limit) == 3


def test_a_clock_that_goes_back_takes_nothing_away() -> None:
    clock = Seconds()
    limit = RateLimit(1, 2, clock)
    limit.take("a")
    clock.now -= 100
    assert limit.take("a") == 0
    assert limit.take("a") == 1


def test_threads_share_a_bucket_and_none_is_let_in_twice() -> None:
    limit = RateLimit(0.001, 50, Seconds())
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(limit.take, ["a"] * 400)).count(0) == 50


@pytest.mark.parametrize(("per_second", "burst", "most"), [(0, 1, 1), (-1, 1, 1), (1, 0.5, 1), (1, 1, 0)])
def test_a_rate_that_lets_nobody_in_is_refused(per_second: float, burst: float, most: int) -> None:
    with pytest.raises(ValueError, match="A rate above 0"):
        RateLimit(per_second, burst, Seconds(), most_buckets=most)
