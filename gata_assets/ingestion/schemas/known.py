"""A registry that is not asked again for an id that it did not have: a flood of messages with one would ask each time.

Ids that it has are kept by the callers for good, since an id's schema never changes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from gata_assets.ingestion.schemas.compatibility import Level
from gata_assets.ingestion.schemas.registry import RegisteredSchema, SchemaId, SchemaRegistry

_MOST_KEPT = 10_000


class KnownSchemas(SchemaRegistry):
    """Another registry, which is asked once in `seconds` for an unknown id; `clock` has seconds."""

    def __init__(self, registry: SchemaRegistry, clock: Callable[[], float], seconds: float = 30.0) -> None:
        self._registry, self._clock, self._seconds = registry, clock, seconds
        self._unknown: OrderedDict[SchemaId, float] = OrderedDict()

    @property
    def place(self) -> str:
        """See SchemaRegistry."""
        return self._registry.place

    def versions(self, subject: str) -> tuple[RegisteredSchema, ...]:
        """See SchemaRegistry."""
        return self._registry.versions(subject)

    def level(self, subject: str) -> Level:
        """See SchemaRegistry."""
        return self._registry.level(subject)

    def schema_by_id(self, schema_id: SchemaId) -> Any | None:
        """See SchemaRegistry."""
        now = self._clock()
        if now - self._unknown.get(schema_id, -self._seconds) < self._seconds:
            return None
        found = self._registry.schema_by_id(schema_id)
        if found is None:
            self._unknown[schema_id] = now
            while len(self._unknown) > _MOST_KEPT:
                self._unknown.popitem(last=False)
        return found

    def add(self, subject: str, schema: Any, level: Level) -> RegisteredSchema:
        """See SchemaRegistry."""
        return self._registry.add(subject, schema, level)
