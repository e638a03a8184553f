"""Schemas that are kept as files beside the code, with all past versions: interactions-1.avsc, interactions-2.avsc.

A directory as a registry, so that a change of a table is checked where no registry is; subjects are tables. Files are
added, never changed.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from gata_assets.errors import RegistryError
from gata_assets.ingestion.schemas.compatibility import Level
from gata_assets.ingestion.schemas.parsing import read_schema
from gata_assets.ingestion.schemas.registry import RegisteredSchema, SchemaId, SchemaRegistry


class PublishedSchemas(SchemaRegistry):
    """The schemas in a directory; its ids are the numbers of versions, by which no message is written."""

    def __init__(self, directory: Path, level: Level = Level.BACKWARD_TRANSITIVE) -> None:
        self._directory = directory
        self._level = level

    @property
    def place(self) -> str:
        """See SchemaRegistry."""
        return str(self._directory)

    def versions(self, subject: str) -> tuple[RegisteredSchema, ...]:
        """See SchemaRegistry."""
        name = re.compile(rf"{re.escape(subject)}-([1-9][0-9]{{0,8}})\.avsc")
        try:
            paths = {
                int(found[1]): path for path in self._directory.glob("*.avsc") if (found := name.fullmatch(path.name))
            }
            texts = {number: paths[number].read_text(encoding="utf-8") for number in sorted(paths)}
        except (OSError, UnicodeDecodeError) as error:
            raise RegistryError(f"The schemas in {self._directory} cannot be read: {type(error).__name__}.") from None
        return tuple(RegisteredSchema(number, number, read_schema(text)) for number, text in texts.items())

    def level(self, subject: str) -> Level:  # noqa: ARG002
        """See SchemaRegistry."""
        return self._level

    def schema_by_id(self, schema_id: SchemaId) -> Any | None:  # noqa: ARG002
        """See SchemaRegistry."""
        return None

    def add(self, subject: str, schema: Any, level: Level) -> RegisteredSchema:  # noqa: ARG002
        """See SchemaRegistry."""
        number = max((one.version for one in self.versions(subject)), default=0) + 1
        path = self._directory / f"{subject}-{number}.avsc"
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(f"{json.dumps(schema, indent=2, ensure_ascii=False)}\n")
        except OSError as error:
            raise RegistryError(f"{path} cannot be written: {type(error).__name__}.") from None
        return RegisteredSchema(number, number, schema)
