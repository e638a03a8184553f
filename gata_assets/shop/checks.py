"""The checks of curated shop tables: their names, descriptions and outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gata_assets.curation.curated.check_names import (
    EVERY_RAW_FILE_WAS_READ,
    FEW_ROWS_WERE_REJECTED,
    NO_ROW_IS_LOST,
    QUALITY_IS_HIGH_ENOUGH,
)
from gata_assets.curation.reports import Report, check_few_rows_are_rejected
from gata_assets.curation.superseding import replaced_files
from gata_assets.tables.outcomes import Outcome

NO_ROW_WAITS_IN_VAIN = "no_row_waits_in_vain"


def descriptions() -> Mapping[str, str]:
    """The description of each check, by its name."""
    return {
        NO_ROW_IS_LOST: "Each row that counts is visible, parked or in quarantine, and visible rows keep all rules.",
        EVERY_RAW_FILE_WAS_READ: "No raw file was refused as a whole, for wrong columns say.",
        FEW_ROWS_WERE_REJECTED: "Neither of a raw file nor of all together too great a share of rows was rejected.",
        NO_ROW_WAITS_IN_VAIN: "No row has waited so long for others that it is in quarantine.",
        QUALITY_IS_HIGH_ENOUGH: "Completeness, validity and consistency of the table's recent files are at least "
        "QUALITY_SCORE_MIN. It only warns.",
    }


def check_files(reports: Sequence[Report], max_share: float) -> Mapping[str, Sequence[Outcome]]:
    """The checks of a table's raw files."""
    replaced = replaced_files(reports)
    counting = [report for report in reports if report.file_id not in replaced]
    refused = sum(report.refused is not None for report in counting)
    advice = "`gata quarantine` shows which, and why: deliver a corrected file under the same name"
    return {
        EVERY_RAW_FILE_WAS_READ: [Outcome("no file was refused", refused, len(counting), advice, unit="files")],
        FEW_ROWS_WERE_REJECTED: check_few_rows_are_rejected(counting, max_share),
    }


def check_waiting(counts: Mapping[str, int]) -> Mapping[str, Sequence[Outcome]]:
    """The check of the rows that have waited too long, from the counts of a manifest."""
    rows = counts["visible"] + counts["parked"] + counts["quarantined"]
    advice = (
        "The file *_waiting.parquet of the day has their rules: deliver what is missing, or correct it at the source; "
        "they are judged again when anything of it arrives"
    )
    return {
        NO_ROW_WAITS_IN_VAIN: [Outcome("no row has waited too long", counts["quarantined"], rows, advice)],
    }
