"""What a schema registry is here, and how a schema is checked and registered: by us first, whatever the registry does.

Registries enforce their level at most when a schema is registered, and some not at all; here clashes are found, and
named, before anything is sent. `confluent`, `glue` and `published` implement the interface.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from gata_assets.errors import IncompatibleSchemaError, SchemaError
from gata_assets.ingestion.schemas.compatibility import Clash, Level, clashes
from gata_assets.ingestion.schemas.parsing import require_valid

# A number in Confluent's registries, a UUID in Glue's.
SchemaId = int | UUID
DEFAULT_LEVEL = Level.BACKWARD


@dataclass(frozen=True)
class RegisteredSchema:
    """A version of a subject: its number, its id, and the schema as a value of JSON."""

    version: int
    schema_id: SchemaId
    schema: Any


class SchemaRegistry(ABC):
    """Versions of schemas by subject. Every call raises RegistryError where the registry cannot be asked."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it is, for people; never with a secret."""

    @abstractmethod
    def versions(self, subject: str) -> tuple[RegisteredSchema, ...]:
        """The versions of a subject, ascending; none of one that it does not know.

        Raises SchemaError if a version is no Avro, or refers to other subjects.
        """

    @abstractmethod
    def level(self, subject: str) -> Level:
        """The level that the registry has for a subject: its own, or the default for all."""

    @abstractmethod
    def schema_by_id(self, schema_id: SchemaId) -> Any | None:
        """The schema by which a message was written, None if there is none; raises SchemaError as `versions` does."""

    @abstractmethod
    def add(self, subject: str, schema: Any, level: Level) -> RegisteredSchema:
        """Add a version without a check of ours: `register` does that. `level` is that of a new subject.

        Raises IncompatibleSchemaError if the registry refuses it.
        """


@dataclass(frozen=True)
class Checked:
    """A schema against the versions of its subject: the level, the clashes, and the version that it is already."""

    subject: str
    level: Level
    versions: int
    clashes: tuple[Clash, ...]
    same: RegisteredSchema | None

    def require_compatible(self, place: str) -> None:
        """Raise IncompatibleSchemaError, which names each version and field, if there is a clash."""
        if self.clashes:
            found = "\n".join(f"  {clash}" for clash in self.clashes)
            raise IncompatibleSchemaError(
                f"The schema clashes with {self.subject} in {place} at level {self.level}; nothing was registered:\n"
                f"{found}"
            )


@dataclass(frozen=True)
class Registration:
    """A registered version, and whether it was added now."""

    registered: RegisteredSchema
    is_new: bool
    level: Level


def check(registry: SchemaRegistry, subject: str, schema: Any, level: Level | None = None) -> Checked:
    """Check a schema against the versions of a subject, at the level of the registry or a given one.

    Raises SchemaError for what is no schema, or RegistryError.
    """
    require_valid(schema)
    try:
        versions = registry.versions(subject)
        same = next((one for one in reversed(versions) if one.schema == schema), None)
        level = level or registry.level(subject)
        found = () if same else clashes(schema, [(one.version, one.schema) for one in versions], level)
    except SchemaError as error:
        raise SchemaError(f"A version of {subject} in {registry.place} cannot be compared: {error}") from None
    return Checked(subject, level, len(versions), tuple(found), same)


def register(registry: SchemaRegistry, subject: str, schema: Any, level: Level | None = None) -> Registration:
    """Register a schema that clashes with no version; one that is a version already changes nothing.

    Raises IncompatibleSchemaError, SchemaError or RegistryError.
    """
    checked = check(registry, subject, schema, level)
    checked.require_compatible(registry.place)
    if checked.same:
        return Registration(checked.same, is_new=False, level=checked.level)
    return Registration(registry.add(subject, schema, checked.level), is_new=True, level=checked.level)
