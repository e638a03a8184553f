"""`gata prepare` and `gata backfill` with tenants: both pipelines, from files that were ingested.

Real: the commands (as a process where one is interrupted), SQLite, files. Nothing is faked.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from gata_assets.tickets.sources.ddl import create_sqlite
from gata_assets_tests.interactions.assets.test_batch_run import catalogue, interactions
from gata_assets_tests.support.command import PROGRAM, Ran, environment, gata
from gata_assets_tests.support.loopback import free_port
from gata_assets_tests.support.scenario import BATCH_ID, FALLBACK_LABEL, database_rows, world

SETTINGS = {
    "TICKETS_URL": "sqlite:///tickets.sqlite",
    "LOW_VOLUME_THRESHOLD": "0.1",
    "LOW_VOLUME_FALLBACK_LABEL": str(FALLBACK_LABEL),
    "TENANTS": "acme,globex",
    "INTERACTION_PERIOD": "40",
    "MIN_INTERACTIONS_PER_USER": "2",
    "MIN_INTERACTIONS_PER_ITEM": "2",
}
TICKETS = {"tickets", "label_counts", "general_split", "low_volume_tickets", "low_volume_split"}
NEXT = "2026010204"
BATCHES = {"user_features", "item_features", "recent_interactions", "negative_samples", "with_features"}


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A directory with the world's tickets, and files of interactions and items beside them."""
    create_sqlite(tmp_path / "tickets.sqlite", database_rows(world()))
    (tmp_path / "clicks.csv").write_bytes(
        interactions(["2025-06-01", "2025-12-01", "2025-12-02", "2025-12-31"]) + b"u1,,click,2025-12-01T00:00:00Z\n"
    )
    (tmp_path / "late.csv").write_bytes(interactions(["2025-12-15"], users=8))
    (tmp_path / "items.csv").write_bytes(catalogue())
    return tmp_path


def ingest(directory: Path, tenant: str, kind: str, *files: str) -> None:
    ran = gata(directory, "ingest", kind, *files, "--tenant", tenant, **SETTINGS)
    assert ran.returncode == 0, ran.stderr[-2_000:]


def prepare(directory: Path, *options: str, code: int = 0, **settings: str) -> dict[str, Any]:
    ran = gata(directory, "prepare", BATCH_ID, "--summary", "json", *options, **{**SETTINGS, **settings})
    assert ran.returncode == code, ran.stderr[-2_000:]
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def assets(summary: dict[str, Any]) -> set[str]:
    return {one["asset"] for one in summary["written"]}


def test_both_pipelines_prepare_with_missing_days_and_curate_late_ones_again(workplace: Path) -> None:
    ingest(workplace, "acme", "interactions", "clicks.csv")
    ingest(workplace, "acme", "items", "items.csv")
    first = prepare(workplace)
    written = {one["asset"]: one for one in first["written"]}
    of_tenants = {f"{tenant}/{name}" for tenant in ("acme", "globex") for name in BATCHES}
    assert TICKETS | of_tenants | {"acme/curated_interactions"} <= set(written)
    curated = written["acme/curated_interactions"]
    assert (curated["tenant"], curated["days"], curated["row_count"], curated["quarantined"]) == ("acme", 41, 54, 1)
    assert not (workplace / "gata-data/acme/curated/interactions/2025-06-01").exists(), "no batch asked for it"
    assert written["acme/negative_samples"]["row_count"] > 0
    assert written["globex/negative_samples"]["reason"].startswith(
        "there is no file of interactions of globex: look at TENANTS"
    )
    assert all((workplace / place).exists() for one in first["written"] for place in one["places"])

    again = prepare(workplace, "--only", "interactions")
    assert assets(again) == of_tenants, "what is curated is not curated again"

    ingest(workplace, "acme", "interactions", "late.csv")
    late = {one["asset"]: one for one in prepare(workplace, "--only", "interactions")["written"]}
    assert late["acme/curated_interactions"]["days"] in (1, 2)
    assert late["acme/user_features"]["row_count"] == written["acme/user_features"]["row_count"] + 2


def test_the_table_shows_both_pipelines(workplace: Path) -> None:
    ingest(workplace, "acme", "interactions", "clicks.csv")
    ingest(workplace, "acme", "items", "items.csv")
    ran = gata(workplace, "prepare", BATCH_ID, "--summary", "table", **{**SETTINGS, "TENANTS": "acme"})
    assert ran.returncode == 0, ran.stderr[-2_000:]
    for said in ("general_split", "acme/curated_interactions", "of 41 days", "1 in quarantine", "acme/with_features"):
        assert said in ran.stdout


def test_one_pipeline_is_prepared_alone(workplace: Path) -> None:
    assert assets(prepare(workplace, "--only", "tickets")) == TICKETS
    assert not (workplace / "gata-data/acme").exists()
    alone = prepare(workplace, "--only", "interactions", TICKETS_URL="sqlite:///none.sqlite")
    assert assets(alone) == {f"{tenant}/{name}" for tenant in ("acme", "globex") for name in BATCHES}


def test_a_pipeline_that_fails_is_reported_and_does_not_stop_the_other(workplace: Path) -> None:
    ingest(workplace, "acme", "interactions", "clicks.csv")
    failed = prepare(workplace, code=1)
    assert assets(failed) >= TICKETS | {f"globex/{name}" for name in BATCHES}
    assert set(failed["failures"]) == {"acme/training_data"}
    (workplace / "tickets.sqlite").unlink()
    failed = prepare(workplace, code=1, TENANTS="globex")
    assert assets(failed) == {f"globex/{name}" for name in BATCHES}
    assert set(failed["failures"]) == {"tickets"}


def test_without_tenants_nothing_of_interactions_is_done(workplace: Path) -> None:
    assert assets(prepare(workplace, TENANTS="")) == TICKETS
    ran = gata(workplace, "prepare", BATCH_ID, "--only", "interactions", **{**SETTINGS, "TENANTS": ""})
    assert ran.returncode == 2
    assert "there is no tenant: TENANTS names nobody" in " ".join(ran.stderr.split())


def test_who_has_files_is_prepared_while_tenants_is_unset(workplace: Path) -> None:
    unset = {**SETTINGS, "TENANTS": ""}
    for tenant in ("acme", "globex"):
        ran = gata(workplace, "ingest", "interactions", "clicks.csv", "--derive-items", "--tenant", tenant, **unset)
        assert (ran.returncode, ran.stderr) == (0, ""), "nobody is warned"
    summary = prepare(workplace, "--only", "interactions", TENANTS="")
    rows = {one["asset"]: one["row_count"] for one in summary["written"]}
    assert rows["acme/with_features"] == rows["globex/with_features"] > 0
    said = " ".join(gata(workplace, "doctor", **unset).stdout.split())
    assert "ok tenants: acme, globex: those with raw files (TENANTS is unset)." in said
    assert assets(prepare(workplace, "--only", "interactions", TENANTS="globex")) >= {"globex/with_features"}
    assert "ok tenants: nobody, as TENANTS says" in " ".join(
        gata(workplace, "doctor", **{**SETTINGS, "TENANTS": "none"}).stdout.split()
    )


def backfill(directory: Path, *options: str, **settings: str) -> Ran:
    return gata(directory, "backfill", BATCH_ID, NEXT, *options, **{**SETTINGS, **settings})


def test_a_backfill_prepares_what_is_missing_of_both_pipelines(workplace: Path) -> None:
    ingest(workplace, "acme", "interactions", "clicks.csv")
    ingest(workplace, "acme", "items", "items.csv")
    plan = backfill(workplace, "--plan")
    assert (
        "interactions       acme: 2 batches from 2026010203 to 2026010204: 0 are complete in the target, 2 to prepare"
        in plan.stdout
    )
    assert plan.stdout.count("Nothing was written.") == 1
    assert not (workplace / "gata-data/acme/features").exists()
    prepare(workplace, "--only", "interactions")
    first = backfill(workplace)
    assert first.returncode == 0, first.stderr[-2_000:]
    for said in (
        "2 batches prepared, 0 failed",
        ": 1 are complete in the target",
        "1 batches of acme prepared, 0 failed",
    ):
        assert said in first.stdout
    progress = [json.loads(line) for line in first.stderr.splitlines() if "BACKFILL_PROGRESS" in line]
    assert [(one["done"], one["of"]) for one in progress] == [(1, 2), (2, 2), (1, 1), (1, 1)]
    files = {path: path.stat().st_mtime_ns for path in (workplace / "gata-data").rglob("*.parquet")}
    again = backfill(workplace, "--only", "interactions", INTERACTION_PERIOD="30")
    assert again.returncode == 0
    assert (
        "other settings     2 complete batches of acme were built with other settings, first 2026010203" in again.stdout
    )
    assert files == {path: path.stat().st_mtime_ns for path in (workplace / "gata-data").rglob("*.parquet")}


def test_a_backfill_prepares_stale_batches_again_and_the_plan_shows_why(
    workplace: Path,
) -> None:
    ingest(workplace, "acme", "interactions", "clicks.csv")
    ingest(workplace, "acme", "items", "items.csv")
    assert backfill(workplace, "--only", "interactions", TENANTS="acme").returncode == 0
    ingest(workplace, "acme", "interactions", "late.csv")
    manifests = {path: path.read_bytes() for path in (workplace / "gata-data/acme").rglob("manifest.json")}
    plan = backfill(workplace, "--only", "interactions", "--plan", TENANTS="acme")
    why = "days of their windows have other rows than they were built from, first 2026010203: prepared again"
    assert "acme: 2 batches from 2026010203 to 2026010204: 2 are complete in the target, 2 to prepare" in plan.stdout
    assert f"2 of acme are complete, but {why}" in plan.stdout
    assert manifests == {path: path.read_bytes() for path in manifests}, "a plan writes nothing"

    first = backfill(workplace, "--only", "interactions", TENANTS="acme")
    assert why in first.stdout
    assert "2 batches of acme prepared, 0 failed, in 1 runs" in first.stdout
    made = json.loads((workplace / f"gata-data/acme/features/{BATCH_ID}/manifest.json").read_text())
    assert made["numbers"]["user_features"]["row_count"] == 8, "with the two users of the late file"
    again = backfill(workplace, "--only", "interactions", TENANTS="acme")
    assert "acme: 2 batches from 2026010203 to 2026010204: 2 are complete in the target, 0 to prepare" in again.stdout
    assert "other rows" not in again.stdout


def test_a_backfill_validates_files_in_the_raw_folder_and_its_plan_shows_them(workplace: Path) -> None:
    ingest(workplace, "acme", "interactions", "clicks.csv")
    ingest(workplace, "acme", "items", "items.csv")
    assert backfill(workplace, "--only", "interactions", TENANTS="acme").returncode == 0
    folder = workplace / "gata-data/acme/raw/interactions/2026-01-05"
    folder.mkdir()
    (workplace / "late.csv").rename(folder / "late.csv")
    plan = backfill(workplace, "--only", "interactions", "--plan", TENANTS="acme")
    assert "1 raw files of acme wait to be validated" in plan.stdout
    assert (
        "2 batches of acme prepared, 0 failed, in 1 runs"
        in backfill(workplace, "--only", "interactions", TENANTS="acme").stdout
    )


def test_a_backfill_lists_batches_of_another_catalog_and_keeps_them(workplace: Path) -> None:
    ingest(workplace, "acme", "interactions", "clicks.csv")
    ingest(workplace, "acme", "items", "items.csv")
    assert backfill(workplace, "--only", "interactions", TENANTS="acme").returncode == 0
    (workplace / "more.csv").write_bytes(catalogue(50))
    ingest(workplace, "acme", "items", "more.csv")
    ran = backfill(workplace, "--only", "interactions", TENANTS="acme")
    assert "acme: 2 batches from 2026010203 to 2026010204: 2 are complete in the target, 0 to prepare" in ran.stdout
    assert "2 complete batches of acme were built with another catalog, first 2026010203; --again" in ran.stdout
    again = backfill(workplace, "--only", "interactions", "--again", TENANTS="acme")
    assert "another catalog" not in again.stdout
    assert "2 batches of acme prepared, 0 failed, in 1 runs" in again.stdout


@pytest.mark.process
def test_an_interrupted_backfill_stops_for_all_tenants_and_the_same_command_goes_on(workplace: Path) -> None:
    for tenant in ("acme", "globex"):
        ingest(workplace, tenant, "interactions", "clicks.csv")
        ingest(workplace, tenant, "items", "items.csv")
    process = subprocess.Popen(
        [*PROGRAM, "backfill", BATCH_ID, "2026010323", "--only", "interactions"],
        cwd=workplace,
        env=environment(**SETTINGS),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        # A shell that runs tests in the background lets them ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - no threads yet
    )
    until = time.monotonic() + 300
    while len(list(workplace.glob("gata-data/acme/training_data/*/manifest.json"))) < 3:
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Interrupted. What is written is complete; the same command goes on with the rest." in said
    assert "FAILED" not in said
    assert not (workplace / "gata-data/globex/features").exists()
    prepared = int(said.split(" batches of acme prepared")[0].split()[-1])
    assert prepared >= 2
    plan = backfill(workplace, "--only", "interactions", "--plan", TENANTS="acme")
    assert "acme: 2 batches from 2026010203 to 2026010204: 2 are complete in the target, 0 to prepare" in plan.stdout


def test_a_backfill_whose_interactions_fail_exits_with_1_and_says_why(workplace: Path) -> None:
    ingest(workplace, "acme", "interactions", "clicks.csv")
    ran = backfill(workplace, "--only", "interactions")
    assert ran.returncode == 1
    assert f"FAILED {BATCH_ID} acme/training_data: " in ran.stdout
    assert "0 batches of acme prepared, 2 failed, in 1 runs" in ran.stdout
    assert "2 batches of globex prepared, 0 failed, in 1 runs" in ran.stdout


def test_doctor_says_what_there_is_of_each_tenant_and_whether_the_engine_can_be_loaded(workplace: Path) -> None:
    ingest(workplace, "acme", "interactions", "clicks.csv")
    found = gata(workplace, "doctor", **SETTINGS).stdout
    assert "ok   engine: polars builds features and training data of interactions" in found
    assert "note interactions of globex: there is no file yet; `gata ingest` lands some" in found
    assert "note interactions of acme: 1 file validated, 0 waiting; a catalog of 0 items" in found
    assert "a catalog of 0 items. Batches with positives fail without one" in found
    assert "A batch can be prepared." in found


@pytest.mark.server
def test_doctor_says_when_nobody_answers_where_the_engine_runs(workplace: Path) -> None:
    nobody = {"INTERACTION_ENGINE": "spark", "SPARK_MASTER": f"spark://127.0.0.1:{free_port()}"}
    looked = gata(workplace, "doctor", **SETTINGS, **nobody)
    assert looked.returncode == 1
    assert f"BAD  engine: No answer from {nobody['SPARK_MASTER']}. Check SPARK_MASTER" in looked.stdout
    assert "A batch cannot be prepared as things are." in looked.stdout
