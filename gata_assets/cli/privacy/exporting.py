"""`gata privacy export`: who is exported, to which file, and how that is shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from gata_assets.cli.privacy.findings import shown_findings
from gata_assets.cli.privacy.subjects import given_ids, request_name
from gata_assets.cli.target import open_store
from gata_assets.cli.terminal import text_console
from gata_assets.definitions.privacy.places import find_places
from gata_assets.governance.privacy.actors import command_actor
from gata_assets.governance.privacy.exports.archive import new_archive
from gata_assets.governance.privacy.exports.exporting import export_person
from gata_assets.governance.privacy.exports.outcome import PersonExport, PlaceFile
from gata_assets.settings.model import Settings


def run(
    settings: Settings,
    tenant: str,
    subjects: Sequence[str],
    subjects_file: Path | None,
    request: str | None,
    to: Path,
    *,
    tickets: Sequence[int],
    tickets_file: Path | None,
    as_table: bool,
) -> bool:
    """Export a person, show each file, and return whether all that there is of them is in it; raises as
    `export_person` and `new_archive`.
    """
    ids, name = given_ids(subjects, subjects_file, tickets, tickets_file), request_name(request)
    console = text_console()

    def show(found: PlaceFile) -> None:
        if as_table:
            console.print(f"  {found.place}: {found.file.rows:,} rows of {found.objects:,} objects", markup=False)
        else:
            fields = {"place": found.place, "objects": found.objects, **asdict(found.file)}
            print(json.dumps({"event": "PLACE_EXPORTED", "request": name, **fields}), flush=True)

    if as_table:
        console.print(f"Request {name}: a person of {tenant}, by {len(set(ids)):,} ids.", markup=False)
    places = find_places(settings, open_store(settings))
    with new_archive(to) as archive:
        done = export_person(
            places, tenant, ids, name, archive, by=command_actor(), clock=lambda: datetime.now(UTC), progress=show
        )
    if as_table:
        console.print("\n".join(_summary(done, to)), markup=False)
    else:
        print(json.dumps(_as_json(done, to)))
    return done.is_complete


def _summary(done: PersonExport, to: Path) -> list[str]:
    scanned = done.scanned
    lines = [
        f"{to}: {done.rows:,} rows in {len(done.places):,} files.",
        f"{scanned.objects:,} objects ({scanned.bytes / 1e6:,.1f} MB) were read and searched.",
    ]
    if done.is_complete:
        return [*lines, "Whatever has something of theirs is in the archive."]
    lines += shown_findings("not exported", done.not_exported)
    advice = "Its README and manifest say so; look at each, and add what is theirs by hand."
    return [*lines, f"Something of theirs is not in the archive: {len(done.not_exported):,} objects. {advice}"]


def _as_json(done: PersonExport, to: Path) -> dict[str, object]:
    return {
        "event": "PERSON_EXPORTED",
        "request": done.request,
        "is_complete": done.is_complete,
        "to": str(to),
        "files": len(done.places),
        "rows": done.rows,
        **done.scanned.counts,
        "not_exported": [asdict(one) for one in done.not_exported],
    }
