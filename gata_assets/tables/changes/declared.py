"""What a table of changes declares: rows that insert, update or delete a key, and rules over several rows or tables.

A raw row of such a table is a change with an operation and a commit time. The latest change of a key counts: by commit
time, then by its file's name, then by its place in the file. Source of the operations and of the commit time's form:
https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Target.S3.html
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

# The columns of a change besides those of its table; as staged rows have them.
OPERATION, COMMITTED_AT = "operation", "committed_at"
IS_DELETE, SOURCE_FILE, SOURCE_LINE = "is_delete", "source_file", "source_line"
INSERT, UPDATE, DELETE = "I", "U", "D"


@dataclass(frozen=True)
class Changes:
    """The names that raw files give a change's operation and commit time.

    A file without the first inserts; a file without the second was committed when the day of its folder began.
    """

    operation: tuple[str, ...] = ("Op",)
    committed_at: tuple[str, ...] = ()


@dataclass(frozen=True)
class TotalRule:
    """A column equals the sum of an expression over the rows of another table that are parts of its row, exactly."""

    name: str
    column: str
    parts: str
    amount: pl.Expr


@dataclass(frozen=True)
class ParentRule:
    """A rule over a row and the row that it refers to: columns of that are named `{table}.{column}`. Null passes."""

    name: str
    expression: pl.Expr
