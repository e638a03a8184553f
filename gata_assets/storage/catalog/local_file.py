"""A catalog as a JSON file in an object store, for readers without Glue: DuckDB, notebooks, tests.

Every change is a conditional write of the file: who finds that another command has changed it meanwhile reads it
again. A reader of the file sees all partitions as they were at one instant.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from gata_assets.errors import ConflictError, ObjectNotFoundError, StoreError
from gata_assets.storage.catalog.base import Catalog, Partition, TableEntry, Values, require_compatible, require_values
from gata_assets.storage.objects import ABSENT, ObjectStore, Version

CATALOG_VERSION = 1
_MOST_ATTEMPTS = 20

_Tables = dict[str, Any]


class FileCatalog(Catalog):
    """The catalog in the object of that key, which is created with the first table."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        """`store` needs conditional writes if several commands change the catalog at once."""
        self._store, self._key = store, key

    def ensure_table(self, table: TableEntry) -> None:
        """See Catalog."""

        def change(tables: _Tables) -> None:
            before = tables.get(table.full_name)
            if before is not None:
                columns, keys = (_kinds(before[part]) for part in ("columns", "partition_keys"))
                require_compatible(table, columns, keys)
            tables[table.full_name] = {
                "description": table.description,
                "columns": [vars(column) for column in table.columns],
                "partition_keys": [vars(column) for column in table.partition_keys],
                "location": table.location,
                "partitions": before["partitions"] if before else [],
            }

        self._change(change)

    def partitions(self, table: TableEntry) -> dict[Values, Partition]:
        """See Catalog."""
        found = self._read()[0].get(table.full_name, {"partitions": []})
        return {
            tuple(entry["values"]): Partition(entry["location"], entry["parameters"]) for entry in found["partitions"]
        }

    def swap(self, table: TableEntry, values: Values, location: str, parameters: Mapping[str, str]) -> None:
        """See Catalog."""
        require_values(table, values)
        entry = {"values": list(values), "location": location, "parameters": dict(parameters)}
        self._change(lambda tables: self._replace(tables, table, values, [entry]))

    def remove_partition(self, table: TableEntry, values: Values) -> None:
        """See Catalog."""
        require_values(table, values)
        self._change(lambda tables: self._replace(tables, table, values, []))

    def _replace(self, tables: _Tables, table: TableEntry, values: Values, entries: list[dict[str, Any]]) -> None:
        if table.full_name not in tables:
            raise StoreError(f"The catalog {self._uri} has no table {table.full_name}: it was dropped. Run this again.")
        others = [entry for entry in tables[table.full_name]["partitions"] if tuple(entry["values"]) != values]
        tables[table.full_name]["partitions"] = sorted((*others, *entries), key=lambda entry: entry["values"])

    def _change(self, change: Callable[[_Tables], None]) -> None:
        """Apply a change to the tables as they are, as often as others change them meanwhile."""
        for _ in range(_MOST_ATTEMPTS):
            tables, content, version = self._read()
            change(tables)
            changed = _encode(tables)
            if changed == content:
                return
            try:
                self._store.write(self._key, changed, expected=version)
            except ConflictError:
                continue
            return
        raise ConflictError(
            f"The catalog {self._uri} was changed by other commands at each of {_MOST_ATTEMPTS} attempts: run this "
            "again when fewer of them are running."
        )

    def _read(self) -> tuple[_Tables, bytes, Version]:
        try:
            content, version = self._store.read_versioned(self._key)
        except ObjectNotFoundError:
            return {}, b"", ABSENT
        try:
            found = json.loads(content)
            number, tables = found["catalog_version"], found["tables"]
        except (ValueError, KeyError, TypeError):
            raise StoreError(
                f"{self._uri} is no catalog, or a damaged one. Move it away and run this again: every table is "
                "registered again."
            ) from None
        if number != CATALOG_VERSION:
            raise StoreError(f"{self._uri} has catalog_version {number}: another release wrote it. Use that release.")
        return tables, content, version

    @property
    def _uri(self) -> str:
        return self._store.uri(self._key)


def _kinds(columns: list[dict[str, str]]) -> dict[str, str]:
    return {column["name"]: column["kind"] for column in columns}


def _encode(tables: _Tables) -> bytes:
    ordered = {name: tables[name] for name in sorted(tables)}
    return (json.dumps({"catalog_version": CATALOG_VERSION, "tables": ordered}, indent=2) + "\n").encode()
