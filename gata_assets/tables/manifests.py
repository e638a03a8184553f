"""The manifest of a dataset: its kind, its files, and the settings, inputs and code that it was built with.

One format for training files, curated days, the catalog, features and training rows; `details` has the further fields
of a kind. Manifests of the previous release are read too. Values and bytes only: `storage.datasets` writes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import msgspec

from gata_assets.batches import Window
from gata_assets.errors import ManifestVersionError
from gata_assets.tables.outcomes import Outcome

MANIFEST_FILE = "manifest.json"
MANIFEST_VERSION = 2

# The reason in a manifest whose files must not be read; the previous release recognizes it by this text.
WITHDRAWN = "withdrawn: the files are being written anew; do not read them"

# The token that a writer puts into the names of its files, so that no other writer uses them.
_TOKEN = re.compile(r"-[0-9a-f]{16}(?=\.[a-z]+$)")
_OWN_FIELDS = ("manifest_version", "kind", "files", "schema", "settings", "made_from", "code_version")
# Notes of writers in manifests, which are no part of the dataset.
_NOTES = ("write", "claim", "unresolved", "superseded")

# `bytes` is a field below.
Content = bytes


@dataclass(frozen=True)
class FileEntry:
    """A file as it was written: its rows, its size in bytes and their SHA-256."""

    rows: int
    bytes: int
    sha256: str

    @classmethod
    def of(cls, content: Content, rows: int) -> FileEntry:
        """The entry of bytes with that number of rows."""
        return cls(rows, len(content), sha256(content).hexdigest())

    def matches(self, content: Content) -> bool:
        """Whether these are the bytes that were written."""
        return len(content) == self.bytes and sha256(content).hexdigest() == self.sha256


@dataclass(frozen=True)
class Manifest:
    """A complete dataset.

    `files` are by name below the manifest's folder, `details` the kind's further fields (counts, windows,
    `reason`). `digest` identifies the dataset: it is equal for equal content, whatever the files are called.
    """

    kind: str
    files: Mapping[str, FileEntry] = field(default_factory=dict)
    schema: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    made_from: Mapping[str, Any] = field(default_factory=dict)
    code_version: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    digest_before: str | None = field(default=None, compare=False)

    @property
    def digest(self) -> str:
        """The SHA-256 of its fields without the writers' tokens; for the previous release's formats, of its bytes."""
        files = {plain_name(name): entry for name, entry in self.files.items()}
        return self.digest_before or sha256(_encode(self._fields(files))).hexdigest()

    def encode(self, **more: Any) -> bytes:
        """As JSON for machines and people; `more` are a writer's notes, which are no part of the dataset."""
        return _encode(self._fields(self.files) | more)

    def find(self, name: str) -> tuple[str, FileEntry] | None:
        """Find a file by its name without a token: its full name and its entry."""
        return next(((found, entry) for found, entry in self.files.items() if plain_name(found) == name), None)

    def count_tables(self) -> dict[str, dict[str, int]]:
        """The `files`, `rows` and `bytes` of each table or channel: of what its files' names begin with."""
        tables: dict[str, dict[str, int]] = {}
        for name, entry in self.files.items():
            counts = tables.setdefault(plain_name(name).partition("/")[0], {"files": 0, "rows": 0, "bytes": 0})
            counts["files"] += 1
            counts["rows"] += entry.rows
            counts["bytes"] += entry.bytes
        return tables

    def _fields(self, files: Mapping[str, FileEntry]) -> dict[str, Any]:
        return {
            "manifest_version": MANIFEST_VERSION,
            "kind": self.kind,
            **self.details,
            "files": {name: vars(files[name]) for name in sorted(files)},
            "schema": dict(self.schema),
            "settings": dict(self.settings),
            "made_from": dict(self.made_from),
            "code_version": self.code_version,
        }


def plain_name(name: str) -> str:
    """A file's name without its writer's token."""
    return _TOKEN.sub("", name)


def withdrawn(kind: str, **more: Any) -> bytes:
    """The content that replaces a manifest whose files must not be read."""
    return _encode({"manifest_version": MANIFEST_VERSION, "kind": kind, "reason": WITHDRAWN, "files": {}, **more})


def decode_manifest(content: bytes) -> Manifest | None:
    """The dataset of a manifest, None if it is withdrawn or damaged; raises ManifestVersionError.

    Notes of writers are left out.
    """
    try:
        found = json.loads(content)
        version = found.get("manifest_version", 1)
        if isinstance(version, int) and version > MANIFEST_VERSION:
            raise ManifestVersionError(
                f"it has manifest_version {version}, which this release does not know: a later release wrote it. Use "
                "that release; or delete the folder and rebuild it (`gata prepare`, `gata backfill`)"
            )
        if found.get("reason") == WITHDRAWN:
            return None
        return _decode(found) if version == MANIFEST_VERSION else _decode_before(found, content)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def notes_of(content: bytes) -> Mapping[str, Any]:
    """All fields of a manifest, including a withdrawn one; none of a damaged one."""
    try:
        return dict(json.loads(content))
    except (ValueError, TypeError):
        return {}


def _decode(found: Mapping[str, Any]) -> Manifest:
    details = {name: value for name, value in found.items() if name not in (*_OWN_FIELDS, *_NOTES)}
    return msgspec.convert({name: found[name] for name in _OWN_FIELDS[1:]} | {"details": details}, Manifest)


def _decode_before(found: Mapping[str, Any], content: bytes) -> Manifest | None:
    """A manifest of the previous release, which had three formats; to be removed with the next release."""
    digest = sha256(content).hexdigest()
    if "is_whole" in found or "parts" in found:
        if not found["is_whole"]:
            return None
        files = {str(name): _entry(entry, "size") for name, entry in found["files"].items()}
        details = {name: value for name, value in found.items() if name not in ("is_whole", "parts", "files")}
        return Manifest("curated", files, made_from={"parts": found["parts"]}, details=details, digest_before=digest)
    listed = found["files"].values()
    entries = [entry for entries in listed for entry in (entries if isinstance(entries, list) else [entries])]
    # The last two parts of a key are its path below the folder of the manifest.
    files = {"/".join(str(entry["key"]).split("/")[-2:]): _entry(entry, "bytes") for entry in entries}
    kind = str(found["dataset"] if "dataset" in found else found["tables"])
    details = {name: value for name, value in found.items() if name not in (*_OWN_FIELDS, "tables")}
    return Manifest(
        kind,
        files,
        settings=dict(found["settings"]),
        made_from=dict(found["made_from"]),
        code_version=str(found["code_version"]),
        details=details,
        digest_before=digest,
    )


def _entry(entry: Mapping[str, Any], size: str) -> FileEntry:
    return FileEntry(int(entry["rows"]), int(entry[size]), str(entry["sha256"]))


def _encode(fields: Mapping[str, Any]) -> bytes:
    return (json.dumps(fields, indent=2) + "\n").encode()


def describe_span(window: Window) -> dict[str, str | int]:
    """A window in ISO 8601 and in epoch seconds."""
    return {
        "start_at": window.start_at.isoformat(),
        "end_at": window.end_at.isoformat(),
        "start": window.start,
        "end": window.end,
    }


def check_same_rows(table: Sequence[tuple[int, int]], twin: Sequence[tuple[int, int]]) -> list[Outcome]:
    """Check by the rows and checksum of each part that two tables have the same rows in the same order."""
    rows, others = (sum(count for count, _ in parts) for parts in (table, twin))
    parts = max(len(table), len(twin))
    same = sum(part == other for part, other in zip(table, twin, strict=False))
    return [
        Outcome("there is a row for each", abs(rows - others), max(rows, others), _DEFECT),
        Outcome("user, item and label of each part are the same, in order", parts - same, parts, _DEFECT, unit="parts"),
    ]


_DEFECT = "This is a defect of the writing; please report it."
