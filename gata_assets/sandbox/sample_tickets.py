"""Sample tickets of a realistic help desk, generated from a seed, for use without a database.

Every day has its own random stream keyed by (seed, day): a day's tickets do not depend on the requested range. Pure: no
clock, environment, file or global random state. `sample_data` has the groups and words; `tickets.sources.ddl` has the
table and writes tickets into databases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import count
from math import floor, log
from random import Random

import pandas as pd

from gata_assets.sandbox.sample_data import HELP_DESK


@dataclass(frozen=True)
class SampleGroup:
    """A group that closes tickets: label, name, share of all tickets, its sentences, and an older id of the label.

    Problems and requests have `{slots}`; mails are complete texts. `evenly` spreads the group's tickets at a fixed rate
    instead of randomly, so that a rare group has its exact share with every seed.
    """

    label: int
    name: str
    weight: float
    problems: Sequence[str]
    requests: Sequence[str]
    mails: Sequence[str]
    former_id: int | None = None
    evenly: bool = False


SAMPLE_GROUPS = tuple(SampleGroup(**group) for group in HELP_DESK["groups"])
SLOTS: Mapping[str, Sequence[str]] = {
    **HELP_DESK["slots"],
    "days": [str(number) for number in range(2, 22)],
    "amount": [f"{number} euros" for number in range(9, 490)],
}

FIRST_SAMPLE_DAY = date(2020, 1, 1)
LAST_SAMPLE_DAY = date(2060, 12, 31)
MAX_TICKETS_PER_DAY = 5_000
"""Each day reserves twice as many ids, because a busy day closes up to 50 % more tickets."""

_IDS_PER_DAY = 10_000
_SECONDS_PER_DAY = 86_400
_UNIX_EPOCH = date(1970, 1, 1)

_WEEKDAY_FACTORS = (1.30, 1.22, 1.18, 1.14, 1.06, 0.60, 0.50)  # Monday first; on average 1
_HOUR_WEIGHTS = (1, 1, 1, 1, 1, 2, 4, 8, 14, 16, 16, 15, 12, 13, 15, 15, 14, 11, 7, 5, 4, 3, 2, 1)  # UTC
_API_WITH_GROUP_SHARE = 1 / 3  # of the api tickets, i.e. 4 % of all: their sender chose the group
_UNROUTED_SHARE = 0.10  # of the other channels: no initial group
_WELL_ROUTED_SHARE = 0.72
_FORMER_ID_SHARE = 0.15
_MAPPED_ROUTER_SHARE = 0.03
_EXTERNAL_ROUTER_SHARE = 0.25
_OPEN_SHARE = 0.005

_MAIL_SHARE = 0.08  # fixed mails, the duplicates within a group
_SHARED_TEXT_SHARE = 0.004  # texts that occur in any group
_STRAY_SHARE = 0.05  # tickets closed by another group than the text suggests

_Row = tuple[int | float | str | None, ...]

_COLUMN_TYPES: Mapping[str, str] = {
    **{"id": "int64", "processed_data": "object", "via_channel": "object", "probability": "float64"},
    **{"routed_by": "object", "created": "int64", "initial_group_id": "Int64", "initial_group_id_mapped": "Int64"},
    **{"closed": "int64", "closed_group_id": "Int64", "closed_group_id_mapped": "Int64"},
}


def generate_tickets(first_day: date, last_day: date, *, tickets_per_day: int = 40, seed: int = 0) -> pd.DataFrame:
    """Generate the tickets closed (and the few left open) from `first_day` to `last_day`, inclusive.

    Args:
        first_day: The first UTC day, from 2020 on.
        last_day: The last UTC day, until 2060.
        tickets_per_day: The mean over a week, 1 to 5000.
        seed: The seed of all random streams.

    Returns:
        All columns of the table `ticket` except the embedding, ordered by id: `created` and `closed` in epoch seconds
        (`closed` is 0 while a ticket is open), `probability` 0..1, and four nullable group ids.

    Raises:
        ValueError: If the days are out of order or out of range, or the rate is out of range.
    """
    if not FIRST_SAMPLE_DAY <= first_day <= last_day <= LAST_SAMPLE_DAY:
        raise ValueError(
            f"first_day {first_day} and last_day {last_day} must be in order, "
            f"from {FIRST_SAMPLE_DAY} to {LAST_SAMPLE_DAY}"
        )
    if not 1 <= tickets_per_day <= MAX_TICKETS_PER_DAY:
        raise ValueError(f"tickets_per_day {tickets_per_day} must be from 1 to {MAX_TICKETS_PER_DAY}")
    rows: list[_Row] = []
    for offset in range((last_day - first_day).days + 1):
        rows += _tickets_of_day(first_day + timedelta(days=offset), tickets_per_day, seed)
    return pd.DataFrame.from_records(rows, columns=list(_COLUMN_TYPES)).astype(dict(_COLUMN_TYPES))


def happened_tickets(tickets: pd.DataFrame, now: datetime) -> pd.DataFrame:
    """The tickets without those that were opened or closed later on the day of `now`."""
    last = tickets[["created", "closed"]].max(axis="columns")
    end_of_day = (now.date() + timedelta(days=1) - _UNIX_EPOCH).days * _SECONDS_PER_DAY
    return tickets[(last < now.timestamp()) | (last >= end_of_day)]


def _tickets_of_day(day: date, tickets_per_day: int, seed: int) -> list[_Row]:
    rng = Random(f"{seed}/{day.isoformat()}")  # noqa: S311 - repeatable
    day_number = (day - FIRST_SAMPLE_DAY).days
    midnight = (day - _UNIX_EPOCH).days * _SECONDS_PER_DAY
    groups = _groups_of_day(rng, day, tickets_per_day, seed)
    hours = rng.choices(range(24), _HOUR_WEIGHTS, k=len(groups))
    closing_times = sorted(midnight + hour * 3600 + rng.randrange(3600) for hour in hours)
    first_id = (day_number + 1) * _IDS_PER_DAY
    rows = [
        _ticket(rng, ticket_id, group, created=closed - _handling_seconds(rng), closed=closed)
        for ticket_id, group, closed in zip(count(first_id), groups, closing_times, strict=False)
    ]
    for _ in range(floor(tickets_per_day * _OPEN_SHARE + rng.random())):
        created = midnight + rng.randrange(_SECONDS_PER_DAY)
        rows.append(_ticket(rng, first_id + len(rows), _any_group(rng), created=created, closed=0))
    return rows


def _groups_of_day(rng: Random, day: date, tickets_per_day: int, seed: int) -> list[SampleGroup]:
    """The groups of a day's closed tickets, in random order."""
    random_groups = [group for group in SAMPLE_GROUPS if not group.evenly]
    weights = [group.weight for group in random_groups]
    mean = tickets_per_day * sum(weights) * _WEEKDAY_FACTORS[day.weekday()]
    groups = rng.choices(random_groups, weights, k=floor(mean * rng.uniform(0.85, 1.15) + rng.random()))
    day_number = (day - FIRST_SAMPLE_DAY).days
    for group in SAMPLE_GROUPS:
        if group.evenly:
            rate = tickets_per_day * group.weight
            phase = Random(f"{seed}/{group.label}").random()  # noqa: S311 - repeatable
            groups += [group] * (floor((day_number + 1) * rate + phase) - floor(day_number * rate + phase))
    rng.shuffle(groups)
    return groups


def _handling_seconds(rng: Random) -> int:
    """From a minute to thirty days; the median is six hours."""
    return int(min(max(rng.lognormvariate(log(6 * 3600), 1.2), 60), 30 * _SECONDS_PER_DAY))


def _ticket(rng: Random, ticket_id: int, group: SampleGroup, *, created: int, closed: int) -> _Row:
    """A row of the table; with `closed` 0 the ticket is open and has no closing group."""
    shares: dict[str, float] = HELP_DESK["channel_shares"]
    channel = rng.choices(tuple(shares), tuple(shares.values()))[0]
    routed_to = group if rng.random() < _WELL_ROUTED_SHARE else _any_group(rng)
    initial_id: int | None = _group_id(rng, routed_to)
    initial_label: int | None = routed_to.label
    if rng.random() < (1 - _API_WITH_GROUP_SHARE if channel == "api" else _UNROUTED_SHARE):
        initial_id = initial_label = rng.choice((None, 0))
    probability = rng.betavariate(8, 2) if routed_to is group else rng.betavariate(4, 3)
    return (
        ticket_id,
        _text(rng, group),
        channel,
        round(probability, 4),
        _router(rng),
        created,
        initial_id,
        initial_label,
        closed,
        _group_id(rng, group) if closed else None,
        group.label if closed else None,
    )


def _router(rng: Random) -> str:
    chance = rng.random()
    if chance < _MAPPED_ROUTER_SHARE:
        return "gata-mapped"
    return "external" if chance < _MAPPED_ROUTER_SHARE + _EXTERNAL_ROUTER_SHARE else "gata"


def _group_id(rng: Random, group: SampleGroup) -> int:
    return group.former_id if group.former_id and rng.random() < _FORMER_ID_SHARE else group.label


def _any_group(rng: Random) -> SampleGroup:
    return rng.choices(SAMPLE_GROUPS, [group.weight for group in SAMPLE_GROUPS])[0]


class _Words(dict[str, str]):
    """A ticket's slot values, drawn at first use, so that a ticket mentions a single item."""

    def __init__(self, rng: Random) -> None:
        super().__init__()
        self._rng = rng

    def __missing__(self, slot: str) -> str:
        is_number = slot == "number"
        self[slot] = str(self._rng.randrange(10**7, 10**8)) if is_number else self._rng.choice(SLOTS[slot])
        return self[slot]


def _text(rng: Random, group: SampleGroup) -> str:
    chance = rng.random()
    if chance < _MAIL_SHARE:
        return rng.choice(group.mails)
    if chance < _MAIL_SHARE + _SHARED_TEXT_SHARE:
        return str(rng.choice(HELP_DESK["shared_texts"]))
    topic = _any_group(rng) if rng.random() < _STRAY_SHARE else group
    first_problem, second_problem = rng.sample(topic.problems, 2)
    sentences = [*_perhaps(rng, 0.6, HELP_DESK["greetings"]), first_problem]
    if rng.random() < 0.45:
        sentences.append(second_problem)
    if rng.random() < 0.15:
        sentences.append(rng.choice(_any_group(rng).problems))
    else:
        sentences += _perhaps(rng, 0.5, HELP_DESK["remarks"])
    sentences += _perhaps(rng, 0.8, topic.requests if rng.random() < 0.4 else HELP_DESK["questions"])
    sentences += _perhaps(rng, 0.5, HELP_DESK["closings"])
    return " ".join(sentences).format_map(_Words(rng))


def _perhaps(rng: Random, share: float, sentences: Sequence[str]) -> list[str]:
    return [rng.choice(sentences)] if rng.random() < share else []
