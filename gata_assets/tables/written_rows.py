"""What is said of two tables that have been written, by the rows of their parts and the numbers of `core.row_sums`.

Apart from how these are made, since definitions are loaded without compiled kernels.
"""

from __future__ import annotations

from collections.abc import Sequence

from gata_assets.tables.outcomes import Outcome


def check_same_rows(one: Sequence[tuple[int, int]], other: Sequence[tuple[int, int]]) -> list[Outcome]:
    """That two tables, by the rows and the number of each part, have the same rows in the same order."""
    rows, others = (sum(count for count, _ in table) for table in (one, other))
    parts = max(len(one), len(other))
    same = sum(part == twin for part, twin in zip(one, other, strict=False))
    return [
        Outcome("there is a row for each", abs(rows - others), max(rows, others), _DEFECT),
        Outcome("user, item and label of each part are the same, in order", parts - same, parts, _DEFECT, unit="parts"),
    ]


_DEFECT = "This is a defect of the writing; please report it."
