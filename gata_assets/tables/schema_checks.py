"""Rules of pandera schemas checked against tables: how many rows break which rule, never the values.

What to do about a broken rule differs by domain: a caller hands its advice in, by pandera's name of the rule.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pandera.pandas as pa

from gata_assets.tables.outcomes import Outcome

Advice = Mapping[str, str]

GENERAL_ADVICE: Advice = {
    "column_in_dataframe": "The table lacks a column: compare it with the documented one",
    "dtype": "A column has another type than documented: compare the tables",
}
_OTHER_ADVICE = "Compare the table with the documented schema"


def check_table(schema: pa.DataFrameSchema, table: pd.DataFrame, advice: Advice = GENERAL_ADVICE) -> list[Outcome]:
    """Check every rule of a schema against a pandas table.

    Returns one failed outcome for each broken rule, or one passed outcome for all of them.
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
    """The outcome of a table that keeps every rule."""
    return Outcome(f"every rule of {table}", failed=0, checked=rows, advice="")


def explain_rule(column: object, check: str, failed: int, checked: int, advice: Advice = GENERAL_ADVICE) -> Outcome:
    """The outcome of a column's rule (by pandera's name), with what to do about the rows that break it."""
    kind = check.split("(")[0]
    said = advice.get(kind, GENERAL_ADVICE.get(kind, _OTHER_ADVICE))
    return Outcome(rule=f"{column} {check}", failed=failed, checked=checked, advice=f"{said}.")
