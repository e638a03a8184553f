"""Tables that a user declares: from raw files to curated rows, quarantine, replay, Dagster's UI and a reference page.

Real: the commands, settings, Dagster's definitions and runs, a directory, and S3 over HTTP (moto). The tables are
declared here, in a module that is written to a directory on the path. Nothing is faked.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import dagster as dg
import polars as pl
import pytest
from click.testing import CliRunner, Result

from gata_assets.cli.main import main
from gata_assets.definitions import build_definitions
from gata_assets.definitions.own_tables import CURATE_TABLES, OWN_TABLES_SENSOR
from gata_assets.definitions.stores import build_store
from gata_assets.errors import SettingsError
from gata_assets.logs import NOT_EVALUATED, RANGE_TAGS
from gata_assets.settings.model import Settings, load_settings, variable_names
from gata_assets.settings.table_specs import own_tables
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.description import describe_table
from gata_assets_tests.support.stored_datasets import stored_key

DECLARATION = '''
"""The tables of a chain of shops."""
from typing import Annotated

import pandera.polars as pa
import polars as pl

from gata_assets.tables.declaration import row_rule


class Shops(pa.DataFrameModel):
    """The shops: the latest row of each."""

    shop_id: str = pa.Field(unique=True, str_length={"min_value": 1}, description="The shop.")
    city: str = pa.Field(nullable=True, description="Where it is.")

    class Config:
        strict = True
        ordered = True
        metadata = {"table": "shops", "key": ["shop_id"], "repetitions": "latest"}


class Visits(pa.DataFrameModel):
    """Visits of customers to shops: a row a visit."""

    shop_id: str = pa.Field(
        str_length={"min_value": 1},
        description="The shop.",
        metadata={"references": {"table": "shops", "column": "shop_id", "mode": "reject"}},
    )
    customer_id: str = pa.Field(
        str_length={"min_value": 1}, description="Who came.", metadata={"personal": True, "aliases": ["client"]}
    )
    entered_at: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(
        description="When they came.", metadata={"instants": ["epoch_s"]}
    )
    purpose: str = pa.Field(isin=("buy", "look", "return"), description="Why they came.")
    minutes: pl.Float32 = pa.Field(nullable=True, ge=0, description="How long they stayed, where known.")
    seen: int = pa.Field(ge=0, description="Items that they looked at.")
    bought: int = pa.Field(ge=0, description="Items that they bought.")
    purpose_code: pl.UInt8 = pa.Field(lt=3, description="The purpose as a number.", metadata={"code_of": "purpose"})
    customer_key: pl.UInt64 = pa.Field(
        description="The customer as a number.", metadata={"key_of": "customer_id", "personal": True}
    )
    bought_was_seen = row_rule("bought_is_at_most_seen", pl.col("bought") <= pl.col("seen"))

    class Config:
        strict = True
        ordered = True
        metadata = {
            "table": "visits",
            "event_time": "entered_at",
            "partition_by": "day",
            "invalid_optional": "discard_value",
        }
'''

# 2026-01-02 and 2026-01-03 at 00:01:40 UTC.
FIRST, SECOND = 1_767_312_100, 1_767_398_500
SHOPS = "shop_id,city\ns1,Oslo\ns2,Rome\ns1,Paris\n"
HEADER = "shop_id,client,entered_at,purpose,minutes,seen,bought\n"
VISITS = (
    f"s2,c1,{FIRST},buy,12.5,3,1\n"
    f"s1,c2,{FIRST - 100},look,,2,0\n"
    # The first row again, an unknown value, two rules broken at once, no such shop, and a value that is discarded.
    f"s2,c1,{FIRST},buy,12.5,3,1\n"
    f"s1,c3,{FIRST},steal,1,1,0\n"
    f"s1,c3,yesterday,buy,1,1,4\n"
    f"s9,c3,{FIRST},buy,1,1,0\n"
    f"s1,c4,{SECOND},return,-3,1,0\n"
)
REJECTED = {
    "bought_is_at_most_seen": 1,
    "entered_at_is_an_instant": 1,
    "purpose_is_known": 1,
    "shop_is_known": 1,
}


@dataclass(frozen=True)
class Chain:
    """A tenant `acme` with the tables of DECLARATION: its store, settings and Dagster instance, and the commands."""

    settings: Settings
    store: ObjectStore
    instance: dg.DagsterInstance
    directory: Path

    def gata(self, *arguments: str) -> Result:
        """Run a command."""
        return CliRunner().invoke(main, arguments)

    def ingest(self, table: str, name: str, content: str, *arguments: str) -> dict[str, object]:
        """Land a file, and give what the command printed of it."""
        (self.directory / name).write_text(content)
        result = self.gata("ingest", table, str(self.directory / name), "--tenant", "acme", *arguments)
        assert result.exit_code == 0, result.output
        (printed,) = map(json.loads, result.stdout.splitlines())
        return dict(printed)

    def quarantine(self, *arguments: str) -> list[dict[str, object]]:
        """What is in quarantine, or what became of the files that are validated again."""
        result = self.gata("quarantine", "--tenant", "acme", *arguments)
        assert result.exit_code == 0, result.output
        return [dict(json.loads(line)) for line in result.stdout.splitlines()]

    def curate(self, *tables: str, days: tuple[str, str] | None = None) -> dg.ExecuteInProcessResult:
        """Run the job of own tables for some of them."""
        first, last = RANGE_TAGS
        return (
            build_definitions(self.settings)
            .resolve_job_def(CURATE_TABLES)
            .execute_in_process(
                instance=self.instance,
                raise_on_error=False,
                asset_selection=[dg.AssetKey(["acme", f"curated_{table}"]) for table in tables],
                tags={first: days[0], last: days[1]} if days else {},
            )
        )

    def rows(self, table: str, day: date | None = None) -> pl.DataFrame:
        """The curated rows."""
        folder = f"acme/curated/{table}/" + (f"{day}/" if day else "")
        return pl.read_parquet(BytesIO(self.store.read(stored_key(self.store, folder, f"{table}.parquet"))))


@pytest.fixture
def declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module with the tables; the environment has no setting but TABLE_SPECS, TENANTS and tickets."""
    for name in variable_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = f"tables_{uuid4().hex}"
    (tmp_path / f"{module}.py").write_text(DECLARATION)
    monkeypatch.setenv("TABLE_SPECS", module)
    monkeypatch.setenv("TENANTS", "acme")
    return module


@pytest.fixture
def settings(declared: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a target directory."""
    monkeypatch.setenv("TARGET_DIR", str(tmp_path / "target dir"))
    return load_settings()


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.server)])
def chain(
    request: pytest.FixtureRequest, declared: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Chain]:
    """The chain in a directory, and in a bucket."""
    if request.param == "local":
        monkeypatch.setenv("TARGET_DIR", str(tmp_path / "target dir"))
    else:
        monkeypatch.setenv("TARGET_BUCKET", request.getfixturevalue("bucket"))
    settings = load_settings()
    with dg.DagsterInstance.ephemeral() as instance:
        yield Chain(settings, build_store(settings), instance, tmp_path)


def test_an_own_table_goes_from_raw_files_to_curated_rows_and_back_for_corrections(chain: Chain) -> None:
    # Landing: files of both formats, valid and rejected rows, a discarded value.
    assert chain.ingest("shops", "shops.csv", SHOPS)["valid"] == 3
    first = chain.ingest("visits", "visits.csv", HEADER + VISITS)
    assert {name: first[name] for name in ("rows", "valid", "rejected", "rejected_by_rule", "discarded_by_rule")} == {
        "rows": 7,
        "valid": 4,
        "rejected": 3,
        "rejected_by_rule": REJECTED,
        "discarded_by_rule": {"minutes_is_not_negative": 1},
    }
    lines = [
        {"shop_id": "s1", "customer_id": "c5", "entered_at": FIRST, "purpose": "buy", "seen": 1, "bought": 1},
        # The first row of the other file.
        {
            "shop_id": "s2",
            "client": "c1",
            "entered_at": FIRST,
            "purpose": "buy",
            "minutes": 12.5,
            "seen": 3,
            "bought": 1,
        },
    ]
    more = "".join(json.dumps(line) + "\n" for line in lines[:1])
    assert chain.ingest("visits", "more.jsonl", more)["valid"] == 1
    same = "".join(json.dumps(line) + "\n" for line in lines[1:])
    assert chain.ingest("visits", "same.jsonl", same)["valid"] == 1
    listed = {str(line["rule"]): line["rows"] for line in chain.quarantine()}
    assert listed == REJECTED

    # Curation: the latest row of each shop; each day without exact repetitions, in order of time.
    assert chain.curate("shops", "visits", days=("2026-01-02", "2026-01-02")).success
    assert chain.rows("shops").rows() == [("s1", "Paris"), ("s2", "Rome")]
    visits = chain.rows("visits", date(2026, 1, 2))
    assert visits.drop("customer_key", "purpose_code").rows() == [
        ("s1", "c2", datetime(2026, 1, 2, 0, 0, tzinfo=UTC), "look", None, 2, 0),
        ("s1", "c5", datetime(2026, 1, 2, 0, 1, 40, tzinfo=UTC), "buy", None, 1, 1),
        ("s2", "c1", datetime(2026, 1, 2, 0, 1, 40, tzinfo=UTC), "buy", 12.5, 3, 1),
    ]
    assert visits["purpose_code"].to_list() == [1, 0, 0]
    assert visits["customer_key"].n_unique() == 3
    # A day that nobody asked for, but that a file touches.
    assert chain.rows("visits", date(2026, 1, 3))["minutes"].to_list() == [None]

    # A corrected file supersedes the first; its day is stale, and written again.
    corrected = VISITS.replace("steal", "look").replace(f"s1,c4,{SECOND},return,-3,1,0\n", "")
    second = chain.ingest("visits", "corrected.csv", HEADER + corrected, "--replaces", str(first["file_id"]))
    assert (second["valid"], second["rejected"]) == (4, 2)
    assert chain.curate("visits", days=("2026-01-02", "2026-01-02")).success
    assert chain.rows("visits", date(2026, 1, 2))["customer_id"].to_list() == ["c2", "c3", "c5", "c1"]
    assert chain.rows("visits", date(2026, 1, 3)).is_empty()

    # The missing shop comes after its visitors: replay validates them again.
    chain.ingest("shops", "again.csv", "shop_id,city\ns9,\ns2,Milan\n")
    (again,) = chain.quarantine("--replay")
    assert (again["file_id"], again["valid"], again["rejected"]) == (second["file_id"], 5, 1)
    assert chain.curate("visits", days=("2026-01-02", "2026-01-02")).success
    assert chain.rows("visits", date(2026, 1, 2)).filter(shop_id="s9")["customer_id"].to_list() == ["c3"]
    # What visits refer to was brought up to date by the run, and recorded.
    assert chain.rows("shops").rows() == [("s1", "Paris"), ("s2", "Milan"), ("s9", None)]


def test_dagster_shows_an_own_table_with_columns_and_checks(chain: Chain) -> None:
    definitions = build_definitions(chain.settings)
    graph = definitions.resolve_asset_graph()
    key = dg.AssetKey(["acme", "curated_visits"])
    schema = graph.get(key).metadata["dagster/column_schema"].value
    assert isinstance(schema, dg.TableSchema)
    assert [column.name for column in schema.columns][:3] == ["shop_id", "customer_id", "entered_at"]
    assert schema.columns[1].description == "Who came."
    assert graph.get(key).group_name == graph.get(dg.AssetKey(["acme", "curated_items"])).group_name
    assert graph.get(key).parent_keys == {dg.AssetKey(["acme", name]) for name in ("raw_visits", "curated_shops")}
    assert isinstance(graph.get(key).partitions_def, dg.DailyPartitionsDefinition)
    assert graph.get(dg.AssetKey(["acme", "curated_shops"])).partitions_def is None
    names = {check.name for check in graph.asset_check_keys if check.asset_key == key}
    assert names == {
        *("curated_visits_are_valid", "no_row_is_lost"),
        *("every_raw_file_was_read", "few_rows_were_rejected", "quality_is_high_enough"),
    }

    chain.ingest("shops", "shops.csv", SHOPS)
    chain.ingest("visits", "visits.csv", HEADER + VISITS)
    result = chain.curate("shops", "visits", days=("2026-01-02", "2026-01-03"))
    assert result.success
    evaluated = {
        (check.asset_key.path[-1], check.check_name, check.partition, check.passed)
        for check in result.get_asset_check_evaluations()
    }
    # Most rows are rejected, so the quality is not high enough.
    assert {
        ("curated_visits", name, day, name != "quality_is_high_enough")
        for name in names
        for day in ("2026-01-02", "2026-01-03")
    } <= evaluated
    assert ("curated_shops", "curated_shops_are_valid", None, True) in evaluated
    counts = {
        event.partition: event.step_materialization_data.materialization.metadata["dagster/row_count"].value
        for event in result.get_asset_materialization_events()
        if event.asset_key == key
    }
    assert counts == {"2026-01-02": 2, "2026-01-03": 1}


@pytest.mark.process
def test_prepare_brings_own_tables_up_to_date(settings: Settings, tmp_path: Path) -> None:
    target = tmp_path / "target dir" / "acme"
    for folder, content in {"shops": SHOPS, "visits": HEADER + VISITS}.items():
        raw = target / "raw" / folder / "2026-01-04"
        raw.mkdir(parents=True)
        (raw / "delivered.csv").write_text(content)
    first = CliRunner().invoke(main, ["prepare", "2026010500", "--only", "tables", "--summary", "json"])
    assert first.exit_code == 0, first.output
    written = {one["asset"]: one for one in json.loads(first.stdout.splitlines()[-1])["written"]}
    assert {name: one["row_count"] for name, one in written.items()} == {
        "acme/curated_shops": 2,
        "acme/curated_visits": 3,
    }
    again = CliRunner().invoke(main, ["prepare", "2026010500", "--only", "tables", "--summary", "json"])
    assert json.loads(again.stdout.splitlines()[-1])["written"] == []


@pytest.mark.process
def test_a_backfill_curates_own_tables_and_says_how_many(settings: Settings, tmp_path: Path) -> None:
    for name, content in {"shops": SHOPS, "visits": HEADER + VISITS}.items():
        (tmp_path / f"{name}.csv").write_text(content)
        assert CliRunner().invoke(main, ["ingest", name, f"{name}.csv", "--tenant", "acme"]).exit_code == 0
    # Landing the shops has written their table already: visits refer to it.
    for curated in (1, 0):
        ran = CliRunner().invoke(main, ["backfill", "2026010500", "2026010501", "--only", "tables"])
        assert ran.exit_code == 0, ran.output
        assert "acme: no batches" in ran.stdout
        assert f"{curated} tables of acme curated, in {curated} runs and" in ran.stdout
        assert "to prepare" not in ran.stdout


def test_doctor_lists_own_tables_with_their_files(chain: Chain) -> None:
    chain.ingest("shops", "shops.csv", SHOPS)
    chain.store.write("acme/raw/visits/delivered.csv", (HEADER + VISITS).encode())
    found = chain.gata("doctor").stdout
    assert "ok   table shops of acme: 1 file validated, 0 waiting\n" in found
    assert "note table visits of acme: 0 files validated, 1 waiting\n" in found


@pytest.mark.process
def test_a_file_of_an_own_table_with_a_lost_part_fails_prepare_and_nothing_else(
    settings: Settings, tmp_path: Path
) -> None:
    for name, content in {"shops": SHOPS, "visits": HEADER + VISITS}.items():
        (tmp_path / f"{name}.csv").write_text(content)
        assert CliRunner().invoke(main, ["ingest", name, f"{name}.csv", "--tenant", "acme"]).exit_code == 0
    plan = CliRunner().invoke(main, ["backfill", "2026010500", "2026010501", "--only", "tables", "--plan"])
    assert plan.exit_code == 0
    assert "tables             acme: no batches; its tables are curated from the raw files that came" in plan.output
    (part,) = (tmp_path / "target dir" / "acme" / "staged" / "visits").iterdir()
    part.write_bytes(b"other bytes")
    result = CliRunner().invoke(main, ["prepare", "2026010500", "--only", "tables", "--summary", "json"])
    assert result.exit_code == 1
    failures = json.loads(result.stdout.splitlines()[-1])["failures"]
    assert {asset.split()[0] for asset in failures} == {"acme/curated_visits"}
    assert all("staged parts have the rows that were validated" in reason for reason in failures.values())


def test_a_day_with_a_lost_staged_part_is_not_written(chain: Chain) -> None:
    chain.ingest("shops", "shops.csv", SHOPS)
    chain.ingest("visits", "visits.csv", HEADER + VISITS)
    (part,) = chain.store.list_keys("acme/staged/visits/")
    chain.store.write(part, b"other bytes")
    result = chain.curate("visits", days=("2026-01-02", "2026-01-02"))
    assert not result.success
    found = [check for check in result.get_asset_check_evaluations() if not check.passed]
    failed = {check.check_name for check in found if NOT_EVALUATED not in check.metadata}
    assert failed == {"no_row_is_lost", "few_rows_were_rejected"}, "three of seven rows were rejected"
    assert not list(chain.store.list_keys("acme/curated/visits/"))


def test_the_sensor_asks_for_own_tables_whose_files_wait_or_are_stale(chain: Chain) -> None:
    definitions = build_definitions(chain.settings)
    (sensor,) = (one for one in definitions.sensors or () if one.name == OWN_TABLES_SENSOR)
    assert isinstance(sensor, dg.SensorDefinition)

    def tick() -> list[dg.RunRequest]:
        with dg.build_sensor_context(
            chain.instance, definitions=definitions, resources={"object_store": build_store(chain.settings)}
        ) as context:
            return list(sensor.evaluate_tick(context).run_requests or ())

    chain.curate("shops")
    assert tick() == []
    chain.ingest("shops", "shops.csv", SHOPS)
    chain.store.write("acme/raw/visits/2026-01-05/visits.csv", (HEADER + VISITS).encode())
    (asked,) = tick()
    assert asked.asset_selection == [dg.AssetKey(["acme", f"curated_{table}"]) for table in ("shops", "visits")]
    assert chain.curate("shops", "visits", days=(asked.tags[RANGE_TAGS[0]], asked.tags[RANGE_TAGS[1]])).success
    assert chain.rows("visits", date(2026, 1, 2)).height == 2
    assert tick() == []
    # What a command has validated waits no more, and leaves a day stale.
    chain.ingest("visits", "more.csv", HEADER + f"s1,c9,{FIRST},look,,1,0\n")
    (asked,) = tick()
    assert asked.tags[RANGE_TAGS[0]] == "2026-01-02"


def test_commands_list_the_tables_and_print_the_page_of_one(settings: Settings) -> None:
    listed = CliRunner().invoke(main, ["tables"])
    assert listed.exit_code == 0
    assert "visits" in listed.stdout
    page = CliRunner().invoke(main, ["tables", "visits"]).stdout
    assert page == describe_table(own_tables(settings)["visits"])
    assert "| `purpose` | text | no | `buy`, `look`, `return` | Why they came. |" in page
    assert "| `customer_id` | yes | `client` |  | customer_id_is_given |" in page
    assert "seconds since 1970" in page
    assert "shop_is_known" in page
    assert "the value is discarded and counted" in page
    unknown = CliRunner().invoke(main, ["tables", "visitors"])
    assert unknown.exit_code == 2
    assert "there are interactions, items, shops, tickets, visits" in unknown.output


def test_a_file_of_an_unknown_table_is_refused_with_those_that_exist(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "visitors.csv").write_text(HEADER)
    result = CliRunner().invoke(main, ["ingest", "visitors", "visitors.csv", "--tenant", "acme"])
    assert result.exit_code == 2
    assert "visitors is no table: there are interactions, items, shops, tickets, visits" in result.output


def test_a_module_that_cannot_be_imported_is_an_error_of_the_settings(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TABLE_SPECS", "nowhere.at_all")
    with pytest.raises(SettingsError, match=r"TABLE_SPECS: the module nowhere\.at_all cannot be imported"):
        own_tables(load_settings())
    result = CliRunner().invoke(main, ["ingest", "visits", "visits.csv", "--tenant", "acme"])
    assert result.exit_code == 2
