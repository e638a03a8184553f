"""Training rows of a recommender: each user's positives followed by the user's negatives.

`sample_rows` builds a batch's rows on one machine; other engines combine the same functions for groups of users.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gata_assets.errors import DataRuleError
from gata_assets.interactions.features.events import EventTable, Ids
from gata_assets.interactions.rules import SamplingRules
from gata_assets.interactions.sampling.candidates import Candidates, choose_candidates
from gata_assets.interactions.sampling.kernel import Negatives
from gata_assets.interactions.sampling.negatives import gather_histories, sample_negatives, split_evenly
from gata_assets.interactions.sampling.positives import Positives, choose_positives
from gata_assets.tables.columns.arrays import Bools, Float32s, Float64s, Int32s, Int64s
from gata_assets.tables.columns.id_encoding import places_of
from gata_assets.tables.columns.jit import compiled

ROWS_PER_GROUP = 1 << 20

SCHEMA = pa.schema(
    [
        pa.field("user_id", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("item_id", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("label", pa.float32(), nullable=False),
        pa.field("sampling_probability", pa.float64()),
    ]
)


class RowColumns(NamedTuple):
    """Training rows of a range of users: `user` is an index into the range, ascending; `item` is a code.

    `label` is 1 for a positive and 0 for a negative; `probability` is 0 for a positive.
    """

    user: Int32s
    item: Int32s
    label: Float32s
    probability: Float64s


@dataclass(frozen=True)
class SampledRows:
    """Encoded training rows in the order of NegativeSamples; `users` and `items` map codes to ids."""

    users: Ids
    items: Ids
    positives: Positives
    negatives: Negatives
    candidates: Candidates

    def __len__(self) -> int:
        return len(self.positives.items) + len(self.negatives.places)

    @property
    def starts(self) -> Int64s:
        """The index of each user's first row, and the end."""
        return self.positives.starts + self.negatives.starts

    @property
    def numbers(self) -> Mapping[str, int]:
        """Counts for metadata and manifests."""
        shortfall = self.negatives.shortfall
        return {
            "row_count": len(self),
            "users": len(self.positives.users),
            "positives": len(self.positives.items),
            "negatives": len(self.negatives.places),
            "candidates": len(self.candidates),
            "shortfall": int(shortfall.sum()),
            "users_with_shortfall": int(np.count_nonzero(shortfall)),
            "left_out_by_minimum": self.positives.left_out_by_minimum,
            "left_out_by_maximum": self.positives.left_out_by_maximum,
        }

    def ranges(self, rows: int = ROWS_PER_GROUP) -> list[tuple[int, int]]:
        """Split users into ranges `[first, last)` with about `rows` rows each; a user's rows stay together."""
        return split_evenly(self.starts, max(-(-len(self) // rows), 1)) if len(self) else []

    def columns(self, first: int, last: int) -> RowColumns:
        """The rows of the users `[first, last)` (indexes into `positives.users`)."""
        rows = int(self.starts[last] - self.starts[first])
        columns = RowColumns(
            np.empty(rows, np.int32), np.empty(rows, np.int32), np.empty(rows, np.float32), np.empty(rows, np.float64)
        )
        weights = self.candidates.weights
        weights = np.empty(0) if weights is None else weights
        _lay_out(first, last, self.positives, self.negatives, self.candidates.items, weights, columns)
        return columns

    def table(self, first: int, last: int) -> pa.Table:
        """The rows of the users `[first, last)` as `SCHEMA`; dictionaries contain only the ids that occur."""
        columns = self.columns(first, last)
        used, item = places_of(columns.item, len(self.items))
        return pa.table(
            {
                "user_id": _dictionary(columns.user, self.users, self.positives.users[first:last]),
                "item_id": _dictionary(item, self.items, used),
                "label": columns.label,
                "sampling_probability": pa.array(columns.probability, mask=columns.label == 1.0),
            },
            schema=SCHEMA,
        )


def sample_rows(
    events: EventTable, *, first: int, is_available: Bools, rules: SamplingRules, threads: int = 1
) -> SampledRows:
    """Build a batch's training rows.

    Args:
        events: The interactions of the seen window.
        first: The index of the first event in the window of positives.
        is_available: By item code, whether the item was available before the batch.
        rules: What is positive, and how negatives are drawn.
        threads: The number of threads; it has no effect on the rows.

    Raises:
        DataRuleError: If there are positives, but no item can be drawn.
    """
    positives = choose_positives(events, first=first, rules=rules)
    interactions = np.bincount(events.item[first:], minlength=len(events.items))
    candidates = choose_candidates(is_available, interactions, rules)
    require_candidates(len(positives.items), len(candidates))
    return draw_rows(events, positives, candidates, rules, threads=threads)


def require_candidates(positives: int, candidates: int) -> None:
    """Raise DataRuleError if there are positives, but no item can be drawn."""
    if positives and not candidates:
        raise DataRuleError(
            f"{positives:,} positives, but no catalog item was available before the batch: ingest the items, or check "
            "their available_at."
        )


def draw_rows(
    events: EventTable, positives: Positives, candidates: Candidates, rules: SamplingRules, *, threads: int = 1
) -> SampledRows:
    """Draw the negatives of users from what they have not seen in `events`, for their positives."""
    place = np.full(len(events.users), -1, dtype=np.int32)
    place[positives.users] = np.arange(len(positives.users), dtype=np.int32)
    histories = gather_histories(
        place[events.user],
        events.item,
        candidates,
        keys=events.users.keys[positives.users],
        wanted=np.diff(positives.starts) * rules.ratio,
    )
    negatives = sample_negatives(histories, candidates, rules, threads=threads)
    return SampledRows(events.users, events.items, positives, negatives, candidates)


@compiled
def _lay_out(
    first: int,
    last: int,
    positives: Positives,
    negatives: Negatives,
    items: Int32s,
    weights: Float64s,
    columns: RowColumns,
) -> None:
    user, item, label, probability = columns
    row = 0
    for index in range(first, last):
        for at in range(positives.starts[index], positives.starts[index + 1]):
            user[row], item[row], label[row], probability[row] = index - first, positives.items[at], 1.0, 0.0
            row += 1
        for at in range(negatives.starts[index], negatives.starts[index + 1]):
            place = negatives.places[at]
            weight = weights[place] if len(weights) else 1.0
            user[row], item[row], label[row] = index - first, items[place], 0.0
            probability[row] = min(weight / negatives.unseen_weight[index], 1.0)
            row += 1


def _dictionary(codes: Int32s, ids: Ids, used: NDArray[np.integer]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes), ids.ids.gather(used).to_arrow().cast(pa.string()))
