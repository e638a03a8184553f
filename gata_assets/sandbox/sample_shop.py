"""Sample raw files of a realistic shop, generated from a seed: full loads and changes as AWS DMS writes them.

The same parameters give the same bytes on every machine with the same libraries. A batch of orders or a file's rows are
in memory at a time. `shop/` has the parameters, the rows and the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date

import numpy as np
import polars as pl

from gata_assets.sandbox.shop.catalog import Catalog
from gata_assets.sandbox.shop.order_changes import Frames, by_time
from gata_assets.sandbox.shop.orders import Orders
from gata_assets.sandbox.shop.parameters import ShopCounts, ShopParameters, counts
from gata_assets.sandbox.shop.plan import plan_days
from gata_assets.sandbox.shop.raw_files import Format, change_name, encode, folder, instant, load_name
from gata_assets.sandbox.shop.tables import AT, DAY, HOUR, MINUTE, TABLES, as_changes, midnight
from gata_assets.storage.objects import ObjectStore

# One row of the full load is transferred each microsecond, after the last order of the day.
_LOAD_AT = 23 * HOUR + 30 * MINUTE
# A file of changes is written a minute after the last of them.
_UNTIL_WRITTEN = MINUTE
_MILLISECOND = 1_000


def write_sample_shop(store: ObjectStore, parameters: ShopParameters) -> ShopCounts:
    """Write all raw files of a shop below `shop/raw/{source}/`, over earlier ones of the same names.

    Args:
        store: Where to write. Raw files of other parameters should not be there: a curation would read them, too.
        parameters: Sizes, days, shares of faults, formats and seed.

    Returns:
        How many rows, files and faults were written.

    Raises:
        StoreError: A file could not be written.
    """
    catalog = Catalog(parameters)
    orders = Orders(parameters, catalog)
    files = _RawFiles(store, parameters)
    files.load({"customers": catalog.customers(), "products": catalog.products(), "inventory": catalog.inventory()})
    follow_ups: list[Frames] = []
    for day, batches in plan_days(parameters):
        if day <= parameters.load_day:
            for batch in batches:
                files.load(orders.draw(batch).load())
            continue
        files.end_load()
        files.write_changes(day, catalog.changes(day))
        of_yesterday, follow_ups = follow_ups, []
        for batch in batches:
            drawn = orders.draw(batch)
            files.write_changes(day, drawn.changes())
            follow_ups.append(drawn.follow_ups(batch, parameters.seed))
        files.write_changes(day, _together(of_yesterday))
    files.write_changes(parameters.last_day, {"customers": catalog.last_changes()})
    return files.counts


def _together(parts: list[Frames]) -> Frames:
    """The rows of several batches by their commit times."""
    return by_time({table: pl.concat([part[table] for part in parts]) for table in (parts[0] if parts else ())})


class _RawFiles:
    """Writes rows into files, and counts them."""

    def __init__(self, store: ObjectStore, parameters: ShopParameters) -> None:
        self._store = store
        self._parameters = parameters
        self._loaded: dict[str, list[pl.DataFrame]] = {table: [] for table in TABLES}
        self._transferred = 0
        self._keys: set[str] = set()
        # Files of changes so far: those that may come twice, and those that do not.
        self._repeatable, self._once = 0, 0
        self.counts = ShopCounts(dict.fromkeys(TABLES, 0), dict.fromkeys(TABLES, 0), dict(_faults(parameters)))

    def load(self, frames: Mapping[str, pl.DataFrame]) -> None:
        """Add rows to the full load; files are written as they are full."""
        most = self._parameters.files.rows_per_load_file
        for table, frame in frames.items():
            self._loaded[table].append(frame)
            if sum(map(len, self._loaded[table])) >= most:
                rows = pl.concat(self._loaded[table])
                full = len(rows) - len(rows) % most
                for start in range(0, full, most):
                    self._write_load(table, rows[start : start + most])
                self._loaded[table] = [rows[full:]]

    def end_load(self) -> None:
        """Write what remains of the full load."""
        for table, frames in self._loaded.items():
            if frames and len(rows := pl.concat(frames)):
                self._write_load(table, rows)
        self._loaded = {table: [] for table in TABLES}

    def write_changes(self, day: date, frames: Mapping[str, pl.DataFrame]) -> None:
        """Write a file of changes for each table that has some, perhaps twice, or late."""
        for table, frame in frames.items():
            if not len(frame):
                continue
            form = self._format(day)
            content = encode(table, frame, form, self._parameters.files.timestamp_column, has_op=True)
            written = int(frame[AT].to_numpy()[-1]) + _UNTIL_WRITTEN
            is_repeated = not _breaks_a_rule(table, frame) and self._is_repeated()
            if not is_repeated and self._is_late():
                written += DAY
            for _ in range(1 + is_repeated):
                self._store.write(self._free_key(table, written, form), content)
            self._count(table, frame)

    def _write_load(self, table: str, rows: pl.DataFrame) -> None:
        """A file of the full load; the rows were transferred one after the other."""
        parameters = self._parameters
        first = midnight(parameters.load_day) + _LOAD_AT + self._transferred
        self._transferred += len(rows)
        at = first + np.arange(len(rows))
        settings = parameters.files
        changes, has_op = as_changes(rows, "I", at), settings.has_op_in_full_load
        content = encode(table, changes, Format.PARQUET, settings.timestamp_column, has_op=has_op)
        self._count(table, rows)
        name = load_name(self.counts.files[table])
        self._store.write(folder(parameters.source, table, parameters.load_day) + name, content)

    def _free_key(self, table: str, written: int, form: Format) -> str:
        """The key of a file of changes; a name that is taken moves to the next millisecond."""
        while True:
            day = instant(written).date()
            key = folder(self._parameters.source, table, day) + change_name(written, form)
            if key not in self._keys:
                self._keys.add(key)
                return key
            written += _MILLISECOND

    def _count(self, table: str, rows: pl.DataFrame) -> None:
        self.counts.rows[table] += len(rows)
        self.counts.files[table] += 1

    def _format(self, day: date) -> Format:
        """The format of a day's files of changes."""
        settings = self._parameters.files
        number = (day - self._parameters.load_day).days - 1
        if number < settings.csv_days:
            return Format.CSV
        return Format.JSON_LINES if number < settings.csv_days + settings.json_lines_days else Format.PARQUET

    def _is_repeated(self) -> bool:
        """Whether the next file without an invalid row comes twice."""
        self._repeatable += 1
        return self._draws("duplicate_delivery", self._repeatable)

    def _is_late(self) -> bool:
        """Whether the next file that comes once comes late."""
        self._once += 1
        return self._draws("late_file", self._once)

    def _draws(self, fault: str, number: int) -> bool:
        is_chosen = counts(self._parameters.file_faults, number, number - 1)[fault] > 0
        self.counts.faults[fault] += is_chosen
        return is_chosen


def _faults(parameters: ShopParameters) -> Mapping[str, int]:
    """How often each fault of a row occurs, and 0 for those of files."""
    return {
        **counts(parameters.customer_faults, parameters.customers),
        **counts(parameters.product_faults, parameters.products),
        **counts(parameters.order_faults, parameters.orders),
        **dict.fromkeys(asdict(parameters.file_faults), 0),
    }


def _breaks_a_rule(table: str, rows: pl.DataFrame) -> bool:
    """Whether a file of changes has a row that is rejected for itself."""
    if table == "order_items":
        return bool((rows["quantity"] == 0).any())
    return table == "payments" and rows["payment_id"].null_count() > 0
