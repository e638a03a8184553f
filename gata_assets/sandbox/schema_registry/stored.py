"""The schemas of the local registry, in a directory: ids, versions of subjects, and levels.

An id is given once, and so is a version of a subject: their objects are created if absent, whoever else writes. The
same schema has one id in all subjects. HTTP is in `server`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from gata_assets.errors import ConflictError, ObjectNotFoundError
from gata_assets.ingestion.schemas.compatibility import Clash, Level, clashes
from gata_assets.ingestion.schemas.registry import DEFAULT_LEVEL
from gata_assets.storage.local import LocalStore
from gata_assets.storage.objects import ABSENT

_MARK = "s-"


@dataclass(frozen=True)
class StoredVersion:
    """A version of a subject."""

    subject: str
    version: int
    schema_id: int
    schema: Any


class StoredSchemas:
    """Schemas below a directory, which is created when the first is registered."""

    def __init__(self, directory: Path) -> None:
        self._store = LocalStore(str(directory))

    def subjects(self) -> list[str]:
        """The subjects that have a version, by name."""
        return sorted(unquote(name.removeprefix(_MARK)) for name in self._store.list_folders("subjects/"))

    def versions(self, subject: str) -> list[StoredVersion]:
        """The versions of a subject, ascending."""
        found = []
        for key in self._store.list_keys(f"subjects/{_name(subject)}/"):
            schema_id = json.loads(self._store.read(key))["id"]
            found.append(StoredVersion(subject, _number(key), schema_id, self.schema(schema_id)))
        return found

    def schema(self, schema_id: int) -> Any | None:
        """The schema of an id; None if it was never given."""
        try:
            return json.loads(self._store.read(_id_key(schema_id)))
        except ObjectNotFoundError:
            return None

    def level(self, subject: str | None) -> Level | None:
        """The level of a subject, or of all that have none (`None`); None if it was not set."""
        try:
            return Level(json.loads(self._store.read(_level_key(subject)))["level"])
        except ObjectNotFoundError:
            return None if subject is not None else DEFAULT_LEVEL

    def set_level(self, subject: str | None, level: Level) -> None:
        """Set the level of a subject, or of all that have none."""
        self._store.write(_level_key(subject), json.dumps({"level": level}).encode())

    def clashes(self, subject: str, schema: Any) -> list[Clash]:
        """Where a schema clashes with a subject's versions, at its level."""
        level = self.level(subject) or self.level(None) or DEFAULT_LEVEL
        return clashes(schema, [(one.version, one.schema) for one in self.versions(subject)], level)

    def add(self, subject: str, schema: Any) -> StoredVersion:
        """The version of a subject that a schema is, or a new one; the caller has looked for clashes before.

        Raises ConflictError if another writer added a version meanwhile.
        """
        versions = self.versions(subject)
        for one in reversed(versions):
            if one.schema == schema:
                return one
        schema_id = self._give_id(schema)
        number = max((one.version for one in versions), default=0) + 1
        content = json.dumps({"id": schema_id}).encode()
        self._store.write(f"subjects/{_name(subject)}/{number:010}.json", content, expected=ABSENT)
        return StoredVersion(subject, number, schema_id, schema)

    def _ids(self) -> Iterator[int]:
        return map(_number, self._store.list_keys("ids/"))

    def _give_id(self, schema: Any) -> int:
        """The id that a schema has, or the next one that nobody else takes first."""
        highest = 0
        for schema_id in self._ids():
            if self.schema(schema_id) == schema:
                return schema_id
            highest = schema_id
        while True:
            highest += 1
            try:
                self._store.write(_id_key(highest), json.dumps(schema).encode(), expected=ABSENT)
            except ConflictError:
                if self.schema(highest) == schema:
                    return highest
            else:
                return highest


def _name(subject: str) -> str:
    """A subject as one part of a key; with a mark before it, `.` and `..` are names too."""
    return _MARK + quote(subject, safe="")


def _id_key(schema_id: int) -> str:
    return f"ids/{schema_id:010}.json"


def _level_key(subject: str | None) -> str:
    return "level.json" if subject is None else f"levels/{_name(subject)}.json"


def _number(key: str) -> int:
    return int(key.rpartition("/")[2].removesuffix(".json"))
