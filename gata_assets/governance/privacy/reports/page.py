"""A report as a page of its own, for people: no other file is needed, and it can be printed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape

from gata_assets.governance.privacy.reports.report import RequestReport, State, Verified

_STYLE = """
body { font: 11pt/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; border-bottom: 1px solid #bbb; }
.state { font-size: 1.6rem; font-weight: bold; padding: .6rem 1rem; border: .25rem solid; margin: 1rem 0; }
.complete { color: #14532d; } .incomplete { color: #991b1b; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; vertical-align: top; padding: .3rem .6rem;
border-bottom: 1px solid #ddd; } th { white-space: nowrap; } code { font-size: .85em; overflow-wrap: anywhere; }
@media print { body { margin: 0; max-width: none; } tr { break-inside: avoid; } h2 { break-after: avoid; } }
"""
_STATES = {State.COMPLETE: "COMPLETE", State.INCOMPLETE: "INCOMPLETE"}
_MEANINGS = {
    (True, State.COMPLETE): "Nothing of theirs was found in what was searched at the end.",
    (
        True,
        State.INCOMPLETE,
    ): "Something of theirs is left, or the request was cut off. It goes on under the same name.",
    (False, State.COMPLETE): "Whatever was found of the person is in the archive.",
    (False, State.INCOMPLETE): "Something was found of the person that is not in the archive.",
}
_NOT_ERASED = (
    "Numbers that count many people, such as how often an item was bought: they still count them, and name nobody.",
    "Backups and copies outside of the target, until they are overwritten.",
    "What others wrote about them in texts of their own.",
)


def report_page(report: RequestReport, *, for_auditor: bool, now: datetime) -> str:
    """The page; whoever asked gets no keys and digests."""
    what = "Erasure" if report.is_erasure else "Export"
    parts = [
        f"<h1>{what}: request {escape(report.request)}</h1>",
        f'<p class="state {report.state}">{_STATES[report.state]}</p>',
        _paragraph(_MEANINGS[report.is_erasure, report.state]),
        *_section("The request", [_facts(_request(report))]),
        *_section("What was removed", _removed(report)),
        *_section("What was exported", _exported(report)),
        *_section("What was searched", _searched(report, for_auditor=for_auditor)),
        *_section("What is not erased", _not_erased(report)),
    ]
    if for_auditor:
        parts += [
            *_section("Files against their manifests", _verified(report.verified)),
            *_section("Datasets that people were erased from", [_list(map(_code, report.datasets))]),
            *_section("The log", _log(report)),
        ]
    made = _paragraph(f"As of {_instant(now)}. This page names nobody.")
    policy = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    head = f'<meta charset="utf-8">{policy}<title>{what} {escape(report.request)}</title><style>{_STYLE}</style>'
    body = "\n".join([*parts, made])
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _request(report: RequestReport) -> Iterator[tuple[str, str]]:
    yield "Tenant", escape(report.tenant)
    yield "Asked for", _instant(report.asked_at)
    if report.asked_by:
        yield "By", escape(report.asked_by)
    yield "People", f"{report.people:,}"
    yield "Ended", _instant(report.ended_at) if report.ended_at else "not yet"


def _removed(report: RequestReport) -> Iterator[str]:
    if report.is_erasure:
        rows = [
            (escape(one.place), f"{one.objects:,}", _counts(one.removed), escape(one.remains)) for one in report.places
        ]
        yield _table(("Place", "Objects", "Removed", "What remains there"), rows)


def _exported(report: RequestReport) -> Iterator[str]:
    names = {"at": "When", "by": "By", "ids": "Ids", "files": "Files", "rows": "Rows", "not_exported": "Not exported"}
    rows = [
        [_instant(one[name]) if name == "at" else escape(str(one.get(name, ""))) for name in names]
        for one in report.exported
    ]
    if rows:
        yield _table(tuple(names.values()), rows)


def _searched(report: RequestReport, *, for_auditor: bool) -> Iterator[str]:
    if not report.scanned:
        if report.is_erasure:
            yield _paragraph("Nothing yet.")
        return
    scanned, findings = report.scanned, report.scanned.get("findings", ())
    read = f"{scanned.get('objects', 0):,} objects ({scanned.get('bytes', 0) / 1e6:,.1f} MB) were read and searched."
    yield _paragraph(f"{read} Something was found in {len(findings):,} of them.")
    if scanned.get("damaged"):
        yield _paragraph(f"{scanned['damaged']:,} could not be taken apart, and were searched for words.")
    if for_auditor and findings:
        rows = [
            (
                escape(one.get("haystack") or "the target"),
                _code(one["key"]),
                escape(one.get("fault") or str(one["values"])),
            )
            for one in findings
        ]
        yield _table(("Where", "Object", "Values"), rows)


def _not_erased(report: RequestReport) -> Iterator[str]:
    if report.is_erasure:
        yield _list(_NOT_ERASED)
        if report.batches:
            yield _paragraph("Models that were trained from these batches before contain the people:")
            yield _list(map(_code, report.batches))
        else:
            yield _paragraph("No batch that a model was trained from had them, as far as manifests say.")


def _verified(verified: Verified | None) -> Iterator[str]:
    if verified is None:
        yield _paragraph("They were not compared.")
        return
    size = f"{verified.files:,} files ({verified.bytes / 1e6:,.1f} MB) were read again and compared."
    yield _paragraph(f"{size} {len(verified.problems):,} are not as they were written.")
    if verified.problems:
        rows = [(escape(one.kind), _code(one.key), escape(one.what)) for one in verified.problems]
        yield _table(("Problem", "Object", "What"), rows)


def _log(report: RequestReport) -> Iterator[str]:
    yield _paragraph(
        f"The log has {report.log_entries:,} entries. These are about the request. Each has the SHA-256 of "
        "the one before, and the whole chain was verified for this page: whoever notes the head elsewhere can tell "
        "later whether anything was changed or cut off."
    )
    yield _facts([("Head", _code(report.head))])
    rows = [
        (
            str(one.number),
            _instant(one.at),
            escape(one.kind),
            _code(json.dumps(dict(one.content), ensure_ascii=False)),
            _code(one.sha256),
        )
        for one in report.entries
    ]
    yield _table(("Entry", "At", "Kind", "Content", "SHA-256"), rows)


def _section(title: str, parts: Iterable[str]) -> list[str]:
    """A section; none without parts."""
    found = list(parts)
    return [f"<h2>{escape(title)}</h2>", *found] if found else []


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    return (
        "<table>" + "".join(f"<tr><th>{escape(name)}</th><td>{value}</td></tr>" for name, value in facts) + "</table>"
    )


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = ("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _list(items: Iterable[str]) -> str:
    found = "".join(f"<li>{item}</li>" for item in items)
    return f"<ul>{found}</ul>" if found else _paragraph("None.")


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _counts(removed: Mapping[str, int]) -> str:
    found = (f"{count:,} {kind.replace('_', ' ')}" for kind, count in removed.items() if count)
    return escape(", ".join(found))


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
