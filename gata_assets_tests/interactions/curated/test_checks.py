"""Curated tables held against their rules: the same as the models say, and told as pandera tells them.

Real: the models, pandera, and a process of its own. Nothing is faked.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandera.polars as pa
import polars as pl
import pytest

from gata_assets.curation.validation import STAGED
from gata_assets.interactions.curated.checks import RULES, ColumnRules, check_curated_interactions
from gata_assets.interactions.curated.merge import curate_interactions
from gata_assets.interactions.schema import INTERACTIONS, ITEMS, CuratedInteractions, CuratedItems
from gata_assets.tables.outcomes import broken

DAY = date(2026, 1, 2)

# By pandera's name of a check: what ColumnRules calls it, and which of pandera's statistics it is.
CHECKS = {
    "isin": ("among", "allowed_values"),
    "greater_than_or_equal_to": ("at_least", "min_value"),
    "less_than_or_equal_to": ("at_most", "max_value"),
    "less_than": ("below", "max_value"),
    "str_length": ("length", "min_value"),
}


def rules_of(column: Any) -> ColumnRules:
    said = {CHECKS[check.name][0]: check.statistics[CHECKS[check.name][1]] for check in column.checks}
    among = frozenset(said.pop("among")) if "among" in said else None
    return ColumnRules(column.dtype.type, column.nullable, column.unique, among=among, **said)


@pytest.mark.parametrize(("data", "model"), [(INTERACTIONS, CuratedInteractions), (ITEMS, CuratedItems)])
def test_the_rules_are_those_of_the_models(data: str, model: type[pa.DataFrameModel]) -> None:
    schema = model.to_schema()
    assert schema.name == f"curated_{data}"
    assert RULES[data] == {name: rules_of(column) for name, column in schema.columns.items()}


def test_rows_that_break_the_model_are_told_by_rule_and_count_as_pandera_tells_them() -> None:
    row = {"user_id": "u1", "item_id": "i1", "timestamp": datetime(2026, 1, 2, tzinfo=UTC), "type_code": 0}
    empty = dict.fromkeys(name for name in STAGED[INTERACTIONS] if name not in row)
    rows = pl.DataFrame([row | empty | {"rating": 7.0}, row | empty], schema=STAGED[INTERACTIONS])
    made = curate_interactions(rows.to_arrow(), [DAY])
    (failed,) = broken(check_curated_interactions(made)[DAY])
    assert (failed.rule, failed.failed, failed.checked) == ("rating less_than_or_equal_to", 1, 2)


CURATE = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
import gata_assets.cli.raw_files.ingest
from gata_assets.curation.policy import CurationRules
from gata_assets.interactions.curated.curator import Curator
from gata_assets.storage.local import LocalStore
now = datetime(2026, 1, 3, tzinfo=UTC)
curator = Curator(LocalStore(sys.argv[1]), "acme", CurationRules(now, timedelta(hours=1)), now)
raw = Path(sys.argv[1], curator.places.raw(INTERACTIONS), "2026-01-03", "a.csv")
raw.parent.mkdir(parents=True)
raw.write_text("user_id,item_id,interaction_type,timestamp,rating\\nu,i,click,2026-01-03T00:30:00Z,4.5\\nu,i,,,\\n")
(report,) = curator.validate_new(INTERACTIONS)
(made,) = curator.curate_days(curator.stale_days())
print(report.rejected, made.rows, made.is_written)
print(*sys.modules)
"""


@pytest.mark.process
def test_raw_files_are_sorted_and_curated_without_dagster_pandas_and_pandera(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CURATE, str(tmp_path)], capture_output=True, text=True, check=True)
    said, modules = done.stdout.splitlines()
    assert said == "1 1 True"
    assert {"dagster", "pandas", "pandera", "sklearn", "boto3"} & set(modules.split()) == set()
