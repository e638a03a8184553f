"""`gata privacy erase`: who is erased, where, and how that is shown."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

import click

from gata_assets.cli.target import open_store
from gata_assets.cli.terminal import text_console
from gata_assets.definitions.privacy.places import find_places
from gata_assets.governance.privacy.erasing import Erased, erase
from gata_assets.governance.privacy.locators import Cleared
from gata_assets.settings.model import Settings

_REQUEST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_MOST_IDS, _LONGEST_ID = 100_000, 1_000
_MOST_SHOWN = 20


def run(
    settings: Settings,
    tenant: str,
    subjects: Sequence[str],
    subjects_file: Path | None,
    request: str | None,
    *,
    as_table: bool,
) -> bool:
    """Erase people, show each place, and return whether nothing of theirs is left; raises as `erasing.erase`."""
    ids = [*subjects, *_read(subjects_file)]
    if not ids:
        raise click.UsageError("Nobody is named: give --subject ID, or --subjects-file FILE.")
    if len(ids) > _MOST_IDS or any(not 0 < len(one) <= _LONGEST_ID for one in ids):
        raise click.UsageError(f"At most {_MOST_IDS:,} ids are taken at once, each of 1 to {_LONGEST_ID:,} characters.")
    if request is not None and not _REQUEST.fullmatch(request):
        raise click.UsageError(
            "The name of a request is 1 to 100 of letters, digits, . _ -, and begins with the first two."
        )
    name = request or f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{token_hex(4)}"
    console = text_console()

    def show(cleared: Cleared) -> None:
        if as_table:
            console.print(_line(cleared), markup=False)
        else:
            print(json.dumps({"event": "PLACE_CLEARED", "request": name, **asdict(cleared)}), flush=True)

    if as_table:
        console.print(f"Request {name}: of {tenant}, {len(set(ids)):,} people.", markup=False)
    found = erase(
        find_places(settings, open_store(settings)), tenant, ids, name, clock=lambda: datetime.now(UTC), progress=show
    )
    if as_table:
        console.print("\n".join(_summary(found)), markup=False)
    else:
        print(json.dumps(_as_json(found)))
    return found.is_complete


def _read(file: Path | None) -> Iterator[str]:
    """The ids of a file, a line each."""
    if file is None:
        return
    with nullcontext(sys.stdin) if str(file) == "-" else file.open(encoding="utf-8") as lines:
        try:
            for line in lines:
                if text := line.rstrip("\r\n"):
                    yield text
        except UnicodeDecodeError:
            raise click.UsageError("The file of ids is not UTF-8.") from None


def _line(cleared: Cleared) -> str:
    removed = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in cleared.removed.items() if count)
    remains = f" Remains: {cleared.remains}" if cleared.remains else ""
    return f"  {cleared.place}: {cleared.objects:,}{f' ({removed})' if removed else ''}.{remains}"


def _summary(found: Erased) -> list[str]:
    scanned = found.scanned
    lines = [f"{scanned.objects:,} objects ({scanned.bytes / 1e6:,.1f} MB) were read and searched."]
    if found.is_complete:
        return [*lines, "Nothing of theirs is left in the target."]
    lines += [f"  left: {one.key} ({one.values:,} values)" for one in scanned.findings[:_MOST_SHOWN]]
    if len(scanned.findings) > _MOST_SHOWN:
        lines.append(f"  and {len(scanned.findings) - _MOST_SHOWN:,} more")
    return [
        *lines,
        f"Something of theirs is left: {len(scanned.findings):,} objects. `--request {found.request}` goes on.",
    ]


def _as_json(found: Erased) -> dict[str, object]:
    return {
        "event": "PEOPLE_ERASED" if found.is_complete else "PEOPLE_LEFT",
        "request": found.request,
        "people": found.people,
        "erased_at": found.erased_at.isoformat(),
        **found.scanned.counts,
        "left": [asdict(one) for one in found.scanned.findings],
    }
