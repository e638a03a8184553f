"""The checks of curated tables: their names and descriptions."""

from __future__ import annotations

from collections.abc import Mapping

from gata_assets.tables.spec import TableSpec

NO_ROW_IS_LOST = "no_row_is_lost"
EVERY_RAW_FILE_WAS_READ = "every_raw_file_was_read"
FEW_ROWS_WERE_REJECTED = "few_rows_were_rejected"
# They are about the files that landed on a day, and stop nothing.
ABOUT_RAW_FILES = (EVERY_RAW_FILE_WAS_READ, FEW_ROWS_WERE_REJECTED)
# About a table's newest file, and no partition; of tables that have it.
NEWEST_FILE_IS_FRESH = "newest_file_is_fresh"
FRESHNESS_CHECK: Mapping[str, str] = {
    NEWEST_FILE_IS_FRESH: "The newest raw file that could be read landed at most QUALITY_FRESH_HOURS ago. It only "
    "warns."
}
# About a curated partition and the files that it was built from; it stops nothing either.
QUALITY_IS_HIGH_ENOUGH = "quality_is_high_enough"


def validity_check(table: str) -> str:
    """The name of the check that a curated table keeps its rules."""
    return f"curated_{table}_are_valid"


def check_descriptions(spec: TableSpec) -> Mapping[str, str]:
    """The description of each check of a curated table, by its name."""
    of_day = f", and every row is of its day ({spec.event_time})" if spec.partition_by else ""
    key = f", and each {', '.join(spec.key)} is there once" if spec.key else ""
    return {
        validity_check(spec.table): f"Types, required columns and all rules of the table hold{of_day}{key}.",
        NO_ROW_IS_LOST: "Valid rows, rejected rows and repetitions are as many as the raw rows.",
        EVERY_RAW_FILE_WAS_READ: "No raw file was refused as a whole, for wrong columns say.",
        FEW_ROWS_WERE_REJECTED: "Neither of a raw file nor of all together too great a share of rows was rejected.",
        QUALITY_IS_HIGH_ENOUGH: "Freshness, completeness, validity, uniqueness and consistency are at least "
        "QUALITY_SCORE_MIN. It only warns.",
    }
