"""Which raw files count: one that another superseded no longer does, nor does the other once it is superseded itself.

A file supersedes another when its own report names it. Before, it claims the other one: `replaced_by` in the other's
report, which is written under the version that was read. So of two commands that supersede the same file one is
refused, before anything of it lands; and a claim without its claimant's report changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from gata_assets.curation.reports import Report
from gata_assets.errors import DataRuleError


def replaced_files(reports: Iterable[Report]) -> dict[str, str]:
    """The ids of superseded files, each with the id of the file that superseded it (which may be superseded itself).

    Of several files that name the same one, that with the claim counts. Without a claim, as commands of earlier
    releases could leave it, it is the one that landed last; also in a circle.
    """
    found = {report.file_id: report for report in reports}
    rivals: dict[str, list[str]] = {}
    for report in found.values():
        for old in () if report.is_void else report.replaces:
            rivals.setdefault(old, []).append(report.file_id)
    claimed = {old: claimant for old in rivals if (claimant := _claimant(found, old)) in rivals[old]}
    replaced = {old: claimed.get(old, names[-1]) for old, names in rivals.items()}

    def order(name: str) -> tuple[object, ...]:
        return found[name].landed_at, name

    looked_at: set[str] = set()
    for start in sorted(replaced):
        path: list[str] = []
        current = start
        while current in replaced and current not in looked_at:
            looked_at.add(current)
            path.append(current)
            current = replaced[current]
        if current in path:
            # While a file comes back, the report of the one that it supersedes names it for a moment, without a claim.
            del replaced[max(path[path.index(current) :], key=lambda name: (name not in claimed, *order(name)))]
    for old in sorted(rivals):
        counting = {counts_instead(name, replaced) for name in rivals[old]}
        first = counts_instead(claimed[old], replaced) if old in claimed else max(counting, key=order)
        replaced |= dict.fromkeys(counting - {first}, first)
    return replaced


def counts_instead(name: str, replaced: Mapping[str, str]) -> str:
    """The id of the file at the end of the chain that superseded a file; its own if none did."""
    while name in replaced:
        name = replaced[name]
    return name


def valid_reports(reports: Iterable[Report]) -> list[Report]:
    """The reports of files that count: read, and not superseded."""
    found = list(reports)
    replaced = replaced_files(found)
    return [report for report in found if report.refused is None and report.file_id not in replaced]


def counting_instead(report: Report, reports: Iterable[Report]) -> tuple[str, ...]:
    """What counts in place of a file that `is_void`: the files that it was to supersede, or those that have superseded
    them since; none for other files.
    """
    if not report.is_void or not report.replaces:
        return ()
    replaced = replaced_files(reports)
    return tuple(dict.fromkeys(counts_instead(old, replaced) for old in report.replaces))


def claimed_by(name: str, reports: Iterable[Report]) -> list[str]:
    """The files that a file has claimed: it supersedes them as soon as its report is written."""
    return [report.file_id for report in reports if report.replaced_by == name]


def require_place(table: str, name: str, olds: Sequence[str], reports: Iterable[Report]) -> None:
    """Check that a file can supersede others; raises DataRuleError.

    A superseded file can come back only by superseding the one that counts instead of it. A file that another command
    has claimed can be superseded together with its claimant only. `reports` are all of that table.
    """
    found = {report.file_id: report for report in reports}
    replaced = replaced_files(found.values())
    claimants = {found[old].replaced_by for old in olds if old in found}
    for old in olds:
        if old == name:
            raise DataRuleError(f"{old} is the file itself, and cannot take its own place.")
        # A claimant without a report was interrupted; it is named to take its place, and its claim is taken first.
        if old not in found and claimants.isdisjoint({old, name}):
            raise DataRuleError(f"There is no file {old} of {table}: `gata ingest` said the id when it came.")
        if replaced.get(old, name) not in (name, *olds):
            instead = counts_instead(old, replaced)
            raise DataRuleError(f"{old} counts no more, {instead} does in its place: --replaces {instead} is needed.")
        claimant = _claimant(found, old)
        if claimant and claimant not in (name, *olds):
            raise DataRuleError(
                f"Another command is about to replace {old} by {claimant}: wait until it has ended. If it was "
                f"interrupted, send its file again with --replaces {old}, or take its place with --replaces {old} "
                f"--replaces {claimant}."
            )
    instead = counts_instead(name, replaced)
    if olds and instead not in (name, *olds):
        raise DataRuleError(f"{name} counts no more, {instead} does in its place: --replaces {instead} brings it back.")


def claim(table: str, name: str, olds: Sequence[str], reports: Iterable[Report]) -> list[Report]:
    """The reports to write so that a file alone may supersede others; raises DataRuleError, see `require_place`."""
    found = list(reports)
    require_place(table, name, olds, found)
    # In one order, so that of two commands that supersede the same files one gets them all.
    taken = sorted((report for report in found if report.file_id in olds), key=lambda report: report.file_id)
    return [replace(report, replaced_by=name) for report in taken if report.replaced_by != name]


def release(name: str, before: Mapping[str, str | None], reports: Iterable[Report]) -> list[Report]:
    """The reports to write when a file cannot supersede all that it has claimed; `before` are the claims before."""
    found = [report for report in reports if report.replaced_by == name and report.file_id in before]
    return [replace(report, replaced_by=before[report.file_id]) for report in found]


def supersede(new: Report, olds: Sequence[str], reports: Iterable[Report]) -> list[Report]:
    """The reports to write, in this order, so that a file supersedes others: claims, its own, and those of files that
    superseded it before and no longer do.

    Before its own is written nothing has changed, and after that all has. Raises DataRuleError, see `require_place`.
    """
    others = [report for report in reports if report.file_id != new.file_id]
    claims = claim(new.table, new.file_id, olds, [*others, new])
    # Another command may be about to replace the new one: that claim stays.
    is_back = new.replaced_by in olds or new.file_id in replaced_files([*others, new])
    present = {report.file_id: report for report in (*others, *claims)}
    freed = [
        replace(report, replaces=tuple(old for old in report.replaces if old != new.file_id))
        for report in present.values()
        if new.file_id in report.replaces
    ]
    own = replace(new, replaces=tuple(dict.fromkeys((*new.replaces, *olds))))
    return [*claims, replace(own, replaced_by=None) if is_back else own, *freed]


def _claimant(found: Mapping[str, Report], old: str) -> str | None:
    """The file that alone may supersede another one; a file that `is_void` has no claim."""
    name = found[old].replaced_by if old in found else None
    return None if name and name in found and found[name].is_void else name
