"""What was asked for is carried out by the job, whoever was killed, and whatever else fails.

Real: raw files, curation, all places of the settings, Dagster's run, a directory and S3 over HTTP. Where each call
fails in turn, the target is in memory. Faked: the Pushgateway's store.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import dagster as dg
import pytest

from gata_assets.curation.layout import TenantLayout
from gata_assets.definitions.privacy.places import find_places
from gata_assets.definitions.privacy.requests import push_backlogs
from gata_assets.errors import StoreError
from gata_assets.governance.privacy.actors import DAGSTER, Actor
from gata_assets.governance.privacy.erasing import erase
from gata_assets.governance.privacy.privacy_log import log_of
from gata_assets.governance.privacy.requests.backlog import read_backlog
from gata_assets.governance.privacy.requests.job import ERASE_PEOPLE, ERASED_PEOPLE, IN_TIME, assess, build_erasing
from gata_assets.governance.privacy.requests.rounds import Outcome, carry_out_all
from gata_assets.governance.retention.holds import Holds
from gata_assets.orchestration.asset_options import AssetOptions
from gata_assets.orchestration.jobs import batch_partitions
from gata_assets.settings.model import Settings, parse_settings
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.memory_store import FailingStore, MemoryStore
from gata_assets_tests.support.pushgateway import pushgateway
from gata_assets_tests.support.raw_worlds import curate_day, curator_of, interaction, send

PERSON, OTHER = f"user-{canary('who is erased')}", f"user-{canary('another')}"
NAMESAKE = f"{PERSON}-2"
BY = Actor("cli:anna")
SETTINGS = {"PRIVACY_KEYS": f"1:{canary('a key of the tests')}{canary('and more of it')}"}
OPTIONS = AssetOptions(batch_partitions("2026010100"), "1", dg.BackfillPolicy.single_run())


def now() -> datetime:
    return datetime.now(UTC)


def fill(store: ObjectStore, directory: Path, *tenants: str) -> None:
    """Two people and a namesake of each tenant, in raw files and a curated day."""
    for tenant in tenants:
        curator = curator_of(store, tenant)
        for number, people in enumerate([(PERSON, NAMESAKE), (PERSON, OTHER)]):
            rows = [interaction(user_id=one, item_id=f"i{number}") for one in people]
            send(curator, rows, directory, name=f"{tenant}-{number}.csv")
        curate_day(curator, datetime(2026, 1, 2).date())


def left(store: ObjectStore) -> set[str]:
    """Whose ids are in an object that is not compressed: what is has been searched by the erasure itself."""
    content = b"".join(store.read(key) for key in store.list_keys(""))
    return {one for one in (PERSON, OTHER) if one.encode() in content.replace(NAMESAKE.encode(), b"")}


def run(
    settings: Settings, store: ObjectStore, clock: Callable[[], datetime] = now
) -> tuple[dg.ExecuteInProcessResult, dg.AssetCheckEvaluation]:
    """A run of the job, and what its check said."""
    opened, push = partial(find_places, settings), partial(push_backlogs, settings)
    erasing = build_erasing("0 0 * * *", OPTIONS, opened, push, clock)
    definitions = dg.Definitions.merge(erasing, dg.Definitions(resources={"object_store": store}))
    ran = definitions.resolve_job_def(ERASE_PEOPLE).execute_in_process(raise_on_error=False)
    [check] = ran.get_asset_check_evaluations()
    assert (check.asset_key, check.check_name) == (ERASED_PEOPLE, IN_TIME)
    return ran, check


def numbers(ran: dg.ExecuteInProcessResult) -> dict[str, object]:
    [event] = ran.get_asset_materialization_events()
    return {name: value.value for name, value in event.materialization.metadata.items()}


@pytest.mark.server
def test_one_request_that_fails_stops_no_other_and_the_run_says_which(any_store: ObjectStore, tmp_path: Path) -> None:
    fill(any_store, tmp_path / "files", "acme", "globex")
    with pushgateway() as gateway:
        settings = parse_settings({**SETTINGS, "PROMETHEUS_PUSHGATEWAY_URL": gateway.url})
        requests = find_places(settings, any_store).requests
        requests.ask("acme", [PERSON], "held", BY)
        requests.ask("acme", [OTHER], "free", BY)
        requests.ask("globex", [PERSON, OTHER], "both", BY)
        cut_off = requests.ask("globex", ["nobody"], "cut-off", BY)
        any_store.delete("globex/privacy/requests/cut-off.json")
        holds = Holds(any_store, settings.privacy.privacy_keys.every_digest)
        holds.add("acme", PERSON, "litigation", now())
        ran, check = run(settings, any_store)
        assert not ran.success
        [failure] = [event for event in ran.all_events if event.is_step_failure]
        message = str(failure.event_specific_data.error.message)  # type: ignore[union-attr]
        assert "2 of 4 requests failed." in message
        assert "request held of acme: 1 of 1 people of acme are under a legal hold" in message
        assert "request cut-off of globex: whoever asked was cut off" in message
        assert PERSON not in message
        assert check.passed
        assert numbers(ran) == {"completed": 2, "failed": 2, "open": 2}
        found = gateway.samples("/metrics/job/gata_privacy/tenant_id/acme")
        assert (found["gata_erasure_open_requests"], found["gata_erasure_overdue_requests"]) == (1, 0)
        held = requests.find("acme", "held")
        assert held
        assert (held.state, held.failures, held.last_failure) == ("open", 1, "HeldPeopleError")
        assert found["gata_erasure_next_deadline_timestamp_seconds"] == held.deadline_at.timestamp()
        # What is held is overdue in the end, and warned of before.
        near = assess([read_backlog(requests, "acme", now())], now() + timedelta(hours=19))
        assert (near["passed"], near["severity"]) == (False, dg.AssetCheckSeverity.WARN)
        assert near["description"] == "1 have little time left: acme held."
        late = run(settings, any_store, lambda: now() + timedelta(hours=25))[1]
        assert (late.passed, late.severity) == (False, dg.AssetCheckSeverity.ERROR)
        assert late.description == "2 are past their deadline: acme held, globex cut-off."
        holds.remove("acme", PERSON)
        requests.ask("globex", ["nobody"], cut_off.request, BY)
        ran, check = run(settings, any_store)
        assert ran.success, check.description
        assert left(any_store) == set()
        assert gateway.samples("/metrics/job/gata_privacy/tenant_id/globex")["gata_erasure_open_requests"] == 0
    last = log_of(any_store, TenantLayout("acme"), now).read()[-1]
    assert (last.kind, last.content) == ("completed", {"request": "held", "by": DAGSTER})


def finished_by_a_round(at: int, store: MemoryStore) -> bool:
    """Whether a command that was cut off at a call is finished by a round; None was cut off if it has fewer calls."""
    settings = parse_settings(SETTINGS)
    failing = FailingStore(store, at)
    places = find_places(settings, failing)
    is_cut_off = False
    try:
        asked = places.requests.ask("acme", [PERSON, OTHER], "letter-1", BY)
        erase(places, asked, [PERSON, OTHER], by=BY, clock=now)
    except StoreError:
        is_cut_off = True
    outcomes: list[Outcome] = []
    places = find_places(settings, store)
    [known] = places.requests.read_all("acme").requests or [None]
    carry_out_all(places, DAGSTER, now, outcomes.append)
    if known is None or known.state == "without ids":
        # Who was cut off at the beginning was not answered, and gives the same command again.
        assert [one.failure[:35] for one in outcomes] == (["whoever asked was cut off before th"] if known else [])
        places.requests.ask("acme", [PERSON, OTHER], "letter-1", BY)
        carry_out_all(places, DAGSTER, now, lambda one: pytest.fail(str(one)) if one.failure else None)
    else:
        assert not any(one.failure for one in outcomes)
    [found] = places.requests.read_all("acme").requests
    assert (found.state, found.sealed) == ("completed", None)
    assert left(store) == set()
    return is_cut_off


@pytest.mark.parametrize("step", [15, pytest.param(1, marks=pytest.mark.soak)])
def test_a_command_that_is_killed_at_any_call_is_finished_by_the_job(step: int, tmp_path: Path) -> None:
    store = MemoryStore()
    fill(store, tmp_path / "files", "acme")
    assert left(store) == {PERSON, OTHER}
    at = 1
    while finished_by_a_round(at, store.copy()):
        at += step
    assert at > 100
