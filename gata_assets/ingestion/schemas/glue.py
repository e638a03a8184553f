"""AWS Glue Schema Registry: a registry by name, subjects as its schemas.

Glue checks compatibility when a version is registered, and keeps what fails as a failed version; `registry.register`
has found clashes before. Levels and states: https://docs.aws.amazon.com/glue/latest/dg/schema-registry.html
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from gata_assets.errors import IncompatibleSchemaError, RegistryError, SchemaError
from gata_assets.ingestion.schemas.compatibility import Level
from gata_assets.ingestion.schemas.parsing import read_schema
from gata_assets.ingestion.schemas.registry import DEFAULT_LEVEL, RegisteredSchema, SchemaId, SchemaRegistry

if TYPE_CHECKING:
    from types_boto3_glue import GlueClient

_LEVELS = {
    "NONE": Level.NONE,
    "BACKWARD": Level.BACKWARD,
    "BACKWARD_ALL": Level.BACKWARD_TRANSITIVE,
    "FORWARD": Level.FORWARD,
    "FORWARD_ALL": Level.FORWARD_TRANSITIVE,
    "FULL": Level.FULL,
    "FULL_ALL": Level.FULL_TRANSITIVE,
}
_NAMES = {level: name for name, level in _LEVELS.items()}
_CLOSED = "DISABLED"
_AVAILABLE, _PENDING = "AVAILABLE", "PENDING"
_TRIES, _WAIT_SECONDS = 50, 0.2
_TIMES = Config(connect_timeout=5, read_timeout=15, retries={"max_attempts": 4, "mode": "standard"})


def open_glue(name: str, region: str) -> GlueRegistry:
    """The registry of that name, by the credentials and the endpoint that the AWS SDK finds."""
    return GlueRegistry(boto3.Session().client("glue", region, config=_TIMES), name)


class GlueRegistry(SchemaRegistry):
    """The registry of that name in Glue; `sleep` waits while Glue checks a version."""

    def __init__(self, client: GlueClient, name: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._name = name
        self._sleep = sleep

    @property
    def place(self) -> str:
        """See SchemaRegistry."""
        return f"Glue's registry {self._name}"

    def versions(self, subject: str) -> tuple[RegisteredSchema, ...]:
        """See SchemaRegistry."""
        latest = self._schema(subject).get("LatestSchemaVersion", 0)
        found = []
        for number in range(1, latest + 1):
            version = self._ask(
                "get_schema_version", SchemaId=self._id(subject), SchemaVersionNumber={"VersionNumber": number}
            )
            # Versions may have been deleted, or have failed Glue's own check.
            if version.get("Status") == _AVAILABLE:
                found.append(RegisteredSchema(number, UUID(version["SchemaVersionId"]), self._read(version)))
        return tuple(found)

    def level(self, subject: str) -> Level:
        """See SchemaRegistry; a schema that takes no versions (DISABLED) has no level, and refuses them."""
        name = self._schema(subject).get("Compatibility")
        return DEFAULT_LEVEL if name is None else _LEVELS.get(name, Level.NONE)

    def schema_by_id(self, schema_id: SchemaId) -> Any | None:
        """See SchemaRegistry."""
        if not isinstance(schema_id, UUID):
            return None
        version = self._ask("get_schema_version", SchemaVersionId=str(schema_id))
        return self._read(version) if version.get("Status") == _AVAILABLE else None

    def add(self, subject: str, schema: Any, level: Level) -> RegisteredSchema:
        """See SchemaRegistry."""
        found, text = self._schema(subject), json.dumps(schema)
        if found.get("Compatibility") == _CLOSED:
            raise IncompatibleSchemaError(
                f"{subject} in {self.place} takes no versions: its compatibility is DISABLED."
            )
        if not found:
            made = self._tell(
                "create_schema",
                RegistryId={"RegistryName": self._name},
                SchemaName=subject,
                DataFormat="AVRO",
                Compatibility=_NAMES[level],
                SchemaDefinition=text,
            )
            number, status = made["LatestSchemaVersion"], made["SchemaVersionStatus"]
        else:
            made = self._tell("register_schema_version", SchemaId=self._id(subject), SchemaDefinition=text)
            number, status = made["VersionNumber"], made["Status"]
        version_id = made["SchemaVersionId"]
        for _ in range(_TRIES):
            if status != _PENDING:
                break
            self._sleep(_WAIT_SECONDS)
            status = self._ask("get_schema_version", SchemaVersionId=version_id).get("Status", _PENDING)
        if status == _PENDING:
            raise RegistryError(f"{self.place} has not checked version {number} of {subject} yet: look at it in Glue.")
        if status != _AVAILABLE:
            raise IncompatibleSchemaError(
                f"{self.place} refuses the schema for {subject} (version {number} is {status}), though it clashes with "
                "no version here: Glue compares it at another level, or with versions that were added since."
            )
        return RegisteredSchema(number, UUID(version_id), schema)

    def _id(self, subject: str) -> dict[str, str]:
        return {"RegistryName": self._name, "SchemaName": subject}

    def _schema(self, subject: str) -> dict[str, Any]:
        """The schema of a subject, empty if there is none; raises RegistryError also if there is no such registry."""
        found = self._ask("get_schema", SchemaId=self._id(subject))
        if not found and not self._ask("get_registry", RegistryId={"RegistryName": self._name}):
            raise RegistryError(
                f"There is no registry {self._name} in Glue: create it, or correct GLUE_SCHEMA_REGISTRY."
            )
        if found.get("DataFormat") not in (None, "AVRO"):
            raise SchemaError(f"{subject} in {self.place} is {found['DataFormat']}, not Avro.")
        return found

    def _read(self, version: dict[str, Any]) -> Any:
        if version.get("DataFormat") not in (None, "AVRO"):
            raise SchemaError(f"The schema is {version['DataFormat']}, not Avro.")
        return read_schema(version["SchemaDefinition"])

    def _ask(self, call: str, **named: Any) -> dict[str, Any]:
        """An answer of Glue, empty for what it does not have."""
        with self._attributed():
            try:
                return dict(getattr(self._client, call)(**named))
            except ClientError as error:
                if _code(error) != "EntityNotFoundException":
                    raise
                return {}

    def _tell(self, call: str, **named: Any) -> dict[str, Any]:
        with self._attributed():
            return dict(getattr(self._client, call)(**named))

    @contextmanager
    def _attributed(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            if _code(error) == "InvalidInputException":
                raise SchemaError(f"{self.place} refuses what it was sent as invalid input.") from None
            raise RegistryError(f"{self.place} cannot be used: {_code(error)}.") from None
        except BotoCoreError as error:
            raise RegistryError(f"{self.place} cannot be reached: {type(error).__name__}. Try again later.") from None


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "no code"))
