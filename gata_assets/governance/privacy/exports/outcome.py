"""What became of an export, as a value: the files by place, and what is in none of them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime

from gata_assets.governance.privacy.exports.archive import ArchivedFile
from gata_assets.governance.privacy.scanning import Finding, Scan

MANIFEST, README = "manifest.json", "README.txt"


@dataclass(frozen=True)
class PlaceFile:
    """What a place has of a person: its name, from how many objects rows came, and the file with them."""

    place: str
    objects: int
    file: ArchivedFile


@dataclass(frozen=True)
class PersonExport:
    """What became of a request for an export.

    Attributes:
        request: its name.
        tenant: whose person.
        ids: by how many ids the person was asked for.
        exported_at: when it began.
        places: what each place has.
        scanned: what was read and found besides.
        not_exported: what has something of theirs that is in no file.
    """

    request: str
    tenant: str
    ids: int
    exported_at: datetime
    places: tuple[PlaceFile, ...]
    scanned: Scan
    not_exported: tuple[Finding, ...]

    @property
    def is_complete(self) -> bool:
        """Whether all that the scan found is in a file."""
        return not self.not_exported

    @property
    def rows(self) -> int:
        """The rows of all files."""
        return sum(found.file.rows for found in self.places)

    def manifest(self) -> str:
        """What the archive has, as JSON."""
        fields = {
            "tenant": self.tenant,
            "request": self.request,
            "exported_at": self.exported_at.isoformat(),
            "is_complete": self.is_complete,
            "files": [{"place": found.place, "objects": found.objects, **asdict(found.file)} for found in self.places],
            "scanned": self.scanned.counts,
            "not_exported": [asdict(found) for found in self.not_exported],
        }
        return json.dumps(fields, ensure_ascii=False, indent=1) + "\n"
