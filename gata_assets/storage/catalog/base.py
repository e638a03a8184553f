"""The interface of catalogs: tables with types, and the location of each partition. `glue` and `local_file` have them.

A catalog knows neither manifests nor Parquet files. Who writes a partition puts its files under a new location, and
moves the catalog's entry there in one call: a reader sees the files before or those after, never some of both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gata_assets.errors import CatalogError

# The values of a partition's keys; of a table without partition keys there is one, without values.
Values = tuple[str, ...]


@dataclass(frozen=True)
class CatalogColumn:
    """A column as readers see it; `kind` is Athena's type (`athena_types`)."""

    name: str
    kind: str
    description: str = ""


@dataclass(frozen=True)
class TableEntry:
    """A table of Parquet files.

    `location` is a folder's URI with a slash at its end. Of a table without partition keys it is where a reader looks
    before the first swap: a folder that never has a file.
    """

    database: str
    name: str
    columns: tuple[CatalogColumn, ...]
    partition_keys: tuple[CatalogColumn, ...]
    location: str
    description: str = ""

    @property
    def full_name(self) -> str:
        """As in a query: `database.name`."""
        return f"{self.database}.{self.name}"


class Partition(NamedTuple):
    """Where a partition's files are, and what its writer noted."""

    location: str
    parameters: Mapping[str, str] = field(default_factory=dict)


class Catalog(ABC):
    """Tables and where their partitions are."""

    @abstractmethod
    def ensure_table(self, table: TableEntry) -> None:
        """Create a table, or bring its columns and descriptions up to date; its partitions stay as they are.

        A later release may add columns at the end and change descriptions.

        Raises:
            CatalogError: The table has other columns or partition keys, or is no table of Parquet files.
            StoreError: The catalog cannot be read or written.
        """

    @abstractmethod
    def partitions(self, table: TableEntry) -> dict[Values, Partition]:
        """All partitions of a table by their values; none if there is no such table. Raises StoreError."""

    @abstractmethod
    def swap(self, table: TableEntry, values: Values, location: str, parameters: Mapping[str, str]) -> None:
        """Create a partition, or move it to another location, in one step for a reader.

        Without values, the table itself is moved, which must have no partition keys. Raises StoreError.
        """

    @abstractmethod
    def remove_partition(self, table: TableEntry, values: Values) -> None:
        """Remove a partition if it exists; its files stay. Raises StoreError."""


def require_compatible(table: TableEntry, columns: Mapping[str, str], keys: Mapping[str, str]) -> None:
    """Check that readers of a table can read what is there with its new columns.

    Args:
        table: The table as it is now.
        columns: The types of the columns in the catalog by their names, in order.
        keys: The same of the partition keys.

    Raises:
        CatalogError: A column is missing or has another place, name or type, or the partition keys differ.
    """
    present = {column.name: column.kind for column in table.columns}
    differing = [
        f"column {name} {kind} ({_shown(name, present)} now)"
        for name, kind in columns.items()
        if present.get(name) != kind
    ]
    if not differing and list(present)[: len(columns)] != list(columns):
        differing = ["the order of the columns"]
    expected_keys = {key.name: key.kind for key in table.partition_keys}
    if list(expected_keys.items()) != list(keys.items()):
        differing.append(f"partition keys ({', '.join(keys) or 'none'}; {', '.join(expected_keys) or 'none'} now)")
    if differing:
        raise CatalogError(
            f"The catalog's table {table.full_name} differs from this release's in what cannot be changed under its "
            f"readers: {'; '.join(differing)}. Drop the table in the catalog and run this again: the files stay, and "
            "every partition is registered again."
        )


def require_values(table: TableEntry, values: Values) -> None:
    """Check that a partition has a value for each key, of plain characters."""
    if len(values) != len(table.partition_keys) or not all(value.isalnum() for value in values):
        raise CatalogError(
            f"{table.full_name} is partitioned by {', '.join(key.name for key in table.partition_keys) or 'nothing'}: "
            "a partition has one plain value for each."
        )


def _shown(name: str, present: Mapping[str, str]) -> str:
    return present.get(name, "missing")
