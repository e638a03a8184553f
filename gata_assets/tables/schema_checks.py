"""Checks of pandas tables against pandera schemas: how many rows break which rule, never the failing values.

What to do about a broken rule differs by domain: callers pass their advice, by pandera's check name.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pandera.pandas as pa

from gata_assets.tables.outcomes import Outcome

Advice = Mapping[str, str]

GENERAL_ADVICE: Advice = {
    "column_in_dataframe": "The table lacks a column: compare it with the documented table",
    "dtype": "A column's type differs from the documented one: compare the tables",
}
_OTHER_ADVICE = "Compare the table with the documented schema"


def check_table(schema: pa.DataFrameSchema, table: pd.DataFrame, advice: Advice = GENERAL_ADVICE) -> list[Outcome]:
    """Check a pandas table against a schema.

    Args:
        schema: The rules.
        table: The rows to check.
        advice: What to do about a broken rule, by pandera's check name.

    Returns:
        One failed outcome per broken rule, or one passed outcome for all of them.
    """
    try:
        schema.validate(table, lazy=True)
    except pa.errors.SchemaErrors as error:
        broken = error.failure_cases.groupby(["column", "check"], dropna=False, observed=True).size()
        return [
            explain_rule(column, str(check), int(count), len(table), advice)
            for (column, check), count in broken.items()
        ]
    return [passed_all_rules(str(schema.name), len(table))]


def passed_all_rules(table: str, rows: int) -> Outcome:
    """The outcome of a valid table."""
    return Outcome(f"every rule of {table}", failed=0, checked=rows, advice="")


def explain_rule(column: object, check: str, failed: int, checked: int, advice: Advice = GENERAL_ADVICE) -> Outcome:
    """The outcome of a column's broken rule, with the advice for pandera's check name."""
    kind = check.split("(")[0]
    advised = advice.get(kind, GENERAL_ADVICE.get(kind, _OTHER_ADVICE))
    return Outcome(rule=f"{column} {check}", failed=failed, checked=checked, advice=f"{advised}.")
