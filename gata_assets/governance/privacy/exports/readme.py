"""What whose data it is reads first: which files there are, in plain words."""

from __future__ import annotations

from gata_assets.governance.privacy.exports.outcome import MANIFEST, PersonExport

_MOST_SHOWN = 20
_BEGINNING = """\
YOUR DATA

These files have the data about you that we keep. They were read on {day} (request {request}).
Keep them as you keep letters from a bank: whoever has this archive can read all of it.

THE FILES

{files}

Each line of a file is one record, as JSON: "from" is where we keep it, "record" is its number there if it has one, and
"row" is the record itself. Some records are in several files: as they came to us ("raw files"), as they were checked
("staged", "rejected rows"), and as they are used ("curated", "features", "training data"). Times are in UTC if they end
with Z or +00:00. {manifest} has the number of records, the size and the SHA-256 of each file.
"""
_NOTHING = "There is none: we found no record about you."
_COMPLETE = """
IS THIS ALL?

Afterwards everything that we keep was read and searched for you. Whatever has something about you is in these files.
"""
_INCOMPLETE = """
THIS IS NOT ALL

Afterwards everything that we keep was read and searched for you. Something about you is in {count:,} places more, which
are not in these files: {manifest} lists them as "not_exported". Ask whoever sent you this archive for them.

{places}
"""
_END = """
WHAT IS NEVER IN SUCH FILES

Numbers that count many people, you among them, such as how often an item was bought; models that learned from the
records of many people; and copies that are kept for emergencies until they are overwritten.
"""


def describe_export(done: PersonExport) -> str:
    """The text that goes with an export."""
    files = "\n".join(f"{found.file.name}: {found.file.rows:,} records" for found in done.places)
    text = _BEGINNING.format(
        day=f"{done.exported_at:%Y-%m-%d}", request=done.request, files=files or _NOTHING, manifest=MANIFEST
    )
    if done.is_complete:
        return text + _COMPLETE + _END
    shown = [f"{found.haystack or 'our files'}: {found.key}" for found in done.not_exported[:_MOST_SHOWN]]
    more = [f"and {len(done.not_exported) - _MOST_SHOWN:,} more"] if len(done.not_exported) > _MOST_SHOWN else []
    places = "\n".join([*shown, *more])
    return text + _INCOMPLETE.format(count=len(done.not_exported), places=places, manifest=MANIFEST) + _END
