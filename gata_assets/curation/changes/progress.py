"""What of a unit's changes has been folded into its partitions, and where the changes of each key are.

One dataset: the staged parts that are folded in, by file, and the index of keys in segments, the newest first. Parts
are recorded as begun before any of their changes is stored, and as folded in after all are. A partition is named in the
index once it has all changes of a key: others are copied from there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO

import numpy as np
import pyarrow as pa

from gata_assets import __version__
from gata_assets.curation.layout import TenantLayout
from gata_assets.errors import ConflictError, DamagedTableError, ObjectNotFoundError
from gata_assets.storage.datasets import DatasetWrite, find_manifest
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.changes.graph import Unit
from gata_assets.tables.changes.key_index import KeyIndex, Segment
from gata_assets.tables.manifests import FileEntry, Manifest

# Segments are merged when there are more, or when the others have as many entries as the oldest.
_MOST_SEGMENTS = 8
_FOLDER = "progress/"


@dataclass(frozen=True)
class Progress:
    """The parts that are folded in, by file, and those that were begun; and by table the names of its segments, the
    newest first.
    """

    parts: Mapping[str, str]
    segments: Mapping[str, tuple[str, ...]]
    files: Mapping[str, FileEntry]
    begun: Mapping[str, str] = field(default_factory=dict)

    def stale(self, present: Mapping[str, str]) -> set[str]:
        """The files that partitions may have changes of as they were before."""
        known = (*self.parts.items(), *self.begun.items())
        return {name for name, key in known if present.get(name) != key}

    def without_people(self, before: Mapping[str, Collection[str]], present: Mapping[str, str]) -> Progress:
        """As if files had been folded in as they are without people who were erased since: `before` has the keys of
        their parts that had more rows, by file.
        """

        def follow(parts: Mapping[str, str]) -> dict[str, str]:
            found = ((name, present.get(name) if key in before.get(name, ()) else key) for name, key in parts.items())
            return {name: key for name, key in found if key is not None}

        return replace(self, parts=follow(self.parts), begun=follow(self.begun))

    def forgotten(self) -> Progress:
        """The same files, with an empty index."""
        return replace(self, segments={}, files={})


class ProgressStore:
    """Reads and writes the progress of a unit of one tenant."""

    def __init__(self, store: ObjectStore, places: TenantLayout, unit: Unit) -> None:
        self._store, self._unit = store, unit
        self._folder = f"{places.root}{_FOLDER}{unit.root.table}/"
        self._loaded: dict[str, Segment] = {}
        # What the manifest was when it was last read or written: another command's is not replaced.
        self._content = b""

    def read(self) -> Progress:
        """The present progress; raises StoreError."""
        manifest, self._content, _ = find_manifest(self._store, self._folder)
        if manifest is None:
            return Progress({}, {}, {})
        segments = {table: tuple(names) for table, names in manifest.details["segments"].items()}
        begun = dict(manifest.details["begun"])
        return Progress(dict(manifest.made_from["parts"]), segments, dict(manifest.files), begun)

    def index(self, progress: Progress) -> dict[str, KeyIndex]:
        """The index of each table; raises DamagedTableError or StoreError."""
        found = {}
        for spec in self._unit.tables:
            names = progress.segments.get(spec.table, ())
            found[spec.table] = KeyIndex(tuple(self._segment(name, progress.files[name]) for name in names))
        return found

    def begin(self, progress: Progress, parts: Mapping[str, str]) -> Progress:
        """Record that changes of these parts may be stored from now on; raises ConflictError, StoreError."""
        with DatasetWrite(self._store, self._folder) as write:
            return self._publish(write, replace(progress, begun=dict(sorted({**progress.begun, **parts}.items()))))

    def add(self, progress: Progress, added: Iterable[tuple[str, Segment]]) -> Progress:
        """Write new segments of tables, merging older ones where they are many; raises as `index`, and ConflictError.

        The segments are made one after another: each may be hundreds of megabytes.
        """
        with DatasetWrite(self._store, self._folder) as write:
            files, segments = dict(progress.files), dict(progress.segments)
            for table, segment in added:
                if not segment.rows:
                    continue
                names = progress.segments.get(table, ())
                rows = [files[name].rows for name in names]
                is_merged = len(names) >= _MOST_SEGMENTS or (rows and segment.rows + sum(rows[:-1]) >= rows[-1])
                older = [self._segment(name, files[name]) for name in names] if is_merged else []
                newest = KeyIndex((segment, *older)).merged() if older else segment
                content, count = _encode(newest), newest.rows
                # They are as large as their content.
                del segment, newest, older
                name, entry = write.write(f"{table}.arrow", content, count)
                files[name] = entry
                segments[table] = (name,) if is_merged else (name, *names)
            kept = {name for names in segments.values() for name in names}
            kept_files = {name: files[name] for name in sorted(kept)}
            return self._publish(write, replace(progress, segments=segments, files=kept_files))

    def fold(self, progress: Progress, parts: Mapping[str, str]) -> Progress:
        """Record that these parts are folded in, and no others; raises ConflictError, StoreError."""
        with DatasetWrite(self._store, self._folder) as write:
            return self._publish(write, replace(progress, parts=dict(sorted(parts.items())), begun={}))

    def _publish(self, write: DatasetWrite, progress: Progress) -> Progress:
        if find_manifest(self._store, self._folder).content != self._content:
            raise ConflictError(
                f"Another command wrote {self._store.uri(self._folder)} meanwhile: run it again, and it continues from "
                "there."
            )
        manifest = self._manifest(progress)
        write.publish(manifest)
        self._content = manifest.encode(write=write.token)
        return progress

    def _manifest(self, progress: Progress) -> Manifest:
        return Manifest(
            f"progress_{self._unit.root.table}",
            progress.files,
            made_from={"parts": dict(progress.parts)},
            code_version=__version__,
            details={
                "segments": {table: list(names) for table, names in progress.segments.items()},
                "begun": dict(progress.begun),
            },
        )

    def _segment(self, name: str, entry: FileEntry) -> Segment:
        if name not in self._loaded:
            try:
                content = self._store.read(self._folder + name)
            except ObjectNotFoundError:
                raise ConflictError(
                    f"Another command has replaced {self._store.uri(self._folder + name)} meanwhile: run it again."
                ) from None
            if not entry.matches(content):
                raise DamagedTableError(f"{self._store.uri(self._folder + name)} is not what its manifest says.")
            self._loaded[name] = _decode(content)
        return self._loaded[name]


def _encode(segment: Segment) -> bytes:
    table = pa.table({"hash": segment.hashes, "partition": segment.partitions})
    # Hundreds of megabytes: Arrow's own buffer would be copied to give bytes.
    content = BytesIO()
    with pa.ipc.new_stream(content, table.schema) as stream:
        stream.write_table(table)
    return content.getvalue()


def _decode(content: bytes) -> Segment:
    table = pa.ipc.open_stream(content).read_all().combine_chunks()
    return Segment(*(np.asarray(table[name].to_numpy()) for name in ("hash", "partition")))
