"""What is advised about a broken rule belongs to the table that breaks it.

Real: all tables of interactions. Nothing is faked.
"""

from __future__ import annotations

import polars as pl
import pytest

from gata_assets.interactions.tables import SPECS
from gata_assets.tables.arrow_checks import check_arrow_tables
from gata_assets.tables.outcomes import explain_rule
from gata_assets.tickets import checks as ticket_checks

OF_TICKETS = ("ticket", "zendesk", "group", "label", "split", "closed", "source")


@pytest.mark.parametrize("name", SPECS)
def test_a_broken_rule_of_interactions_is_never_explained_in_words_about_tickets(name: str) -> None:
    for column in SPECS[name].columns:
        kinds = ["column_in_dataframe", "dtype", "not_nullable", "field_uniqueness", "str_matches"]
        kinds += [check.name for check in column.checks] + ["greater_than_or_equal_to"]
        for kind in kinds:
            outcome = explain_rule(column.name, f"{kind}(0)", 1, 2)
            assert outcome.advice
            assert [word for word in OF_TICKETS if word in outcome.advice.lower()] == []


def test_what_breaks_a_rule_of_items_is_explained_by_itself_and_that_of_a_ticket_by_tickets() -> None:
    spec = SPECS["curated_items"]
    row = dict.fromkeys(spec.curated_schema) | {"item_id": "i", "title": "t", "price": -1.0, "item_key": 1}
    table = pl.DataFrame([row], schema=spec.curated_schema).to_arrow(compat_level=pl.CompatLevel.oldest())
    (outcome,) = check_arrow_tables(spec, [table])
    assert (outcome.rule.split("(")[0], outcome.failed) == ("price greater_than_or_equal_to", 1)
    assert outcome.advice == "Compare the table with the documented schema."
    advised = explain_rule("label", "greater_than_or_equal_to(0)", 1, 1, ticket_checks._ADVICE).advice
    assert "Zendesk group" in advised
