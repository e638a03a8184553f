"""Athena's type of each column of a table, from its declaration: never inferred from values."""

from __future__ import annotations

import polars as pl

from gata_assets.errors import TableSpecError
from gata_assets.storage.catalog.base import CatalogColumn
from gata_assets.tables.spec import TableSpec

_MOST_DIGITS = 38

# By the type in Polars. Athena has no unsigned integers.
_KINDS: dict[pl.DataType, str] = {
    pl.String(): "string",
    pl.Boolean(): "boolean",
    pl.Int8(): "tinyint",
    pl.Int16(): "smallint",
    pl.Int32(): "int",
    pl.Int64(): "bigint",
    pl.Float32(): "float",
    pl.Float64(): "double",
    pl.Date(): "date",
    pl.Datetime("us", "UTC"): "timestamp",
}


def athena_type(dtype: pl.DataType, column: str) -> str:
    """Athena's name of a type; raises TableSpecError, which names the column, for a type that it does not have."""
    if isinstance(dtype, pl.Decimal) and dtype.precision is not None and dtype.precision <= _MOST_DIGITS:
        return f"decimal({dtype.precision},{dtype.scale})"
    if dtype not in _KINDS:
        known = ", ".join(sorted({*_KINDS.values(), "decimal"}))
        raise TableSpecError(f"{column} is {dtype}, which Athena has no type for that this project writes: {known}.")
    return _KINDS[dtype]


def catalog_columns(spec: TableSpec) -> tuple[CatalogColumn, ...]:
    """The columns of a table as readers see them; raises TableSpecError."""
    return tuple(
        CatalogColumn(column.name, athena_type(column.dtype, f"{spec.table}.{column.name}"), column.description)
        for column in spec.columns
    )
