"""Checks of pandas tables against pandera schemas: how many rows break which rule, never the failing values.

What to do about a broken rule differs by domain: callers pass their advice, by pandera's check name.
"""

from __future__ import annotations

import pandas as pd
import pandera.pandas as pa

from gata_assets.tables.outcomes import GENERAL_ADVICE, Advice, Outcome, explain_rule, passed_all_rules


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
