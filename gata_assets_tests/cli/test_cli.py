"""The commands of `gata`, as their users call them.

Real: commands, exit codes, files, S3 over HTTP; a process of its own where JSON lines, a terminal (a pseudo-terminal)
or a Dagster home is looked at. Nothing is faked.
"""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gata_assets.cli.main import main
from gata_assets_tests.reference import all_commands
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.command import PROGRAM, dagster_home, environment, gata, gata_process
from gata_assets_tests.support.scenario import BATCH_ID

SECRET = canary("a password")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the sample data of some months, in which nothing is prepared."""
    directory = tmp_path_factory.mktemp("sample")
    ran = gata(directory, "sample-data", "--since", "2025-08-01", "--until", "2026-01-03")
    assert ran.returncode == 0, ran.stderr
    assert "sample tickets, closed from 2025-08-01 to 2026-01-03, written to gata-sample.sqlite." in ran.stdout
    return directory


@pytest.fixture(scope="module")
def workplace(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a space in its name and the sample data; tests prepare batches in it, in any order."""
    return shutil.copytree(sample, tmp_path_factory.mktemp("work place"), dirs_exist_ok=True)


@pytest.mark.process
def test_prepare_speaks_json_lines_where_there_is_no_terminal(sample: Path, tmp_path: Path) -> None:
    workplace = shutil.copytree(sample, tmp_path / "work place")
    ran = gata_process(workplace, "prepare", BATCH_ID)
    assert ran.returncode == 0, ran.stderr
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert {line["batch_id"] for line in lines if "batch_id" in line} == {BATCH_ID}
    curated = {line["day"] for line in lines if line.get("asset") == "sample/curated_interactions"}
    assert {"2025-10-04", "2026-01-02"} <= curated
    assert len([day for day in curated if "..." not in day]) == 91
    materialized = [line["asset"] for line in lines if line.get("event") == "ASSET_MATERIALIZATION"]
    assert len([asset for asset in materialized if "/" not in asset]) == 5
    of_tenant = [asset for asset in materialized if asset.startswith("sample/")]
    # Those of the lake are by day too.
    batches = [asset for asset in of_tenant if "curated" not in asset and not asset.endswith("_tickets")]
    assert len(batches) == 5
    assert all(line["run_id"] and line["at"] for line in lines)
    # Of the sample's shop some rows have waited in vain.
    warned = {line["message"].split("'")[1] for line in lines if line["level"] != "INFO"}
    assert warned == {"no_row_waits_in_vain"}
    summary = json.loads(ran.stdout)
    assert (summary["event"], summary["batch_id"]) == ("BATCH_PREPARED", BATCH_ID)
    places = [place for one in summary["written"] for place in one["places"]]
    assert "gata-data/training/gata-general/2026010203/train/data.json" in places
    assert all((workplace / place).exists() for place in places)


@pytest.mark.process
def test_prepare_shows_progress_and_a_table_on_a_terminal(workplace: Path) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, "prepare", BATCH_ID],
        cwd=workplace,
        env=environment(TERM="xterm", COLUMNS="140"),
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 4_096)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(leader)
    assert process.wait(timeout=300) == 0
    text = shown.decode()
    assert "general_split: " in text
    assert " train rows, " in text
    assert '"event"' not in text
    assert f"Batch {BATCH_ID} prepared in" in text


@pytest.mark.slow
def test_the_log_level_is_the_least_that_is_shown(workplace: Path) -> None:
    # The shop of the sample has something to warn of, when it is prepared for the first time.
    assert gata(workplace, "prepare", BATCH_ID, "--only", "tickets", LOG_LEVEL="WARNING").stderr == ""
    debug = gata(workplace, "prepare", BATCH_ID, LOG_LEVEL="DEBUG").stderr
    assert '"level": "DEBUG"' in debug


@pytest.mark.parametrize(
    ("batch_id", "why"),
    [("20260102", "is not a batch ID"), ("2099010100", "is in the future"), ("2019010100", "before the first batch")],
)
def test_a_wrong_batch_id_exits_with_2_and_says_why(batch_id: str, why: str, workplace: Path) -> None:
    ran = gata(workplace, "prepare", batch_id)
    assert ran.returncode == 2
    assert why in ran.stderr
    assert ran.stdout == ""


def test_a_wrong_setting_exits_with_2_and_names_it(workplace: Path) -> None:
    ran = gata(workplace, "prepare", BATCH_ID, TRAINING_PERIOD="ninety")
    assert ran.returncode == 2
    assert "TRAINING_PERIOD: 'ninety' is not a whole number" in ran.stderr


def test_a_batch_that_fails_exits_with_1_and_says_why(workplace: Path) -> None:
    ran = gata(workplace, "prepare", "2024010203")
    assert ran.returncode == 1
    summary = json.loads(ran.stdout)
    assert summary["event"] == "BATCH_FAILED"
    assert "no ticket was closed in [2023-10-04 03:00, 2024-01-02 00:00) UTC" in summary["failures"]["tickets"]
    table = gata(workplace, "prepare", "2024010203", "--summary", "table")
    assert table.returncode == 1
    assert "FAILED tickets: tickets: no ticket was closed" in table.stdout


def test_a_missing_store_exits_with_1_and_says_how_to_make_one(tmp_path: Path) -> None:
    ran = gata(tmp_path, "prepare", BATCH_ID)
    assert ran.returncode == 1
    assert "`gata sample-data` creates one" in ran.stdout


def test_settings_come_from_a_file(workplace: Path, tmp_path: Path) -> None:
    (tmp_path / "my.env").write_text(f"TARGET_DIR={tmp_path / 'elsewhere'}\nSPLIT_SEED=7\n")
    ran = gata(workplace, "prepare", BATCH_ID, "--env-file", str(tmp_path / "my.env"))
    assert ran.returncode == 0
    manifest = json.loads((tmp_path / f"elsewhere/training/gata-general/{BATCH_ID}/manifest.json").read_text())
    assert manifest["settings"]["SPLIT_SEED"] == 7


@pytest.mark.process
def test_a_run_is_recorded_where_dagster_home_is_set(workplace: Path, tmp_path: Path) -> None:
    home = dagster_home(tmp_path)
    assert gata_process(workplace, "prepare", BATCH_ID, DAGSTER_HOME=str(home)).returncode == 0
    code = (
        "import dagster as dg; i = dg.DagsterInstance.get(); "
        "print(i.get_materialized_partitions(dg.AssetKey('general_split')), {r.status.value for r in i.get_runs()}, "
        "{'prepare_tickets', 'prepare_interactions'} <= {r.job_name for r in i.get_runs()})"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(DAGSTER_HOME=str(home)),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.stdout.strip() == f"{{'{BATCH_ID}'}} {{'SUCCESS'}} True", "runs of each pipeline"


def test_a_dagster_home_that_is_not_there_exits_with_2_and_says_so(workplace: Path) -> None:
    ran = gata(workplace, "prepare", BATCH_ID, DAGSTER_HOME="/nowhere/at/all")
    assert ran.returncode == 2
    assert "DAGSTER_HOME: '/nowhere/at/all' is not the absolute path of a directory" in ran.stderr


def test_the_aws_sdk_that_cannot_be_set_up_is_an_error_in_words(workplace: Path) -> None:
    ran = gata(workplace, "doctor", TARGET_BUCKET="some-bucket", AWS_ENDPOINT_URL="localhost:9")
    assert ran.returncode == 1
    assert "BAD  target: The AWS SDK cannot be set up: Invalid endpoint" in ran.stdout


def test_the_local_data_api_says_when_its_database_cannot_be_used(tmp_path: Path) -> None:
    ran = gata(tmp_path, "data-api", "--postgres", f"postgresql://reader:{SECRET}@127.0.0.1:9/gata")
    assert ran.returncode == 1
    assert "The database of --postgres cannot be used: OperationalError" in ran.stderr
    assert SECRET not in ran.stdout + ran.stderr


def test_sample_data_does_not_overwrite_unless_forced(workplace: Path) -> None:
    again = gata(workplace, "sample-data")
    assert again.returncode == 1
    assert "exists already. --force replaces it" in again.stderr


def test_sample_data_takes_sizes_and_seed(tmp_path: Path) -> None:
    arguments = ("--since", "2025-12-01", "--until", "2025-12-31", "--tickets-per-day", "10")
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert gata(tmp_path, "sample-data", *arguments, "--seed", seed, "--output", f"{name}.sqlite").returncode == 0
    assert (tmp_path / "a.sqlite").read_bytes() == (tmp_path / "b.sqlite").read_bytes()
    assert (tmp_path / "a.sqlite").read_bytes() != (tmp_path / "c.sqlite").read_bytes()
    backwards = gata(tmp_path, "sample-data", "--since", "2026-01-01", "--until", "2025-01-01")
    assert backwards.returncode == 2


def test_the_doctor_finds_a_healthy_set_up_well(workplace: Path) -> None:
    ran = gata(workplace, "doctor")
    assert ran.returncode == 0
    assert "closed tickets, 2025-08-01" in ran.stdout
    assert "A batch can be prepared." in ran.stdout
    assert not (workplace / "gata-data/intermediate/doctor/probe").exists()


def test_the_doctor_says_what_is_wrong_with_the_database_and_still_looks_at_the_target(tmp_path: Path) -> None:
    url = f"postgresql://reader:{SECRET}@127.0.0.1:9/gata"
    ran = gata(tmp_path, "doctor", TICKETS_URL=url, LOW_VOLUME_FALLBACK_LABEL="1")
    assert ran.returncode == 1
    assert "BAD  tickets: PostgreSQL cannot be read" in ran.stdout
    assert "ok   target, delete" in ran.stdout
    assert SECRET not in ran.stdout + ran.stderr


def test_the_doctor_says_what_is_wrong_with_the_target(workplace: Path, bucket: str) -> None:
    ran = gata(workplace, "doctor", TARGET_BUCKET=f"{bucket}-other")
    assert ran.returncode == 1
    assert "BAD  target: s3://" in ran.stdout
    assert "NoSuchBucket" in ran.stdout
    assert gata(workplace, "doctor", TARGET_BUCKET=bucket).returncode == 0


def test_prepare_writes_to_the_bucket(workplace: Path, bucket: str) -> None:
    ran = gata(workplace, "prepare", BATCH_ID, TARGET_BUCKET=bucket)
    assert ran.returncode == 0, ran.stdout
    assert f"s3://{bucket}/training/gata-general/{BATCH_ID}/manifest.json" in ran.stdout


@pytest.mark.parametrize("command", [(), *(tuple(name.split()) for name in all_commands())])
def test_every_command_has_help_that_is_in_the_readme(command: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(main, [*command, "--help"])
    assert shown.exit_code == 0
    assert shown.output.startswith("Usage:")
    if command:
        assert f"gata {' '.join(command)}" in (ROOT / "README.md").read_text()
        for parameter in all_commands()[" ".join(command)].params:
            assert isinstance(parameter, click.Argument) or parameter.help  # type: ignore[attr-defined]


def test_no_page_for_readers_has_a_hole() -> None:
    for page in [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").glob("*.md"),
    ]:
        assert not {"BENCHMARKS", "TODO", "TBD"} & set(page.read_text().split()), page


@pytest.mark.process
def test_help_loads_nothing_heavy() -> None:
    heavy = "('dagster', 'pandas', 'polars', 'numba', 'pyspark', 'pydantic', 'boto3')"
    code = f"import sys, gata_assets.cli.main; print([name for name in {heavy} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert ran.stdout.strip() == "[]"


def test_latest_and_a_day_are_batches_and_anything_else_is_explained(tmp_path: Path) -> None:
    assert "nothing of batch 2026010200" in gata(tmp_path, "batches", "show", "2026-01-02").stderr
    before = datetime.now(UTC)
    said = gata(tmp_path, "batches", "show", "latest").stderr
    assert any(f"nothing of batch {at:%Y%m%d%H}" in said for at in (before, datetime.now(UTC)))
    for wrong in ("2026-02-30", "soon"):
        ran = gata(tmp_path, "prepare", wrong)
        assert (ran.returncode, "`latest` and a day, 2026-01-02, are taken too." in ran.stderr) == (2, True)


def test_what_prints_text_prints_json_on_request(tmp_path: Path) -> None:
    ran = gata(tmp_path, "tables", "--json")
    assert [json.loads(line)["table"] for line in ran.stdout.splitlines()] == ["items", "interactions", "tickets"]
    ran = gata(tmp_path, "doctor", "--only", "interactions", "--json")
    *findings, last = [json.loads(line) for line in ran.stdout.splitlines()]
    assert last == {"event": "EXAMINED", "can_prepare": True}
    subjects = {finding["subject"] for finding in findings}
    assert "target, write" in subjects
    assert not any(subject.startswith("tickets") for subject in subjects)


@pytest.mark.parametrize("group", [[], ["batches"], ["ingest"], ["mapping"], ["quarantine"], ["tickets"]])
def test_lists_of_commands_are_not_cut(group: list[str]) -> None:
    shown = CliRunner().invoke(main, [*group, "--help"], terminal_width=80).output
    assert "..." not in shown.partition("Commands:")[2]
