"""The law of training rows in plain Python: sets, lists and whole numbers, as docs/features-and-samples.md says it.

It shares nothing with the project's loops but the alias table, which has tests of its own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from gata_assets.interactions.features.events import EventTable, code_events
from gata_assets.interactions.rules import InteractionType, SamplingRules, SamplingStrategy
from gata_assets.interactions.sampling.candidates import AliasTable, Candidates
from gata_assets.interactions.sampling.negatives import Negatives
from gata_assets.tables.columns.hashing import hash_ids

WORD = 2**64
GOLDEN = 0x9E3779B97F4A7C15

# User, item, time and type of an interaction.
Event = tuple[str, str, int, InteractionType]
Row = tuple[str, str, float, float | None]


def rules_of(
    *,
    types: Sequence[InteractionType] = (InteractionType.CLICK, InteractionType.PURCHASE, InteractionType.LIKE),
    least: tuple[int, int] = (1, 1),
    most: int = 50,
    ratio: int = 4,
    power: float | None = None,
    seed: int = 42,
) -> SamplingRules:
    """Rules of sampling; with a power, by popularity."""
    strategy = SamplingStrategy.UNIFORM if power is None else SamplingStrategy.POPULARITY
    return SamplingRules(frozenset(types), *least, most, ratio, strategy, power or 0.0, seed)


def probabilities_of(drawn: Negatives, candidates: Candidates) -> np.ndarray:
    """Of each negative, its chance in one draw from all that the user has not seen."""
    unseen = np.repeat(drawn.unseen_weight, np.diff(drawn.starts))
    weights = 1.0 if candidates.weights is None else candidates.weights[drawn.places]
    return np.minimum(weights / unseen, 1.0)


def code(events: Sequence[Event], catalogue: Sequence[str] = ()) -> EventTable:
    """Interactions in any order, and the catalogue's items, as the project has them."""

    def ids(name: str, values: set[str]) -> pl.DataFrame:
        column = pl.Series(f"{name}_id", sorted(values), dtype=pl.String)
        return pl.DataFrame([column, hash_ids(column).alias(f"{name}_key")])

    users, items = {event[0] for event in events}, {event[1] for event in events} | set(catalogue)
    table = pl.DataFrame(
        {
            "user_id": [event[0] for event in events],
            "item_id": [event[1] for event in events],
            "timestamp": [event[2] for event in events],
            "type_code": [event[3].code for event in events],
            "rating": [None] * len(events),
        },
        schema={
            "user_id": pl.String,
            "item_id": pl.String,
            "timestamp": pl.Datetime("us", "UTC"),
            "type_code": pl.UInt8,
            "rating": pl.Float32,
        },
    ).with_columns(
        user_key=pl.col("user_id").map_batches(hash_ids, return_dtype=pl.UInt64),
        item_key=pl.col("item_id").map_batches(hash_ids, return_dtype=pl.UInt64),
    )
    return code_events(table, ids("user", users), ids("item", items))


def available(events: EventTable, catalogue: Sequence[str]) -> np.ndarray:
    """Of each item code, whether the catalogue has it."""
    return events.items.ids.is_in(list(set(catalogue))).to_numpy()


def mix(value: int) -> int:
    """The finalizer of splitmix64."""
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) % WORD
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) % WORD
    return value ^ (value >> 31)


@dataclass
class Stream:
    """A user's random numbers of 64 bits."""

    state: int

    @classmethod
    def of(cls, seed: int, key: int) -> Stream:
        return cls(mix((key + mix((seed + GOLDEN) % WORD)) % WORD))

    def next(self) -> int:
        self.state = (self.state + GOLDEN) % WORD
        return mix(self.state)

    def below(self, bound: int) -> int:
        """Lemire's method with rejection, of the high half of each number."""
        while True:
            place = lemire(self.next() >> 32, bound)
            if place is not None:
                return place


def lemire(half: int, bound: int) -> int | None:
    """A number below the bound from one of 32 bits, or none where it would not be uniform."""
    product = half * bound
    return product >> 32 if product % 2**32 >= 2**32 % bound else None


def draw_uniformly(seed: int, key: int, seen: set[int], places: int, wanted: int) -> list[int]:
    stream, drawn = Stream.of(seed, key), list[int]()
    wanted = min(wanted, places - len(seen))
    while len(drawn) < wanted and 2 * (len(seen) + len(drawn)) < places:
        high, low = divmod(stream.next(), 2**32)
        for half in (high, low):
            place = lemire(half, places)
            is_on = len(drawn) < wanted and 2 * (len(seen) + len(drawn)) < places
            if is_on and place is not None and place not in seen and place not in drawn:
                drawn.append(place)
    rest = [place for place in range(places) if place not in seen and place not in drawn]
    while len(drawn) < wanted:
        # Fisher and Yates: the chosen one goes to the front, what was there takes its place.
        other = stream.below(len(rest))
        rest[0], rest[other] = rest[other], rest[0]
        drawn.append(rest.pop(0))
    return drawn


def draw_by_weight(
    seed: int, key: int, seen: set[int], weights: Sequence[float], table: AliasTable, wanted: int
) -> list[int]:
    stream, drawn = Stream.of(seed, key), list[int]()
    race = mix(WORD - 1 - stream.state)
    wanted = min(wanted, len(weights) - len(seen))
    total, taken = summed(weights), summed([weights[place] for place in sorted(seen)])
    while len(drawn) < wanted and 2 * taken <= total:
        place = stream.below(len(weights))
        if stream.next() >> 11 >= int(table.thresholds[place]):
            place = int(table.aliases[place])
        if place not in seen and place not in drawn:
            drawn.append(place)
            taken += weights[place]
    times = {
        place: -math.log(((mix((race + (place + 1) * GOLDEN) % WORD) >> 11) + 1) * 2.0**-53) / weights[place]
        for place in range(len(weights))
        if place not in seen and place not in drawn
    }
    return drawn + sorted(times, key=lambda place: (times[place], place))[: wanted - len(drawn)]


def summed(values: Sequence[float]) -> float:
    """A sum from left to right; Python's own is another from version to version."""
    total = 0.0
    for value in values:
        total += value
    return total


def positives_of(events: Sequence[Event], start: int, rules: SamplingRules) -> dict[str, list[str]]:
    """Each user's positives, newest first."""
    last: dict[tuple[str, str], int] = {}
    for user, item, time, kind in events:
        if time >= start and kind in rules.positive_types:
            last[user, item] = max(time, last.get((user, item), time))
    while True:
        of_user, of_item = Counter(user for user, _ in last), Counter(item for _, item in last)
        kept = {
            pair: time
            for pair, time in last.items()
            if of_user[pair[0]] >= rules.min_interactions_per_user
            and of_item[pair[1]] >= rules.min_interactions_per_item
        }
        if len(kept) == len(last):
            break
        last = kept
    return {
        user: sorted((item for who, item in last if who == user), key=lambda item: (-last[user, item], item))[
            : rules.max_interactions_per_user
        ]
        for user in sorted({user for user, _ in last})
    }


def weights_of(events: Sequence[Event], start: int, catalogue: Sequence[str], rules: SamplingRules) -> list[float]:
    """The weights of the catalogue's items, by item_id."""
    met = Counter(item for _, item, time, _ in events if time >= start)
    by_popularity = rules.strategy is SamplingStrategy.POPULARITY
    # NumPy's power, which may differ from Python's in the last digit.
    return [float(np.float64(met[item] + 1) ** rules.power) if by_popularity else 1.0 for item in sorted(catalogue)]


def training_rows(
    events: Sequence[Event],
    start: int,
    catalogue: Sequence[str],
    rules: SamplingRules,
    *,
    keys: Mapping[str, int],
    table: AliasTable | None,
) -> list[Row]:
    """The rows of a batch; `events` are those of the seen window, `start` is where that of the positives starts."""
    items = sorted(catalogue)
    weights = weights_of(events, start, items, rules)
    rows: list[Row] = []
    for user, positives in positives_of(events, start, rules).items():
        met = {item for who, item, _, _ in events if who == user}
        seen = {place for place, item in enumerate(items) if item in met}
        wanted = len(positives) * rules.ratio
        if table is None:
            drawn = draw_uniformly(rules.seed, keys[user], seen, len(items), wanted)
        else:
            drawn = draw_by_weight(rules.seed, keys[user], seen, weights, table, wanted)
        unseen = sum(weights[place] for place in range(len(items)) if place not in seen)
        rows += [(user, item, 1.0, None) for item in positives]
        rows += [(user, items[place], 0.0, weights[place] / unseen) for place in drawn]
    return rows
