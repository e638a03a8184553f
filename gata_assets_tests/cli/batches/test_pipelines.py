"""A third pipeline, declared here: what implements the protocol is prepared, backfilled and chosen as the others are.

Real: the commands' functions, runs in a Dagster instance, files, the registry. The pipeline is a small one of these
tests, which writes a file per batch; the registry that names it is injected.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as objects.
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import click
import dagster as dg
import pytest

from gata_assets.batches import consecutive
from gata_assets.cli.batches import backfill, prepare
from gata_assets.cli.batches.registry import PIPELINES, Entry, build_pipelines
from gata_assets.cli.main import main
from gata_assets.definitions.pipelines import Workbench
from gata_assets.errors import DataRuleError, SettingsError, StoreError
from gata_assets.orchestration.batch_status import MISSING, BatchStatus, Plan, Reason
from gata_assets.orchestration.failures import BatchFailure, as_failure
from gata_assets.orchestration.jobs import RUN_CONFIG, batch_partitions, day_partitions
from gata_assets.orchestration.pipelines import BatchRun, describe_duration, describe_size
from gata_assets.orchestration.runs import Runs, Written
from gata_assets.settings.model import parse_settings
from gata_assets.storage.local import LocalStore
from gata_assets_tests.support.terminal import Terminal

BATCHES = ["2026010203", "2026010204", "2026010206"]
SETTINGS = parse_settings({})


@dataclass
class LedgerPipeline:
    """A file per batch, whose words are what it was built from; `fails` are errors by batch."""

    directory: Path
    logger: dg.LoggerDefinition
    words: str = "rows of today"
    scope: str = ""
    fails: Mapping[str, BaseException] = field(default_factory=dict)
    refresh_fails: BatchFailure | None = None
    plan_fails: Exception | None = None
    curates_days: bool = False
    days_expected: int | None = None
    refreshed: list[str] = field(default_factory=list)

    name: str = "ledger"
    last_asset: str = "ledger"

    def refresh(self, runs: Runs, batch_ids: Sequence[str]) -> bool:
        self.refreshed += batch_ids
        if self.curates_days:
            last = date(2026, 1, 1) + timedelta(days=(self.days_expected or 2) - 1)
            runs.execute(self._job_of_days(), ("2026-01-01", str(last)), expected=self.days_expected)
        if self.refresh_fails:
            runs.failures.append(self.refresh_fails)
        return self.refresh_fails is None

    def plan(self, batch_ids: Sequence[str], *, again: bool) -> Plan:
        if self.plan_fails:
            raise self.plan_fails
        return Plan.of({batch_id: self._status(batch_id) for batch_id in batch_ids}, again=again)

    def estimate(self, plan: Plan) -> Mapping[str, str]:
        return {"pages": f"{10 * len(plan.due):,}"}

    def runs(self, batch_ids: Sequence[str]) -> Iterator[BatchRun]:
        for stretch in consecutive(batch_ids):
            yield BatchRun(self._job(), stretch)

    def summarize(self, written: Sequence[Written]) -> list[Written]:
        return list(written)

    def _status(self, batch_id: str) -> BatchStatus:
        path = self.directory / batch_id
        if not path.exists():
            return MISSING
        stored = path.read_text()
        differences = {Reason.ROWS} if "rows of yesterday" in stored else set()
        return BatchStatus.of(differences | ({Reason.CATALOG} if "old catalog" in stored else set()))

    def _job(self) -> dg.JobDefinition:
        @dg.multi_asset(
            specs=[dg.AssetSpec("ledger", skippable=True)],
            partitions_def=batch_partitions("2024010100"),
            backfill_policy=dg.BackfillPolicy.single_run(),
        )
        def ledger(context: dg.AssetExecutionContext) -> Iterator[dg.AssetMaterialization]:
            failures = []
            for batch_id in context.partition_keys:
                error = self.fails.get(batch_id)
                if error and not isinstance(error, Exception):
                    raise error
                if error:
                    is_hopeless = isinstance(error, StoreError)
                    failures.append(BatchFailure(batch_id, "ledger", (), str(error), would_fail_all=is_hopeless))
                    continue
                self.directory.mkdir(exist_ok=True)
                path = self.directory / batch_id
                path.write_text(self.words)
                metadata = {"dagster/row_count": 7, "path": dg.MetadataValue.path(str(path))}
                yield dg.AssetMaterialization("ledger", partition=batch_id, metadata=metadata)
            if failures:
                raise as_failure(failures, batches=len(context.partition_keys))

        definitions = dg.Definitions(
            assets=[ledger],
            jobs=[dg.define_asset_job("prepare_ledger", selection=[ledger], config=RUN_CONFIG)],
            loggers={"console": self.logger},
        )
        return definitions.resolve_job_def("prepare_ledger")

    def _job_of_days(self) -> dg.JobDefinition:
        @dg.multi_asset(
            specs=[dg.AssetSpec("days", skippable=True)],
            partitions_def=day_partitions(date(2026, 1, 1)),
            backfill_policy=dg.BackfillPolicy.single_run(),
        )
        def days(context: dg.AssetExecutionContext) -> Iterator[dg.AssetMaterialization]:
            context.log.warning("a file of [yesterday] is odd")
            for day in context.partition_keys:
                yield dg.AssetMaterialization("days", partition=day)

        definitions = dg.Definitions(
            assets=[days],
            jobs=[dg.define_asset_job("curate_days", selection=[days], config=RUN_CONFIG)],
            loggers={"console": self.logger},
        )
        return definitions.resolve_job_def("curate_days")


@pytest.fixture(autouse=True)
def _no_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are recorded nowhere."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


def built(directory: Path, *others: LedgerPipeline, **values: Any) -> tuple[prepare.PipelinesOf, list[LedgerPipeline]]:
    """What builds the pipeline, from a registry that names it beside the package's; and those that it built."""
    pipelines: list[LedgerPipeline] = []

    def build(bench: Workbench) -> list[LedgerPipeline]:
        pipelines.append(LedgerPipeline(directory, bench.logger, **values))
        return [*pipelines, *others]

    registered = {**PIPELINES, "ledger": Entry(build)}
    return partial(build_pipelines, SETTINGS, only="ledger", registered=registered), pipelines


def run_backfill(
    directory: Path, *others: LedgerPipeline, again: bool = False, only_plan: bool = False, **values: Any
) -> int:
    pipelines_of, _ = built(directory, *others, **values)
    return backfill.run(pipelines_of, BATCHES, log_level="INFO", again=again, only_plan=only_plan)


def test_a_third_pipeline_is_prepared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipelines_of, pipelines = built(tmp_path / "ledger")
    assert prepare.run(pipelines_of, BATCHES[0], log_level="INFO", as_table=False)
    [line] = capsys.readouterr().out.splitlines()
    summary = json.loads(line)
    [written] = summary["written"]
    assert (summary["event"], written["asset"], written["row_count"]) == ("BATCH_PREPARED", "ledger", 7)
    assert [Path(place).read_text() for place in written["places"]] == ["rows of today"]
    assert pipelines[0].refreshed == BATCHES[:1]
    assert prepare.run(pipelines_of, BATCHES[0], log_level="INFO", as_table=True)
    assert f"Batch {BATCHES[0]} prepared in" in capsys.readouterr().out


def test_a_plan_shows_what_is_due_and_what_it_costs_and_does_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_backfill(tmp_path / "ledger", only_plan=True) == 0
    shown = capsys.readouterr().out
    assert "ledger             3 batches from 2026010203 to 2026010206: 0 are complete in the target, 3 to" in shown
    assert "pages              30" in shown
    assert shown.endswith("Nothing was written. Without --plan the batches are prepared.\n")
    assert not (tmp_path / "ledger").exists()


def test_a_backfill_prepares_what_is_missing_or_stale_and_keeps_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_backfill(tmp_path, words="old catalog") == 0
    captured = capsys.readouterr()
    assert "3 batches prepared, 0 failed, in 2 runs and " in captured.out
    progress = [json.loads(line) for line in captured.err.splitlines() if "BACKFILL_PROGRESS" in line]
    assert [(line["done"], line["of"]) for line in progress] == [(1, 3), (2, 3), (3, 3)]

    (tmp_path / BATCHES[1]).write_text("rows of yesterday, old catalog")
    (tmp_path / BATCHES[2]).unlink()
    assert run_backfill(tmp_path) == 0
    shown = capsys.readouterr().out
    assert "2 are complete in the target, 2 to prepare" in shown
    assert "other rows         1 are complete, but days of their windows have other rows" in shown
    assert "other catalog      1 complete batches were built with another catalog, first 2026010203; --again" in shown
    assert [(tmp_path / one).read_text() for one in BATCHES] == ["old catalog", "rows of today", "rows of today"]

    assert run_backfill(tmp_path, again=True) == 0
    assert "other catalog" not in capsys.readouterr().out
    assert [(tmp_path / one).read_text() for one in BATCHES] == ["rows of today"] * 3


@pytest.mark.parametrize(
    ("level", "expected", "told"),
    [("INFO", 20, list(range(2, 21, 2))), ("INFO", 3, [1, 2, 3]), ("INFO", None, []), ("WARNING", 20, [])],
)
@pytest.mark.parametrize("command", ["prepare", "backfill"])
def test_without_a_terminal_a_line_says_how_many_days_are_done_at_each_tenth(
    command: str,
    level: str,
    expected: int | None,
    told: list[int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pipelines_of, _ = built(tmp_path, curates_days=True, days_expected=expected)
    if command == "prepare":
        assert prepare.run(pipelines_of, BATCHES[0], log_level=level, as_table=False)
    else:
        assert backfill.run(pipelines_of, BATCHES, log_level=level, again=False, only_plan=False, as_json=True) == 0
    captured = capsys.readouterr()
    assert "PROGRESS" not in captured.out
    lines = [json.loads(line) for line in captured.err.splitlines() if "DAYS_PROGRESS" in line]
    assert [(line["done"], line["of"]) for line in lines] == [(done, expected) for done in told]


def test_a_terminal_shows_days_and_a_bar_of_batches_and_no_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    assert run_backfill(tmp_path, curates_days=True) == 0
    shown = terminal.text()
    assert "2 days of ledger curated, 2026-01-02 last" in shown
    assert "a file of [yesterday] is odd" in shown
    assert "3/3" in shown
    assert "batch 2026010206" in shown
    assert '"event"' not in shown + capsys.readouterr().out

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    assert run_backfill(tmp_path, curates_days=True, days_expected=3) == 0
    assert "3 of 3 days of ledger curated, 2026-01-03 last" in terminal.text()

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    pipelines_of, _ = built(tmp_path, curates_days=True, days_expected=3)
    assert prepare.run(pipelines_of, BATCHES[0], log_level="INFO", as_table=False)
    assert "✓ 3 of 3 days of days, 2026-01-03 last" in terminal.text()

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    pipelines_of, _ = built(tmp_path)
    assert prepare.run(pipelines_of, BATCHES[0], log_level="INFO", as_table=False)
    assert "✓ ledger: 7 rows" in terminal.text()


def test_a_batch_that_fails_stops_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_backfill(tmp_path, fails={BATCHES[0]: DataRuleError("a row is odd")}) == 1
    shown = capsys.readouterr().out
    assert f"FAILED {BATCHES[0]} ledger: a row is odd" in shown
    assert "2 batches prepared, 1 failed, in 2 runs" in shown


def test_what_would_fail_every_batch_ends_a_pipeline_and_counts_what_was_not_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_backfill(tmp_path, fails={BATCHES[0]: StoreError("no target")}) == 1
    shown = capsys.readouterr().out
    assert "not tried          1 batches, from 2026010206; run this again" in shown
    assert "1 batches prepared, 1 failed, in 1 runs" in shown


def test_an_interruption_ends_with_130_and_what_was_prepared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_backfill(tmp_path, fails={BATCHES[2]: KeyboardInterrupt()}) == 130
    shown = capsys.readouterr().out
    assert "not tried          1 batches, from 2026010206; run this again" in shown
    assert "2 batches prepared, 0 failed, in 2 runs" in shown
    assert shown.endswith("Interrupted. What is written is complete; the same command goes on with the rest.\n")
    assert "FAILED" not in shown
    pipelines_of, _ = built(tmp_path, fails={BATCHES[0]: KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        prepare.run(pipelines_of, BATCHES[0], log_level="INFO", as_table=False)


def test_a_pipeline_that_cannot_be_refreshed_or_planned_is_reported_and_the_next_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = LedgerPipeline(tmp_path / "other", _logger(), scope="b")
    failure = BatchFailure(BATCHES[0], "ledger", (), "no files can be listed")
    assert run_backfill(tmp_path / "one", other, refresh_fails=failure) == 1
    shown = capsys.readouterr().out
    assert f"FAILED {BATCHES[0]} ledger: no files can be listed" in shown
    assert "3 batches of b prepared, 0 failed" in shown
    assert not (tmp_path / "one").exists()

    for only_plan in (True, False):
        assert run_backfill(tmp_path / "one", other, plan_fails=StoreError("no target"), only_plan=only_plan) == 1
        shown = capsys.readouterr().out
        assert "FAILED ledger: no target" in shown
        assert "ledger             b: 3 batches from 2026010203 to 2026010206: 3 are complete" in shown

    pipelines_of, _ = built(tmp_path / "one", refresh_fails=failure)
    assert not prepare.run(pipelines_of, BATCHES[0], log_level="INFO", as_table=False)
    assert json.loads(capsys.readouterr().out)["failures"] == {"ledger": "no files can be listed"}


def test_a_wrong_setting_found_while_planning_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="SOMETHING is not set"):
        run_backfill(tmp_path, plan_fails=SettingsError("SOMETHING is not set"))


def test_a_name_of_which_the_settings_have_no_pipeline_is_refused(tmp_path: Path) -> None:
    values = {"TICKETS_URL": "sqlite:///tickets.sqlite", "LOW_VOLUME_FALLBACK_LABEL": "1"}
    tickets_only = parse_settings({**values, "TARGET_DIR": str(tmp_path)})
    with pytest.raises(SettingsError, match=r"there is no tenant: .* `gata ingest` lands the first"):
        build_pipelines(tickets_only, _logger(), only="interactions")
    assert [one.name for one in build_pipelines(tickets_only, _logger())] == ["tickets"]
    both = parse_settings({"TENANTS": "acme,globex"})
    assert [(one.name, one.scope) for one in build_pipelines(both, _logger())] == [
        ("tickets", ""),
        ("interactions", "acme"),
        ("interactions", "globex"),
    ]


def test_pipelines_are_of_the_tenants_with_files_while_tenants_is_unset(tmp_path: Path) -> None:
    values = {"TARGET_DIR": str(tmp_path)}
    LocalStore(str(tmp_path)).write("acme/raw/items/a.csv", b"x")
    scopes = [(one.name, one.scope) for one in build_pipelines(parse_settings(values), _logger())]
    assert scopes == [("tickets", ""), ("interactions", "acme")]
    for named in ("none", "globex"):
        built = build_pipelines(parse_settings({**values, "TENANTS": named}), _logger())
        assert [one.scope for one in built] == ["", *([named] if named != "none" else [])]


def test_tickets_are_prepared_where_tenants_cannot_be_found_which_is_a_failure(bucket: str) -> None:
    settings = parse_settings({"TARGET_BUCKET": f"{bucket}-is-not-there"})
    assert [one.name for one in build_pipelines(settings, _logger(), only="tickets")] == ["tickets"], (
        "nothing is listed"
    )
    tickets, others = build_pipelines(settings, _logger())
    assert (tickets.name, others.name) == ("tickets", "interactions")
    with dg.DagsterInstance.ephemeral() as instance:
        runs = Runs(instance)
        assert not others.refresh(runs, BATCHES)
    [failure] = runs.failures
    assert "could not be listed: NoSuchBucket" in failure.reason
    assert "TENANTS may name them, or say none." in failure.reason
    with pytest.raises(StoreError, match="TENANTS is unset"):
        others.plan(BATCHES, again=False)


@pytest.mark.parametrize("command", ["prepare", "backfill"])
def test_only_takes_the_names_of_the_registry(command: str) -> None:
    [only] = [parameter for parameter in main.commands[command].params if parameter.name == "only"]
    assert isinstance(only.type, click.Choice)
    assert list(only.type.choices) == list(PIPELINES)


def test_sizes_and_durations_have_a_unit_that_suits_them() -> None:
    assert [describe_size(size) for size in (12, 4_200, 5e6, 7.25e9)] == ["12 bytes", "4 kB", "5 MB", "7.2 GB"]
    assert [describe_duration(seconds) for seconds in (3.21, 600, 9_000)] == ["3.2 s", "10 min", "2.5 h"]


def _logger() -> dg.LoggerDefinition:
    return dg.colored_console_logger
