"""Reads objects that name others, by any form: manifests, reports, and those of domains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gata_assets.curation.reports import Report
from gata_assets.errors import DamagedTableError
from gata_assets.governance.trust.forms import Forms, NameReader
from gata_assets.governance.trust.names import (
    Name,
    is_manifest,
    is_report,
    names_of_manifest,
    names_of_report,
    read_manifest,
)
from gata_assets.storage.objects import ObjectStore, Version


@dataclass(frozen=True)
class Namer:
    """What an object named under its version."""

    key: str
    version: Version
    names: tuple[Name, ...]


class Namers:
    """The objects of a store that name others."""

    def __init__(self, store: ObjectStore, forms: Sequence[Forms]) -> None:
        """`forms` are those of the domains that the store may have objects of."""
        self._store, self._forms = store, forms

    def includes(self, key: str) -> bool:
        """Whether the object of a key is expected to name others."""
        return is_manifest(key) or is_report(key) or bool(self._readers(key))

    def read(self, key: str) -> Namer:
        """What an object names; raises ObjectNotFoundError, DamagedTableError, ManifestVersionError or StoreError."""
        if is_manifest(key) or is_report(key):
            content, version = self._store.read_versioned(key)
            names = self._names_of_manifest(key, content) if is_manifest(key) else self._names_of_report(key, content)
        else:
            # Before the content: what is replaced meanwhile has another version later.
            version = self._store.version(key)
            names = [name for read in self._readers(key) for name in read(self._store, key)]
        return Namer(key, version, tuple(name.said_by(key, version) for name in names))

    def _readers(self, key: str) -> list[NameReader]:
        return [reader for forms in self._forms if (reader := forms.reader_of(key))]

    def _names_of_manifest(self, key: str, content: bytes) -> Iterable[Name]:
        manifest = read_manifest(key, content, self._store.uri(key))
        if manifest is None:
            return ()
        more = (name for forms in self._forms for name in forms.of_manifest(key, manifest))
        return (*names_of_manifest(key, manifest, content), *more)

    def _names_of_report(self, key: str, content: bytes) -> Iterable[Name]:
        place = self._store.uri(key)
        report = Report.decode(content, place)
        if key.rpartition("/")[2] != f"{report.file_id}.json":
            raise DamagedTableError(f"{place} is the report of another file, {report.file_id}: remove it.", key=key)
        more = (name for forms in self._forms for name in forms.of_report(key, report))
        return (*names_of_report(report), *more)
