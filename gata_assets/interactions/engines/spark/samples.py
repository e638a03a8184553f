"""Training rows on Spark: our own loops on each range of users, once the thin items of the whole are known.

A range has all that its users have seen, so that what is drawn for them is what one machine draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from gata_assets.interactions.engines.base import NEGATIVE_SAMPLES, WITH_FEATURES
from gata_assets.interactions.engines.polars import sources_of_rows
from gata_assets.interactions.engines.spark.positives import Pairs, is_positive
from gata_assets.interactions.engines.spark.shuffle import FEATURES, Facts, events_of
from gata_assets.interactions.engines.spark.tasks import (
    Held,
    Part,
    PerPart,
    as_part,
    by_part,
    collect_parts,
    pack,
    report_of,
    unpack,
)
from gata_assets.interactions.features.events import EventTable
from gata_assets.interactions.rules import SamplingRules
from gata_assets.interactions.sampling.candidates import choose_candidates
from gata_assets.interactions.sampling.checks import pieces_of
from gata_assets.interactions.sampling.evidence import (
    NOTHING_AFTER_THE_BATCH,
    Evidence,
    check_times,
    count_evidence,
    group_by_user,
    weigh_items,
)
from gata_assets.interactions.sampling.join import JoinedRows, check_features_of_users
from gata_assets.interactions.sampling.negatives import gather_histories, sample_negatives
from gata_assets.interactions.sampling.positives import choose_positives
from gata_assets.interactions.sampling.samples import SampledRows
from gata_assets.interactions.schema import NegativeSamples
from gata_assets.tables.arrow_checks import check_arrow_tables
from gata_assets.tables.outcomes import Outcome

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

WITH_FEATURES_ARE_VALID = "with_features_are_valid"

# What the kernel gives besides parts of tables: of items of the catalogue, how often each was drawn, and the like.
DRAWS = "draws"


@dataclass(frozen=True)
class Catalogue:
    """Of the catalogue's items, by item_id: whether each was available before the batch, and its interactions.

    `items` has `item_id, item_key`. It goes to every executor: 30 bytes an item, or 40 MB for a million.
    """

    items: pl.DataFrame
    is_available: NDArray[np.bool_]
    interactions: NDArray[np.int64]

    @classmethod
    def of(cls, items: pl.DataFrame, is_available: NDArray[np.bool_], met: pl.DataFrame) -> Catalogue:
        """Of the catalogue's items; `met` has `item_key, rows`, and none for what nobody has met."""
        counts = items.select("item_key").join(met, on="item_key", how="left", maintain_order="left")["rows"]
        return cls(items.select("item_id", "item_key"), is_available, counts.fill_null(0).to_numpy())

    def places(self, events: EventTable) -> NDArray[np.int64]:
        """The code of each item."""
        by_key = np.argsort(events.items.keys)
        found = np.searchsorted(events.items.keys, self.items["item_key"].to_numpy(), sorter=by_key)
        return by_key[found]


@dataclass(frozen=True)
class SampleKernel:
    """Draws the negatives of a range's users, and joins the rows to the features.

    `thin_items` are keys, `user_schema` is that of the users' features as they were written, without `recent_items`;
    `start` and `end` are those of the window, in microseconds since 1970.
    """

    rules: SamplingRules
    catalogue: Catalogue
    thin_items: NDArray[np.uint64]
    item_features: pa.Table
    user_schema: pa.Schema
    start: int
    end: int
    buckets: int

    def __call__(self, parts: Sequence[Part]) -> Iterator[Part]:
        """Everything that is made of a range: rows, what was drawn of the catalogue, and what is said of them."""
        features = [table for part in parts if part.name == FEATURES for table in unpack(part.content)]
        users = pa.concat_tables(
            [self.user_schema.empty_table(), *(table.cast(self.user_schema) for table in features)]
        )
        return self.parts_of(parts[0].part, events_of(parts, self.catalogue.items), users)

    def parts_of_nothing(self) -> Iterator[Part]:
        """The same where there are no interactions, and so no range."""
        return self.parts_of(0, events_of([], self.catalogue.items), self.user_schema.empty_table())

    def parts_of(self, part: int, events: EventTable, users: pa.Table) -> Iterator[Part]:
        """The same, of interactions and features."""
        places = self.catalogue.places(events)
        is_available = np.zeros(len(events.items), dtype=np.bool_)
        is_available[places] = self.catalogue.is_available
        interactions = np.zeros(len(events.items), dtype=np.int64)
        interactions[places] = self.catalogue.interactions
        rows = self._sample(events, is_available, interactions)
        evidence = self._evidence(rows, events, weigh_items(interactions, is_available, self.rules))
        joined = JoinedRows(rows, users, self.item_features)
        yield report_of(
            part,
            {
                NEGATIVE_SAMPLES: {
                    "negative_samples_are_valid": check_arrow_tables(NegativeSamples.to_schema(), pieces_of(rows)),
                    NOTHING_AFTER_THE_BATCH: check_times([events.timestamp], self.end, evidence),
                },
                WITH_FEATURES: {WITH_FEATURES_ARE_VALID: check_features_of_users(users)},
            },
            {
                "seen": len(events),
                "seen_by": len(events.users),
                "pairs": len(rows.positives) + rows.positives.left_out_by_maximum,
                **{f"numbers.{name}": value for name, value in rows.numbers.items()},
                **{
                    f"evidence.{name}": value
                    for name, value in vars(evidence).items()
                    if isinstance(value, int | float)
                },
            },
        )
        for name, source in sources_of_rows(rows, joined).items():
            yield as_part(name, part, source)
        drawn, withheld = evidence.drawn[places], evidence.withheld[places]
        for bucket, (start, end) in enumerate(_slices(len(places), self.buckets)):
            draws = pa.table({"drawn": drawn[start:end], "withheld": withheld[start:end]})
            yield Part(DRAWS, bucket, end - start, pack(draws), part)

    def _sample(
        self, events: EventTable, is_available: NDArray[np.bool_], interactions: NDArray[np.int64]
    ) -> SampledRows:
        is_thin = np.isin(events.items.keys, self.thin_items)
        pairs = _only(events, is_positive(events, self.rules, self.start) & ~is_thin[events.item])
        # Thin items are out already, so that who is thin among the users follows from their own rows.
        positives = choose_positives(pairs, first=0, rules=replace(self.rules, min_interactions_per_item=1))
        candidates = choose_candidates(is_available, interactions, self.rules)
        place = np.full(len(events.users), -1, dtype=np.int32)
        place[positives.users] = np.arange(len(positives.users), dtype=np.int32)
        histories = gather_histories(
            place[events.user],
            events.item,
            candidates,
            keys=events.users.keys[positives.users],
            wanted=np.diff(positives.starts) * self.rules.ratio,
        )
        negatives = sample_negatives(histories, candidates, self.rules)
        return SampledRows(events.users, events.items, positives, negatives, candidates)

    def _evidence(self, rows: SampledRows, seen: EventTable, weights: NDArray[np.float64]) -> Evidence:
        starts, items = group_by_user(seen.user, seen.item, len(seen.users))

        def of(first: int, last: int) -> Evidence:
            users = rows.positives.users[first:last]
            return count_evidence(rows.columns(first, last), users, starts, items, weights, self.rules.ratio)

        return sum((of(*bounds) for bounds in rows.ranges()), of(0, 0))


def _only(events: EventTable, chosen: NDArray[np.bool_]) -> EventTable:
    columns = ("user", "item", "timestamp", "type_code", "rating")
    return replace(events, **{name: getattr(events, name)[chosen] for name in columns})


def _slices(count: int, pieces: int) -> list[tuple[int, int]]:
    """The catalogue's places in so many pieces, by their bounds."""
    bounds = [count * piece // pieces for piece in range(pieces + 1)]
    return list(pairwise(bounds))


def numbers_of(held: Held, pairs: Pairs, candidates: int) -> dict[str, int]:
    """The counts of `SampledRows.numbers`, of all ranges."""
    counts = held.report.counts
    sums = {name.removeprefix("numbers."): value for name, value in counts.items() if name.startswith("numbers.")}
    return {**sums, "candidates": candidates, "left_out_by_minimum": pairs.left_out_by_minimum}


def sum_draws(held: DataFrame, items: int, buckets: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Of each item of the catalogue what all ranges have drawn, and what is withheld."""
    summed = by_part(held.where(held["name"] == DRAWS), buckets).mapInArrow(PerPart(_add_up_draws), held.schema)
    drawn, withheld = np.zeros(items, dtype=np.int64), np.zeros(items, dtype=np.float64)
    slices = _slices(items, buckets)
    for part in collect_parts(summed):
        [draws] = unpack(part.content)
        start, end = slices[part.part]
        drawn[start:end], withheld[start:end] = draws["drawn"].to_numpy(), draws["withheld"].to_numpy()
    return drawn, withheld


def _add_up_draws(parts: Sequence[Part]) -> Iterator[Part]:
    tables = [table for part in parts for table in unpack(part.content)]
    sums = {name: np.sum([table[name].to_numpy() for table in tables], axis=0) for name in ("drawn", "withheld")}
    yield Part(DRAWS, parts[0].part, parts[0].rows, pack(pa.table(sums)))


def gather_evidence(held: Held, items: int, buckets: int) -> Evidence:
    """The evidence of all ranges, by the catalogue's items."""
    drawn, withheld = sum_draws(held.rows, items, buckets)
    scalars = {
        name.removeprefix("evidence."): value for name, value in held.report.counts.items() if name.startswith("evid")
    }
    return Evidence(**scalars, drawn=drawn, withheld=withheld)


def check_dealing(counted: Mapping[str, int], facts: Facts, pairs: Pairs) -> list[Outcome]:
    """What the ranges have is what was counted apart from them, so that their evidence is that of the whole.

    A user who was dealt out to two ranges counts in both.
    """
    return [
        Outcome("all that was seen is in one range of users", abs(counted["seen"] - facts.total), facts.total, _DEFECT),
        Outcome("no user is in two ranges", abs(counted["seen_by"] - facts.users), facts.users, _DEFECT, unit="users"),
        Outcome("every pair is in one range of users", abs(counted["pairs"] - pairs.count), pairs.count, _DEFECT),
    ]


_DEFECT = "This is a defect of the dealing; please report it."
