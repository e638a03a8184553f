"""A tenant's mappings in the store: saved ones by name, for all files of a pattern, and those of single files.

A mapping of a single file is written before the file lands, so that a command that is killed between both leaves no
file that is read without it. `tables.raw_mapping` says what mappings do.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import msgspec

from gata_assets.curation.files.formats import plain_stem
from gata_assets.curation.layout import TenantLayout
from gata_assets.errors import DamagedTableError, MappingError, ObjectNotFoundError
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.raw_mapping import NO_MAPPING, RawMapping, encode_mapping, mapping_from

_NAME = r"[a-z0-9][a-z0-9_-]{0,62}"
ALL_FILES = "*"


class MappingChoice(NamedTuple):
    """What a file is read by: a mapping, and its name if it is a saved one, whose later versions count too."""

    mapping: RawMapping = NO_MAPPING
    name: str | None = None


class SavedMapping(NamedTuple):
    """A mapping for all files of a table whose plain name matches a pattern."""

    name: str
    mapping: RawMapping
    files: str = ALL_FILES


class MappingStore:
    """The mappings of one tenant; saved ones are read once and then remembered."""

    def __init__(self, store: ObjectStore, places: TenantLayout) -> None:
        self._store = store
        self._places = places
        self._saved: dict[str, list[SavedMapping]] = {}
        self._files: dict[str, frozenset[str]] = {}

    def saved(self, table: str) -> list[SavedMapping]:
        """The saved mappings of a table by name; raises DamagedTableError or StoreError."""
        if table not in self._saved:
            keys = list(self._store.list_keys(self._places.mapping(table)))
            self._saved[table] = [self._read_saved(table, key) for key in keys]
        return self._saved[table]

    def save(self, table: str, saved: SavedMapping) -> bool:
        """Write a mapping under its name; returns whether there was none, or another one.

        Raises MappingError for a wrong name, or for the pattern of another mapping of the table.
        """
        if not re.fullmatch(_NAME, saved.name, re.ASCII):
            raise MappingError("a mapping's name is of a-z, 0-9, _ and -, and begins with a letter or digit.")
        if not re.fullmatch(r"[a-z0-9*?\[\]!-]+", saved.files, re.ASCII):
            raise MappingError(
                f"the pattern {saved.files} matches no file: names are compared in lower case, without ending, other "
                "characters as -, such as clicks-2024*."
            )
        others = {other.files: other.name for other in self.saved(table) if other.name != saved.name}
        if saved.files in others:
            raise MappingError(
                f"the mapping {others[saved.files]} is for the files {saved.files} too: give one of them another "
                "pattern (--files), such as clicks*."
            )
        content = _encode({"files": saved.files}, saved.mapping)
        before = next((other for other in self.saved(table) if other.name == saved.name), None)
        self._store.write(self._places.mapping(table, saved.name), content)
        self._saved.pop(table)
        return before != saved

    def choose(self, table: str, name: str) -> MappingChoice:
        """What a file of this name or key is read by as a rule: of the saved mappings whose pattern it matches, that
        with the longest.
        """
        stem = plain_stem(name)
        found = [saved for saved in self.saved(table) if fnmatchcase(stem, saved.files)]
        if not found:
            return MappingChoice()
        best = max(found, key=lambda saved: (len(saved.files), saved.name))
        return MappingChoice(best.mapping, best.name)

    def find(self, table: str, name: str) -> MappingChoice:
        """A saved mapping by its name; raises MappingError if there is none."""
        for saved in self.saved(table):
            if saved.name == name:
                return MappingChoice(saved.mapping, saved.name)
        names = ", ".join(saved.name for saved in self.saved(table)) or "none"
        raise MappingError(f"there is no mapping {name} of {table}; saved: {names}.")

    def keep_for_file(self, table: str, file_id: str, choice: MappingChoice) -> None:
        """Write what one file is read by, before it lands."""
        content = _encode({"name": choice.name}, choice.mapping)
        self._store.write(self._places.mapping_of_file(table, file_id), content)
        self._files.pop(table, None)

    def of_file(self, table: str, file_id: str) -> MappingChoice | None:
        """What was written for one file; None if nothing was."""
        if table not in self._files:
            self._files[table] = frozenset(self._store.list_keys(self._places.mapping_of_file(table)))
        key = self._places.mapping_of_file(table, file_id)
        if key not in self._files[table]:
            return None
        found, mapping = self._read(key)
        name = found.get("name")
        return MappingChoice(mapping, name if isinstance(name, str) else None)

    def _read_saved(self, table: str, key: str) -> SavedMapping:
        found, mapping = self._read(key)
        name = key.removeprefix(self._places.mapping(table)).removesuffix(".json")
        return SavedMapping(name, mapping, str(found.get("files", ALL_FILES)))

    def _read(self, key: str) -> tuple[dict[str, Any], RawMapping]:
        try:
            found = msgspec.json.decode(self._store.read(key), type=dict[str, Any])
            if found.pop("mapping_version") != _VERSION:
                raise DamagedTableError(f"{self._store.uri(key)} is a mapping of another release.", key=key)
            return found, mapping_from(found.pop("mapping"))
        except ObjectNotFoundError:
            raise
        except (msgspec.MsgspecError, KeyError, TypeError, MappingError) as error:
            raise DamagedTableError(
                f"{self._store.uri(key)} is no mapping ({error}): save it again, or remove it.", key=key
            ) from None


_VERSION = 1


def _encode(beside: dict[str, str | None], mapping: RawMapping) -> bytes:
    content = {"mapping_version": _VERSION, **beside, "mapping": msgspec.Raw(encode_mapping(mapping))}
    return msgspec.json.format(msgspec.json.encode(content), indent=1)
