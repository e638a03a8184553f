"""A catalog in AWS Glue, whose tables Athena reads; by plain boto3.

Each partition has the table's columns, SerDe and formats of its own, as Glue wants it. Moving one is a single
UpdatePartition (of a table without partitions, UpdateTable): Athena plans a query with the location before or after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from gata_assets.errors import CatalogError, ConflictError, ObjectNotFoundError, StoreError
from gata_assets.storage.catalog.base import (
    Catalog,
    CatalogColumn,
    Partition,
    TableEntry,
    Values,
    require_compatible,
    require_values,
)

if TYPE_CHECKING:
    from types_boto3_glue import GlueClient

_INPUT_FORMAT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
_OUTPUT_FORMAT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"
_SERDE = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
_PARAMETERS = {"classification": "parquet", "EXTERNAL": "TRUE"}

_MISSING = "EntityNotFoundException"
_EXISTS = "AlreadyExistsException"
_CHANGED = "ConcurrentModificationException"
_DENIED = frozenset({"AccessDeniedException", "AccessDenied", "UnrecognizedClientException"})
_MOST_ATTEMPTS = 5
# What GetTable returns and UpdateTable takes: what others have set is kept.
_KEPT = ("Owner", "Retention", "TableType", "Parameters", "StorageDescriptor", "PartitionKeys", "Description")
# Glue's limit of a comment.
_MOST_CHARACTERS = 255


class GlueCatalog(Catalog):
    """The Glue catalog of the account and region. The AWS SDK's own variables (endpoint, region, credentials) apply."""

    def __init__(
        self,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        max_attempts: int = 5,
        connect_seconds: float = 10,
        read_seconds: float = 60,
    ) -> None:
        """Attempts and time limits are those of each call."""
        self._region, self._endpoint_url = region, endpoint_url
        self._config = Config(
            connect_timeout=connect_seconds,
            read_timeout=read_seconds,
            retries={"max_attempts": max_attempts, "mode": "standard"},
        )

    def ensure_table(self, table: TableEntry) -> None:
        """See Catalog; the database must exist."""

        def ensure() -> None:
            found = self._find(table)
            if found is None:
                self._create(table)
            else:
                self._update(table, found, _brought_up_to_date(table, found))

        self._until_unchanged(table, ensure)

    def partitions(self, table: TableEntry) -> dict[Values, Partition]:
        """See Catalog; a page at a time."""
        if not table.partition_keys:
            found = self._find(table)
            is_moved = found is not None and found["StorageDescriptor"]["Location"] != table.location
            return {(): _partition(found)} if found and is_moved else {}
        try:
            with self._errors(table, "read the partitions of", "glue:GetPartitions"):
                pages: Any = self._client.get_paginator("get_partitions")
                listed = pages.paginate(**_named(table), ExcludeColumnSchema=True)
                return {tuple(entry["Values"]): _partition(entry) for page in listed for entry in page["Partitions"]}
        except ObjectNotFoundError:
            return {}

    def swap(self, table: TableEntry, values: Values, location: str, parameters: Mapping[str, str]) -> None:
        """See Catalog; UpdatePartition, or CreatePartition for a new one."""
        require_values(table, values)
        if not values:
            self._until_unchanged(table, lambda: self._move(table, location, parameters))
            return
        entry: Any = {
            "Values": list(values),
            "StorageDescriptor": _storage(table.columns, location),
            "Parameters": _PARAMETERS | dict(parameters),
        }

        def swap() -> None:
            try:
                with self._errors(table, "move a partition of", "glue:UpdatePartition"):
                    self._client.update_partition(
                        **_named(table), PartitionValueList=list(values), PartitionInput=entry
                    )
            except ObjectNotFoundError:
                with self._errors(table, "create a partition of", "glue:CreatePartition"):
                    self._client.create_partition(**_named(table), PartitionInput=entry)

        self._until_unchanged(table, swap)

    def remove_partition(self, table: TableEntry, values: Values) -> None:
        """See Catalog."""
        require_values(table, values)

        def remove() -> None:
            try:
                with self._errors(table, "remove a partition of", "glue:DeletePartition"):
                    self._client.delete_partition(**_named(table), PartitionValues=list(values))
            except ObjectNotFoundError:
                return

        self._until_unchanged(table, remove)

    def _find(self, table: TableEntry) -> dict[str, Any] | None:
        try:
            with self._errors(table, "read", "glue:GetTable"):
                found: Any = self._client.get_table(DatabaseName=table.database, Name=table.name)["Table"]
        except ObjectNotFoundError:
            return None
        storage = found.get("StorageDescriptor", {})
        if storage.get("SerdeInfo", {}).get("SerializationLibrary") != _SERDE or "Location" not in storage:
            raise CatalogError(
                f"Glue has a {table.full_name} that is no table of Parquet files. Drop it, or use another database."
            )
        return dict(found)

    def _create(self, table: TableEntry) -> None:
        entry: Any = {
            "Name": table.name,
            "Description": table.description,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": _PARAMETERS,
            "StorageDescriptor": _storage(table.columns, table.location),
            "PartitionKeys": _columns(table.partition_keys),
        }
        try:
            with self._errors(table, "create", "glue:CreateTable"):
                self._client.create_table(DatabaseName=table.database, TableInput=entry)
        except ObjectNotFoundError:
            raise CatalogError(
                f"There is no Glue database {table.database} in this region: create it, or correct its name."
            ) from None

    def _move(self, table: TableEntry, location: str, parameters: Mapping[str, str]) -> None:
        found = self._find(table)
        if found is None:
            raise ObjectNotFoundError(_dropped(table))
        present = _input(table, found)
        moved = present | {
            "StorageDescriptor": present["StorageDescriptor"] | {"Location": location},
            "Parameters": present.get("Parameters", {}) | dict(parameters),
        }
        self._update(table, found, moved)

    def _update(self, table: TableEntry, found: Mapping[str, Any], entry: dict[str, Any]) -> None:
        """Replace a table's entry, if it is still the one that was found."""
        if entry == _input(table, found):
            return
        # Versions of a table count against a quota, and each move would leave one.
        condition: Any = {"VersionId": found["VersionId"]} if "VersionId" in found else {}
        with self._errors(table, "change", "glue:UpdateTable"):
            sent: Any = entry
            self._client.update_table(DatabaseName=table.database, TableInput=sent, SkipArchive=True, **condition)

    def _until_unchanged(self, table: TableEntry, change: Callable[[], None]) -> None:
        """Repeat a change that met another one, from reading on."""
        for _ in range(_MOST_ATTEMPTS):
            try:
                change()
            except ConflictError:
                continue
            except ObjectNotFoundError:
                raise StoreError(_dropped(table)) from None
            return
        raise ConflictError(
            f"Glue's table {table.full_name} was changed by others at each of {_MOST_ATTEMPTS} attempts: run this "
            "again when fewer commands are running."
        )

    @cached_property
    def _client(self) -> GlueClient:
        try:
            session = boto3.Session()
            return session.client("glue", self._region, endpoint_url=self._endpoint_url, config=self._config)
        except (BotoCoreError, ValueError) as error:
            raise StoreError(f"The AWS SDK cannot be set up: {error}. Look at the variables AWS_….") from None

    @contextmanager
    def _errors(self, table: TableEntry, done: str, action: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code == _MISSING:
                raise ObjectNotFoundError(f"Glue could not {done} {table.full_name}: there is none.") from None
            if code in (_EXISTS, _CHANGED):
                raise ConflictError(f"Glue could not {done} {table.full_name}: another command changed it.") from None
            advice = f"The role needs {action} on it." if code in _DENIED else "Run this again; look at AWS_REGION."
            raise StoreError(f"Glue could not {done} {table.full_name}: {code}. {advice}") from None
        except BotoCoreError as error:
            raise StoreError(
                f"Glue could not {done} {table.full_name}: {error}. Look at AWS_ENDPOINT_URL, the region and the "
                "credentials."
            ) from None


def _dropped(table: TableEntry) -> str:
    return f"Glue has no table {table.full_name}: it was dropped meanwhile. Run this again."


def _named(table: TableEntry) -> Any:
    return {"DatabaseName": table.database, "TableName": table.name}


def _partition(entry: Mapping[str, Any]) -> Partition:
    parameters = {name: value for name, value in entry.get("Parameters", {}).items() if name not in _PARAMETERS}
    return Partition(entry["StorageDescriptor"]["Location"], parameters)


def _columns(columns: Iterable[CatalogColumn]) -> list[dict[str, str]]:
    return [
        {"Name": column.name, "Type": column.kind, "Comment": column.description[:_MOST_CHARACTERS]}
        for column in columns
    ]


def _storage(columns: Sequence[CatalogColumn], location: str) -> dict[str, Any]:
    return {
        "Columns": _columns(columns),
        "Location": location,
        "InputFormat": _INPUT_FORMAT,
        "OutputFormat": _OUTPUT_FORMAT,
        "SerdeInfo": {"SerializationLibrary": _SERDE, "Parameters": {"serialization.format": "1"}},
    }


def _input(table: TableEntry, found: Mapping[str, Any]) -> dict[str, Any]:
    return {"Name": table.name, **{name: found[name] for name in _KEPT if name in found}}


def _brought_up_to_date(table: TableEntry, found: Mapping[str, Any]) -> dict[str, Any]:
    """A table's entry with this release's columns and descriptions; raises CatalogError if they are incompatible."""
    storage = found["StorageDescriptor"]
    keys = found.get("PartitionKeys", [])
    require_compatible(
        table, *({column["Name"]: column["Type"] for column in part} for part in (storage["Columns"], keys))
    )
    return _input(table, found) | {
        "Description": table.description,
        "StorageDescriptor": storage | {"Columns": _columns(table.columns)},
        "Parameters": found.get("Parameters", {}) | _PARAMETERS,
        "PartitionKeys": _columns(table.partition_keys),
    }
