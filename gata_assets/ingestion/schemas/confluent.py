"""Registries that speak Confluent's REST API, by Confluent's own client.

What the registry answers becomes a schema, an unknown one, or an error of ours; messages have status and code, and no
answer's text. Codes: https://docs.confluent.io/platform/current/schema-registry/develop/api.html#errors
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from gata_assets.errors import IncompatibleSchemaError, RegistryError, SchemaError
from gata_assets.ingestion.schemas.compatibility import Level
from gata_assets.ingestion.schemas.parsing import read_schema
from gata_assets.ingestion.schemas.registry import RegisteredSchema, SchemaId, SchemaRegistry

_NO_SUBJECT, _NO_VERSION, _NO_SCHEMA, _NO_OWN_LEVEL = 40401, 40402, 40403, 40408
_ABSENT = (_NO_SUBJECT, _NO_VERSION, _NO_SCHEMA)
_CONFLICT, _INVALID, _DENIED = 409, 422, (401, 403)
# What the client raises for an answer that is not as its API says.
_ODD_ANSWERS = (ValueError, TypeError, KeyError, AttributeError)


class ConfluentRegistry(SchemaRegistry):
    """A registry at a URL; `timeout_seconds` is of one request, which is sent again up to `retries` times."""

    def __init__(
        self,
        url: str,
        *,
        user: str | None = None,
        password: str | None = None,
        timeout_seconds: float = 10,
        retries: int = 2,
        wait_seconds: float = 0.5,
    ) -> None:
        self._url = url
        login = {"basic.auth.user.info": f"{user}:{password or ''}"} if user else {}
        waits = {"retries.wait.ms": round(wait_seconds * 1000), "retries.max.wait.ms": 5_000}
        self._client = SchemaRegistryClient(
            {"url": url, "timeout": timeout_seconds, "max.retries": retries, **waits, **login}
        )

    @property
    def place(self) -> str:
        """See SchemaRegistry."""
        return self._url

    def versions(self, subject: str) -> tuple[RegisteredSchema, ...]:
        """See SchemaRegistry."""
        with self._attributed():
            numbers = _unless(_ABSENT, list[int], lambda: self._client.get_versions(subject))
            found = [(number, self._client.get_version(subject, number)) for number in sorted(numbers)]
            return tuple(RegisteredSchema(number, _id(one.schema_id), _read(one.schema)) for number, one in found)

    def level(self, subject: str) -> Level:
        """See SchemaRegistry."""
        with self._attributed():
            own = _unless((_NO_OWN_LEVEL, *_ABSENT), str, lambda: self._client.get_compatibility(subject))
            return Level(own or self._client.get_compatibility())

    def schema_by_id(self, schema_id: SchemaId) -> Any | None:
        """See SchemaRegistry."""
        if not isinstance(schema_id, int):
            return None
        with self._attributed():
            found = _unless(_ABSENT, lambda: None, lambda: self._client.get_schema(schema_id))
            return None if found is None else _read(found)

    def add(self, subject: str, schema: Any, level: Level) -> RegisteredSchema:  # noqa: ARG002
        """See SchemaRegistry; a new subject has the level of the registry."""
        with self._attributed(subject):
            sent = Schema(json.dumps(schema), "AVRO")
            schema_id = self._client.register_schema(subject, sent)
            version = self._client.lookup_schema(subject, sent).version
            if version is None:
                raise ValueError("no version")
            return RegisteredSchema(version, _id(schema_id), schema)

    @contextmanager
    def _attributed(self, subject: str = "") -> Iterator[None]:
        try:
            yield
        except SchemaRegistryError as error:
            status, code = error.http_status_code, error.error_code
            if status == _CONFLICT:
                raise IncompatibleSchemaError(
                    f"{self._url} refuses the schema for {subject} as incompatible ({code}), though it clashes with no "
                    "version here: the registry compares it at another level, or with versions that were added since."
                ) from None
            if status == _INVALID:
                raise SchemaError(f"{self._url} refuses the schema for {subject} as invalid ({code}).") from None
            login = ": check SCHEMA_REGISTRY_USER and SCHEMA_REGISTRY_PASSWORD" if status in _DENIED else ""
            raise RegistryError(f"The schema registry {self._url} responds {status} ({code}){login}.") from None
        except httpx2.HTTPError as error:
            raise RegistryError(
                f"The schema registry {self._url} cannot be reached: {type(error).__name__}. Try again later."
            ) from None
        except _ODD_ANSWERS as error:
            raise RegistryError(
                f"{self._url} does not respond as a schema registry does ({type(error).__name__}): check "
                "SCHEMA_REGISTRY_URL."
            ) from None


def _unless(codes: tuple[int, ...], other: Any, ask: Any) -> Any:
    """What the registry says, or `other()` if it answers with one of the codes of what it does not have."""
    try:
        return ask()
    except SchemaRegistryError as error:
        if error.error_code not in codes:
            raise
        return other()


def _id(schema_id: int | None) -> int:
    if schema_id is None:
        raise ValueError("no id")
    return schema_id


def _read(schema: Schema) -> Any:
    if schema.schema_type not in (None, "AVRO"):
        raise SchemaError(f"The schema is {schema.schema_type}, not Avro.")
    if schema.references:
        raise SchemaError("The schema refers to other subjects, which is not supported: write its records out in it.")
    return read_schema(schema.schema_str or "")
