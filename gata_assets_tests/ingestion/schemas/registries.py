"""A registry for tests of what asks one: schemas in memory, and a fault where a test wants one."""

from __future__ import annotations

from typing import Any

from gata_assets.errors import RegistryError
from gata_assets.ingestion.schemas.compatibility import Level
from gata_assets.ingestion.schemas.registry import RegisteredSchema, SchemaId, SchemaRegistry


class SchemasInMemory(SchemaRegistry):
    """Schemas by id; `asked` are the ids that were looked for, `is_away` lets every call fail."""

    def __init__(self, schemas: dict[SchemaId, Any]) -> None:
        self.schemas = schemas
        self.asked: list[SchemaId] = []
        self.is_away = False

    @property
    def place(self) -> str:
        return "memory"

    def versions(self, subject: str) -> tuple[RegisteredSchema, ...]:
        found = enumerate(self.schemas.items(), 1)
        return tuple(RegisteredSchema(number, schema_id, schema) for number, (schema_id, schema) in found)

    def level(self, subject: str) -> Level:
        return Level.BACKWARD

    def schema_by_id(self, schema_id: SchemaId) -> Any | None:
        self.asked.append(schema_id)
        if self.is_away:
            raise RegistryError("The registry is away.")
        return self.schemas.get(schema_id)

    def add(self, subject: str, schema: Any, level: Level) -> RegisteredSchema:
        raise NotImplementedError
