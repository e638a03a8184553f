"""When the sample shop's orders are placed, and which of them have a fault. Pure.

Orders are numbered by time. A batch is a part of a day's orders that is drawn at once, so that memory has a bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

from gata_assets.sandbox.shop.parameters import ShopParameters, counts
from gata_assets.sandbox.shop.tables import HOUR, Ints, midnight

_MOST_ORDERS_OF_A_BATCH = 50_000
# By day of the week, Monday first, on average 1; by hour, UTC. The last hour is for the full load.
_WEEKDAY_FACTORS = (0.94, 0.90, 0.90, 0.94, 1.02, 1.12, 1.18)
_HOUR_WEIGHTS = (3, 1, 1, 1, 1, 2, 4, 6, 7, 8, 8, 8, 9, 8, 8, 8, 9, 10, 11, 13, 14, 12, 8, 0)
_CUMULATIVE_HOURS = np.cumsum(_HOUR_WEIGHTS)[:-1] / sum(_HOUR_WEIGHTS)
_DAY_SIZES, _TIMES, _FAULTS = range(20, 23)


@dataclass(frozen=True)
class Batch:
    """A part of a day's orders: the number of the first, and when each was placed (microseconds), ascending."""

    day: date
    number: int
    first_order: int
    placed: Ints


@dataclass(frozen=True)
class Faulty:
    """The orders of a batch that have one fault: their places in it, and their ranks among all that have it."""

    places: Ints
    ranks: Ints


def plan_days(parameters: ShopParameters) -> Iterator[tuple[date, list[Batch]]]:
    """The days until the last with commit times, each with its batches by time."""
    rng = default_rng([parameters.seed, _DAY_SIZES])
    days = [parameters.first_day + timedelta(days=number) for number in range(parameters.days)]
    weights = np.array([_WEEKDAY_FACTORS[day.weekday()] for day in days]) * rng.uniform(0.9, 1.1, len(days))
    until = np.cumsum(weights)
    ends = np.rint(until / until[-1] * parameters.orders).astype(np.int64)
    first = 0
    for day, end in zip(days, ends.tolist(), strict=True):
        count = end - first
        rng = default_rng([parameters.seed, _TIMES, day.toordinal()])
        hour = np.searchsorted(_CUMULATIVE_HOURS, rng.random(count), side="right")
        placed = np.sort(midnight(day) + hour * HOUR + rng.integers(0, HOUR, count))
        parts = max(parameters.files.files_per_day, -(-count // _MOST_ORDERS_OF_A_BATCH))
        batches = []
        for number, part in enumerate(np.array_split(placed, min(parts, count) or 1)):
            if count:
                batches.append(Batch(day, number, first, part))
                first += len(part)
        yield day, batches
    if days[-1] < parameters.last_day:
        yield parameters.last_day, []


class FaultyOrders:
    """Which orders have a fault: each at most one, exactly as many as their shares say."""

    def __init__(self, parameters: ShopParameters) -> None:
        rng = default_rng([parameters.seed, _FAULTS])
        sizes = counts(parameters.order_faults, parameters.orders)
        chosen = rng.choice(parameters.orders, sum(sizes.values()), replace=False)
        ends = np.cumsum(list(sizes.values()))[:-1]
        self._numbers: Mapping[str, Ints] = {
            fault: np.sort(numbers) for fault, numbers in zip(sizes, np.split(chosen, ends), strict=True)
        }

    def of_batch(self, batch: Batch) -> Mapping[str, Faulty]:
        """For each fault the orders of a batch that have it."""
        found = {}
        for fault, numbers in self._numbers.items():
            start, end = np.searchsorted(numbers, [batch.first_order, batch.first_order + len(batch.placed)])
            found[fault] = Faulty(numbers[start:end] - batch.first_order, np.arange(start, end))
        return found


def zipf(count: int, shift: int) -> NDArray[np.float64]:
    """The cumulative shares of `count` ranks, whose weights are 1 / (rank + shift): the same on every machine."""
    cumulative = np.cumsum(1 / (np.arange(count) + 1 + shift))
    return np.asarray(cumulative / cumulative[-1])


def rank_of(shares: NDArray[np.float64], draws: NDArray[np.float64]) -> Ints:
    """The ranks that draws from 0 to 1 select."""
    return np.minimum(np.searchsorted(shares, draws, side="right"), len(shares) - 1)
