"""The columns of a table as Dagster's UI shows them, from its pandera model: types, rules, descriptions.

Not as a Dagster type, and not by `dagster-pandera`: a type would validate every table a second time and put failing
values into the event log; the integration loads Polars for tables of pandas too (0.2 s and 25 MB of every process).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dagster as dg

_OPERATORS = {
    "greater_than": ">",
    "greater_than_or_equal_to": ">=",
    "less_than": "<",
    "less_than_or_equal_to": "<=",
}


def columns(model: type[Any]) -> dict[str, dg.TableSchemaMetadataValue]:
    """The metadata of an asset that is its model's column table."""
    schema = model.to_schema()
    described = [
        dg.TableColumn(
            name,
            type=str(column.dtype),
            description=column.description,
            constraints=dg.TableColumnConstraints(
                nullable=column.nullable, unique=column.unique, other=_rules(column.checks)
            ),
        )
        for name, column in schema.columns.items()
    ]
    table = dg.TableSchema(described, dg.TableConstraints(_rules(schema.checks)))
    return {"dagster/column_schema": dg.MetadataValue.table_schema(table)}


def _rules(checks: Iterable[Any]) -> list[str]:
    return [check.description or _limit(check) or check.error or check.name for check in checks]


def _limit(check: Any) -> str | None:
    if check.name not in _OPERATORS:
        return None
    (limit,) = check.statistics.values()
    return f"{_OPERATORS[check.name]} {limit}"
