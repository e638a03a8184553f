"""Curated tables held against their rules: the same as pandera says by the models.

Real: the models, pandera, and a process of its own. Nothing is faked.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pandera.polars as pa
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.interactions.curated.merge import check_curated_interactions, curate_interactions
from gata_assets.interactions.schema import CuratedInteractions
from gata_assets.interactions.tables import INTERACTIONS, ITEMS, TABLES
from gata_assets.tables.arrow_checks import check_arrow_tables, keep_every_rule
from gata_assets.tables.outcomes import broken

DAY = date(2026, 1, 2)

ROW = {
    **{"user_id": "u1", "item_id": "i1", "interaction_type": "view", "timestamp": datetime(2026, 1, 2, tzinfo=UTC)},
    **{"rating": 4.0, "device_type": None, "location": None, "session_id": None},
    **{"type_code": 0, "user_key": 1, "item_key": 2},
}


def interactions(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame([ROW | row for row in rows], schema=TABLES[INTERACTIONS].curated_schema)


@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "user_id": st.sampled_from(["u1", "", None]),
                "interaction_type": st.sampled_from(["view", "look", None]),
                "rating": st.sampled_from([None, 0.5, 1.0, 5.0, 5.5, float("nan")]),
                "type_code": st.integers(4, 7),
                "timestamp": st.none() | st.just(ROW["timestamp"]),
            },
        ),
        max_size=3,
    )
)
def test_what_is_seen_at_a_glance_is_what_pandera_says(rows: list[dict[str, object]]) -> None:
    table = interactions(*rows)
    try:
        CuratedInteractions.to_schema().validate(table, lazy=True)
        is_valid = True
    except pa.errors.SchemaErrors:
        is_valid = False
    arrow = table.to_arrow(compat_level=pl.CompatLevel.oldest())
    assert keep_every_rule(TABLES[INTERACTIONS], [arrow, arrow]) == is_valid
    assert (not broken(check_arrow_tables(TABLES[INTERACTIONS], [arrow]))) == is_valid


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"item_id": ["i1", "i1"]}, "item_id field_uniqueness"),
        ({"title": ["", "b"]}, "title str_length"),
        ({"price": [-1.0, None]}, "price greater_than_or_equal_to"),
    ],
)
def test_a_catalog_that_breaks_its_model_is_shown_by_rule(change: dict[str, list[object]], rule: str) -> None:
    columns = {"item_id": ["i1", "i2"], "title": ["a", "b"], "price": [1.0, None], "item_key": [1, 2]} | change
    empty = {name: [None, None] for name in TABLES[ITEMS].curated_schema if name not in columns}
    table = pl.DataFrame(columns | empty, schema=TABLES[ITEMS].curated_schema, strict=False)
    outcomes = check_arrow_tables(TABLES[ITEMS], [table.to_arrow(compat_level=pl.CompatLevel.oldest())])
    assert rule in [outcome.rule.partition("(")[0] for outcome in broken(outcomes)]


def test_a_table_of_other_columns_or_types_does_not_pass() -> None:
    for table in (interactions({}).drop("location"), interactions({}).cast({"rating": pl.Float64})):
        arrow = table.to_arrow(compat_level=pl.CompatLevel.oldest())
        assert broken(check_arrow_tables(TABLES[INTERACTIONS], [arrow]))


def test_rows_that_break_the_model_are_shown_by_rule_and_counted_as_pandera_counts_them() -> None:
    staged = TABLES[INTERACTIONS].staged_schema
    row = {"user_id": "u1", "item_id": "i1", "timestamp": datetime(2026, 1, 2, tzinfo=UTC), "type_code": 0}
    empty = dict.fromkeys(name for name in staged if name not in row)
    rows = pl.DataFrame([row | empty | {"rating": 7.0}, row | empty], schema=staged)
    curated = curate_interactions(rows.to_arrow(), [DAY])
    (failed,) = broken(check_curated_interactions(curated)[DAY])
    assert (failed.rule, failed.failed, failed.checked) == ("rating less_than_or_equal_to(5)", 1, 2)


CURATE = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
import gata_assets.cli.raw_files.ingest
from gata_assets.curation.policy import CurationRules
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.tables import INTERACTIONS
from gata_assets.storage.local import LocalStore
now = datetime(2026, 1, 3, tzinfo=UTC)
curator = Curator(LocalStore(sys.argv[1]), "acme", CurationRules(now, timedelta(hours=1)), now)
raw = Path(sys.argv[1], curator.places.raw(INTERACTIONS), "2026-01-03", "a.csv")
raw.parent.mkdir(parents=True)
raw.write_text("user_id,item_id,interaction_type,timestamp,rating\\nu,i,click,2026-01-03T00:30:00Z,4.5\\nu,i,,,\\n")
(report,) = curator.validate_new(INTERACTIONS)
(made,) = curator.curate(INTERACTIONS, curator.stale(INTERACTIONS))
print(report.rejected, made.rows, made.is_written)
print(*sys.modules)
"""


@pytest.mark.process
def test_raw_files_are_validated_and_curated_without_dagster_pandera_and_sdks(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CURATE, str(tmp_path)], capture_output=True, text=True, check=True)
    said, modules = done.stdout.splitlines()
    assert said == "1 1 True"
    assert {"dagster", "pandas", "pandera", "scipy.linalg", "sklearn", "boto3"} & set(modules.split()) == set()
