"""What the tables for analysts are built from, and the settings of a build. Values and a protocol only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Protocol

import polars as pl


class CuratedShop(Protocol):
    """The curated tables of one source.

    Digests are asked for before rows are read: if rows change in between, the next build finds another digest, and
    builds again.
    """

    def days(self) -> Mapping[date, str]:
        """The curated days (UTC) with a digest of their orders, items and payments together."""
        ...

    def read_days(self, table: str, days: Sequence[date], columns: Sequence[str]) -> pl.DataFrame:
        """Columns of the rows of days, in any order: of `orders`, `order_items` or `payments`."""
        ...

    def count_rows(self, table: str, days: Collection[date]) -> int:
        """The rows of such a table and days as its manifests count them, without reading any."""
        ...

    def table_digest(self, table: str) -> str:
        """A digest of `customers`, `products` or `inventory`."""
        ...

    def read_table(self, table: str, columns: Sequence[str]) -> pl.DataFrame:
        """Columns of all rows of such a table, in any order."""
        ...


Month = tuple[str, str]


@dataclass(frozen=True)
class Scope:
    """What a build brings up to date, of the tables by month and of those without a date.

    Whatever the scope, a partition is built from all curated rows of its month as they are now.

    Attributes:
        months: months, ("2026", "01"), with or without an order.
        has_all_months: whether all others with an order are in it too, and those that had one.
        has_whole_tables: whether the tables without a date are in it.
    """

    months: frozenset[Month] = frozenset()
    has_all_months: bool = False
    has_whole_tables: bool = False

    def has(self, month: tuple[str, ...]) -> bool:
        """Whether a month is in it."""
        return self.has_all_months or month in self.months


EVERYTHING = Scope(has_all_months=True, has_whole_tables=True)


class Compression(StrEnum):
    """How Parquet files are compressed: zstd is smaller, snappy is read by the oldest readers."""

    ZSTD = "zstd"
    SNAPPY = "snappy"


@dataclass(frozen=True)
class ProdSettings:
    """How tables for analysts are written.

    Attributes:
        database: The database of the catalog.
        compression: Of all files.
        file_bytes: The size at which a partition's next file begins.
        grace: How long files stay after they were superseded: longer than any query takes.
        code_version: Noted in manifests; another one alone makes no partition stale.
        erased_by: The request by which people were erased, which manifests of what is built then name.
    """

    database: str
    compression: Compression = Compression.ZSTD
    file_bytes: int = 128 << 20
    grace: timedelta = timedelta(days=1)
    code_version: str = ""
    erased_by: str = ""

    @property
    def format(self) -> dict[str, str | int]:
        """How files are written, as manifests note it: another one makes a partition stale."""
        return {"compression": self.compression.value, "file_bytes": self.file_bytes}

    @property
    def notes(self) -> dict[str, list[str]]:
        """What manifests say besides."""
        return {"erased_by": [self.erased_by]} if self.erased_by else {}
