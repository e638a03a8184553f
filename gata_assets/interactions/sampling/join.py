"""Training rows joined to user and item features by code: no string is compared row by row.

Columns are dictionaries: a user's or item's value is stored once per piece, and a row is a code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from gata_assets.errors import DataRuleError
from gata_assets.interactions.sampling.samples import SampledRows
from gata_assets.interactions.tables import SPECS
from gata_assets.tables.arrow_checks import check_arrow_tables
from gata_assets.tables.columns.arrays import Int32s, Int64s
from gata_assets.tables.columns.id_encoding import places_of
from gata_assets.tables.outcomes import Outcome

_USERS = replace(
    SPECS["user_features"],
    columns=tuple(column for column in SPECS["user_features"].columns if column.name != "recent_items"),
)


class JoinedRows:
    """The rows of `WithFeatures`: training rows, in their order, with the features of their users and items.

    Args:
        rows: The training rows.
        users: UserFeatures without `recent_items`, in any order.
        items: ItemFeatures, in any order.

    Raises:
        DataRuleError: If a user or item of the rows has no features.
    """

    def __init__(self, rows: SampledRows, users: pa.Table, items: pa.Table) -> None:
        self._rows = rows
        self._users, self._items = users.combine_chunks(), items.combine_chunks()
        self._user_places = _places(rows.users.ids.gather(rows.positives.users), self._users["user_id"])
        self._item_places = _places(rows.items.ids, self._items["item_id"])
        used = np.zeros(len(rows.items), dtype=np.bool_)
        used[rows.positives.items] = True
        used[rows.candidates.items[rows.negatives.places]] = True
        _require_all("users", self._user_places)
        _require_all("items", self._item_places[used])

    def table(self, first: int, last: int) -> pa.Table:
        """The rows of the users `[first, last)` (indexes into `positives.users`)."""
        columns = self._rows.columns(first, last)
        used, item = places_of(columns.item, len(self._rows.items))
        joined = {name: column.chunk(0) for name, column in _columns(self._rows.table(first, last))}
        for prefix, features, codes, places in (
            ("user_", self._users, columns.user, self._user_places[first:last]),
            ("item_", self._items, item, self._item_places[used]),
        ):
            piece = features.take(pa.array(places)).combine_chunks()
            for name, column in _columns(piece.drop_columns([f"{prefix}id"])):
                joined[prefix + name] = _spread(column, codes)
        return pa.table(joined)

    def check(self) -> list[Outcome]:
        """Check the joined features against their schemas; `checks` validates the training rows."""
        return [*check_features_of_users(self._users), *check_features_of_items(self._items)]


def check_features_of_users(users: pa.Table) -> list[Outcome]:
    """Check against UserFeatures without `recent_items`."""
    return check_arrow_tables(_USERS, [users])


def check_features_of_items(items: pa.Table) -> list[Outcome]:
    """Check against ItemFeatures."""
    return check_arrow_tables(SPECS["item_features"], [items])


def _columns(table: pa.Table) -> Sequence[tuple[str, pa.ChunkedArray]]:
    return list(zip(table.column_names, table.columns, strict=True))


def _places(ids: pl.Series, among: pa.ChunkedArray) -> Int64s:
    """Each id's index, or -1."""
    values = among.cast(pa.large_string()).combine_chunks()
    found = pc.index_in(ids.to_arrow().cast(pa.large_string()), value_set=values)
    places: Int64s = pc.fill_null(found, -1).to_numpy().astype(np.int64)
    return places


def _require_all(kind: str, places: Int64s) -> None:
    missing = int((places < 0).sum())
    if missing:
        raise DataRuleError(
            f"{missing:,} of {len(places):,} {kind} of the training rows have no features: the curated days have "
            "changed since the batch's features were built. Build the features again."
        )


def _spread(column: pa.ChunkedArray, codes: Int32s) -> pa.DictionaryArray:
    """Each code's value, dictionary-encoded: equal values share an index, which takes fewer bits per row."""
    values = column.combine_chunks().dictionary_encode()
    indices = pc.fill_null(values.indices, -1).to_numpy()[codes]
    return pa.DictionaryArray.from_arrays(
        pa.array(indices, mask=indices < 0 if values.null_count else None), values.dictionary
    )
