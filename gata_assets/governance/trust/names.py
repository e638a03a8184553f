"""What manifests and reports name: keys, and what is said of the bytes there. Values only; `namers` reads them.

Manifests and reports are known by their form. What else a domain's objects name, it says itself (`forms`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from gata_assets.curation.reports import Report, Span, StagedPart
from gata_assets.errors import DamagedTableError
from gata_assets.storage.objects import ABSENT, Version
from gata_assets.tables.manifests import MANIFEST_FILE, WITHDRAWN, Manifest, decode_manifest, notes_of

_REPORTS, _JSON = "reports", ".json"
# The folder of raw files is that of a tenant, or `shop/raw/`: the second of their keys.
_RAW = "raw"
# The notes of a manifest whose files are in the folder of a build: which one, and which it superseded.
_BUILD, _SUPERSEDED = "write", "superseded"


class Role(StrEnum):
    """What an object is to the one that names it."""

    FILE = "file"
    RAW = "raw file"
    PART = "part"
    # What belongs to a raw file, such as where its records came from.
    BESIDE = "file beside a raw file"
    # A table that something was built from, and that may have been built again since.
    SOURCE = "source"


@dataclass(frozen=True)
class Name:
    """What one object says of another: its key and role, and as far as it is said, the SHA-256, bytes and rows.

    With `spans`, the SHA-256 is that of these ranges alone, one after another. `version` is that of a raw file as it
    was read. `by` is who says it, and `by_version` the version of it that said so.
    """

    key: str
    role: Role
    sha256: str | None = None
    bytes: int | None = None
    rows: int | None = None
    spans: tuple[Span, ...] = ()
    version: str | None = None
    by: str = ""
    by_version: Version = ABSENT

    def said_by(self, key: str, version: Version) -> Name:
        """The same, said by that object."""
        return replace(self, by=key, by_version=version)


def is_raw(key: str) -> bool:
    """Whether an object is in a folder of raw files, where others write too."""
    return key.split("/", 2)[1:2] == [_RAW]


def is_manifest(key: str) -> bool:
    """Whether a key is one of manifests."""
    return key.endswith(f"/{MANIFEST_FILE}") and not is_raw(key)


def is_report(key: str) -> bool:
    """Whether a key is one of reports on raw files: `…/reports/{table}/{file_id}.json`."""
    folders = key.split("/")[-3:-1]
    is_of_table = len(folders) == 2 and folders[0] == _REPORTS and not folders[1].startswith("_")
    return is_of_table and key.endswith(_JSON) and not is_manifest(key) and not is_raw(key)


def read_manifest(key: str, content: bytes, place: str) -> Manifest | None:
    """The manifest of a key, None for one that is withdrawn; raises DamagedTableError or ManifestVersionError."""
    manifest = decode_manifest(content)
    if manifest is None and notes_of(content).get("reason") != WITHDRAWN:
        raise DamagedTableError(
            f"{place} is no manifest of this project: it was changed, or is another's. Restore it from a version or a "
            "copy, or build the dataset again.",
            key=key,
        )
    return manifest


def names_of_manifest(key: str, manifest: Manifest, content: bytes) -> Iterator[Name]:
    """The files of a manifest."""
    folder = key.removesuffix(MANIFEST_FILE)
    notes = notes_of(content)
    if _SUPERSEDED in notes:
        folder = f"{folder}build={notes.get(_BUILD, '')}/"
    for name, entry in manifest.files.items():
        yield Name(folder + name, Role.FILE, entry.sha256, entry.bytes, entry.rows)


def names_of_report(report: Report) -> Iterator[Name]:
    """A raw file, its valid rows and its quarantine; of what is no regular file, nothing was read."""
    if report.raw_version != ABSENT:
        yield Name(report.raw_key, Role.RAW, report.raw_sha256, report.raw_size, version=report.raw_version)
    for part in report.tables:
        yield _name_of_part(part)


def _name_of_part(part: StagedPart) -> Name:
    return Name(part.key, Role.PART, part.sha256, rows=part.rows, spans=tuple(Span(*span) for span in part.spans))
