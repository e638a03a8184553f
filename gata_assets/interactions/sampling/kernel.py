"""The compiled draws of negatives: for each user, a prefix of a random permutation of the unseen places.

A user's draws come from a splitmix64 stream seeded by (seed, user key), independent of other users, threads and order.
`negatives` explains the method. Functions that call each other are in one file, since numba invalidates its cache by
the caller's file only. Sources: Steele, Lea and Flood, OOPSLA 2014 (splitmix64); Lemire, ACM TOMACS 29(1), 2019
(numbers below a bound); Efraimidis and Spirakis, Information Processing Letters 97(5), 2006 (race).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from gata_assets.interactions.sampling.candidates import AliasTable
from gata_assets.tables.columns.arrays import Float64s, Int32s, Int64s, UInt64s
from gata_assets.tables.columns.jit import compiled, inlined

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_LOW_HALF = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_ONE = np.uint64(1)
_WORD, _IN_WORD = np.uint64(6), np.uint64(63)


class UserHistories(NamedTuple):
    """A group of users: the candidates that each has seen, and the number of negatives wanted for each.

    `seen[starts[u]:starts[u + 1]]` are user u's places among the candidates, in any order, possibly repeated. `keys`
    are the user keys, `wanted` the counts.
    """

    keys: UInt64s
    starts: Int64s
    seen: Int32s
    wanted: Int64s


class Negatives(NamedTuple):
    """The negatives of a group of users, in drawing order: `places[starts[u]:starts[u + 1]]` among the candidates.

    `unseen_weight` is the sum of the weights (or the number) of each user's unseen candidates. A user with fewer unseen
    items than wanted gets all of them; `shortfall` counts the missing ones.
    """

    starts: Int64s
    places: Int32s
    unseen_weight: Float64s
    shortfall: Int64s


@inlined
def _mix(value: np.uint64) -> np.uint64:
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@inlined
def _start_stream(seed: np.uint64, key: np.uint64) -> np.uint64:
    # Bijective in the key, so that no two users have the same stream.
    return _mix(key + _mix(seed + _GOLDEN))


@inlined
def _draw_below(state: np.uint64, bound: np.uint64) -> tuple[np.uint64, np.uint64]:
    """A uniform number in [0, bound), for a bound below 2^32, and the stream's next state."""
    least = (np.uint64(1 << 32) - bound) % bound
    state += _GOLDEN
    product = (_mix(state) >> _HALF) * bound
    while (product & _LOW_HALF) < least:
        state += _GOLDEN
        product = (_mix(state) >> _HALF) * bound
    return product >> _HALF, state


# Places are unsigned when used as indexes: numba then omits the check for negative ones, which took a quarter of the
# time.
@inlined
def _mark(taken: UInt64s, place: np.uint64) -> bool:
    """Set a place's bit; returns whether it was free."""
    before = taken[place >> _WORD]
    after = before | (_ONE << (place & _IN_WORD))
    taken[place >> _WORD] = after
    return bool(before != after)


@inlined
def _is_taken(taken: UInt64s, place: np.uint64) -> bool:
    return bool((taken[place >> _WORD] >> (place & _IN_WORD)) & _ONE)


@inlined
def _mark_all(taken: UInt64s, places: Int32s) -> int:
    distinct = 0
    for place in places:
        distinct += int(_mark(taken, np.uint64(place)))
    return distinct


@inlined
def _clear_all(taken: UInt64s, places: Int32s) -> None:
    # Only the words used: clearing all of them for each user would cost more than the draws.
    for place in places:
        taken[np.uint64(place) >> _WORD] = np.uint64(0)


@compiled
def count_distinct(users: Int64s, starts: Int64s, seen: Int32s, places: int) -> Int64s:
    """Count the distinct places that each of the given users has seen."""
    taken = np.zeros((places + 63) // 64, dtype=np.uint64)
    distinct = np.empty(len(users), dtype=np.int64)
    for at in range(len(users)):
        own = seen[starts[users[at]] : starts[users[at] + 1]]
        distinct[at] = _mark_all(taken, own)
        _clear_all(taken, own)
    return distinct


@compiled
def draw_uniformly(
    first: int, last: int, users: UserHistories, seed: np.uint64, places: int, negatives: Negatives
) -> None:
    """Draw unseen places for the users `[first, last)` into `negatives`, each equally likely.

    `negatives.starts` gives each user room for the wanted number, and at most for all unseen places. `unseen_weight`
    receives the number of each user's unseen places.
    """
    keys, starts, seen, _ = users
    out_starts, out, unseen_weight, _ = negatives
    taken = np.zeros((places + 63) // 64, dtype=np.uint64)
    rest = np.empty(places, dtype=np.int32)
    bound = np.uint64(places)
    least = (np.uint64(1 << 32) - bound) % bound
    for user in range(first, last):
        own, drawn = seen[starts[user] : starts[user + 1]], out[out_starts[user] : out_starts[user + 1]]
        blocked = _mark_all(taken, own)
        unseen_weight[user] = places - blocked
        state = _start_stream(seed, keys[user])
        # Up to half of the places, at least every second draw hits; beyond, rejection sampling might not end.
        stop = np.uint64(min(len(drawn), max((places + 1) // 2 - blocked, 0)))
        at = np.uint64(0)
        while at < stop:
            state += _GOLDEN
            both = _mix(state)
            # A random number gives two draws, from its high and its low half: a fifth less time.
            for half in (both >> _HALF, both & _LOW_HALF):
                product = half * bound
                if (product & _LOW_HALF) >= least and at < stop and _mark(taken, product >> _HALF):
                    drawn[at] = product >> _HALF
                    at += _ONE
        if at < np.uint64(len(drawn)):
            _shuffle_rest(taken, state, rest, drawn[at:])
        _clear_all(taken, own)
        _clear_all(taken, drawn)


@inlined
def _shuffle_rest(taken: UInt64s, state: np.uint64, rest: Int32s, drawn: Int32s) -> None:
    """Enumerate the free places and draw from them (Fisher–Yates)."""
    left = 0
    for place in range(len(rest)):
        if not _is_taken(taken, np.uint64(place)):
            rest[left] = place
            left += 1
    for at in range(len(drawn)):
        step, state = _draw_below(state, np.uint64(left - at))
        other = at + np.int64(step)
        rest[at], rest[other] = rest[other], rest[at]
        drawn[at] = rest[at]


@compiled
def draw_by_weight(
    first: int,
    last: int,
    users: UserHistories,
    seed: np.uint64,
    weights: Float64s,
    total: float,
    table: AliasTable,
    negatives: Negatives,
) -> None:
    """Draw unseen places for the users `[first, last)` into `negatives`, in proportion to the remaining weights.

    `table` is the alias table of the weights. `unseen_weight` receives the sum of the weights of each user's unseen
    places.
    """
    keys, starts, seen, _ = users
    out_starts, out, unseen_weight, _ = negatives
    taken = np.zeros((len(weights) + 63) // 64, dtype=np.uint64)
    bound = np.uint64(len(weights))
    for user in range(first, last):
        own, drawn = seen[starts[user] : starts[user + 1]], out[out_starts[user] : out_starts[user + 1]]
        _mark_all(taken, own)
        excluded = _sum_distinct(weights, np.sort(own))
        # The difference of nearly equal sums has no precision: in that case the unseen weights are summed directly.
        unseen_weight[user] = total - excluded if 2 * excluded <= total else _sum_free(weights, taken)
        state = _start_stream(seed, keys[user])
        at, stop = np.uint64(0), np.uint64(len(drawn))
        while at < stop and 2 * excluded <= total:
            place, state = _draw_below(state, bound)
            state += _GOLDEN
            if (_mix(state) >> np.uint64(11)) >= table.thresholds[place]:
                place = np.uint64(table.aliases[place])
            if _mark(taken, place):
                drawn[at] = place
                excluded += weights[place]
                at += _ONE
        if at < stop:
            _race(taken, weights, _mix(~_start_stream(seed, keys[user])), drawn[at:])
        _clear_all(taken, own)
        _clear_all(taken, drawn)


@inlined
def _sum_distinct(weights: Float64s, ascending: Int32s) -> float:
    total, before = 0.0, np.int32(-1)
    for place in ascending:
        if place != before:
            total += weights[place]
        before = place
    return total


@inlined
def _sum_free(weights: Float64s, taken: UInt64s) -> float:
    total = 0.0
    for place in range(len(weights)):
        if not _is_taken(taken, np.uint64(place)):
            total += weights[place]
    return total


@compiled
def _race(taken: UInt64s, weights: Float64s, start: np.uint64, winners: Int32s) -> None:
    """Choose the free places with the smallest exponential times, ascending; a place's rate is its weight.

    A place's time depends only on the user's stream and the place. The order is that of successive draws, and takes one
    pass whatever the weights are. The winners so far are a heap with the latest at its root.
    """
    times = np.empty(len(winners), dtype=np.float64)
    size = 0
    for place in range(len(weights)):
        if _is_taken(taken, np.uint64(place)):
            continue
        number = _mix(start + np.uint64(place + 1) * _GOLDEN) >> np.uint64(11)
        chance = (np.float64(number) + 1.0) * 2.0**-53
        if size < len(winners):
            times[size], winners[size] = -math.log(chance) / weights[place], place
            _rise(times, winners, size)
            size += 1
        # -log(x) >= 1 - x: most places lose without a logarithm. The margin covers its rounding.
        elif (1.0 - chance) * (1.0 - 1e-12) <= times[0] * weights[place]:
            time = -math.log(chance) / weights[place]
            if time < times[0]:
                times[0], winners[0] = time, place
                _sink(times, winners, size)
    while size > 1:
        size -= 1
        times[0], times[size] = times[size], times[0]
        winners[0], winners[size] = winners[size], winners[0]
        _sink(times, winners, size)


@inlined
def _is_later(times: Float64s, places: Int32s, at: int, other: int) -> bool:
    return bool(times[at] > times[other] or (times[at] == times[other] and places[at] > places[other]))


@compiled
def _rise(times: Float64s, places: Int32s, at: int) -> None:
    while at > 0 and _is_later(times, places, at, (at - 1) // 2):
        above = (at - 1) // 2
        times[at], times[above] = times[above], times[at]
        places[at], places[above] = places[above], places[at]
        at = above


@compiled
def _sink(times: Float64s, places: Int32s, size: int) -> None:
    at = 0
    while 2 * at + 1 < size:
        below = 2 * at + 1
        if below + 1 < size and _is_later(times, places, below + 1, below):
            below += 1
        if not _is_later(times, places, below, at):
            return
        times[at], times[below] = times[below], times[at]
        places[at], places[below] = places[below], places[at]
        at = below
