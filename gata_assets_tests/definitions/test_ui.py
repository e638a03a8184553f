"""Dagster's UI as a newcomer uses it: the timeline, the lineage, the launchpad, runs, and the pages of assets.

Real: `dagster dev` with its daemon and code server, a SQLite store of sample tickets and raw files, commands that ran
before, and a Chromium that clicks. Nothing is faked. `pytest -m "not browser"` leaves this module out, where there is
no browser.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as BrowserTimeoutError

from gata_assets.settings.model import parse_settings
from gata_assets.tickets.windows import windows_of
from gata_assets_tests.support.dagster_servers import PATIENCE_SECONDS, WORKSPACE, answers, home_in, running, wait_until
from gata_assets_tests.support.loopback import free_port

pytestmark = [pytest.mark.browser, pytest.mark.process]

ASSETS = ("tickets", "label_counts", "general_split", "low_volume_tickets", "low_volume_split")
INTERACTION_ASSETS = (
    "curated_interactions",
    "curated_items",
    "user_features",
    "item_features",
    "recent_interactions",
    "negative_samples",
    "with_features",
)
# What commands prepared before the UI was started; the first failed, by a ticket that is in its window alone.
FAILED, PREPARED = "2026010201", "2026010202"
DATASETS = ("gata-general", "gata-low-vol")
SMALL_SHOP = ("--users", "200", "--items", "150", "--interactions", "3000")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# As root in a container, and without a word to anybody outside.
BROWSER_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True)
class Ui:
    """A Dagster UI that answers, and where it runs."""

    url: str
    place: Path
    environment: Mapping[str, str]

    @property
    def target(self) -> Path:
        """The directory that runs write to."""
        return self.place / "gata-data"

    def gata(self, *arguments: str) -> int:
        """Run a command where the UI runs, and return its exit code."""
        command = [sys.executable, "-m", "gata_assets", *arguments]
        return subprocess.run(
            command, cwd=self.place, env=self.environment, capture_output=True, timeout=300
        ).returncode

    def manifests(self, batch_id: str) -> list[dict[str, object]]:
        """The batch's manifests as they are on the disk."""
        paths = [self.target / "training" / dataset / batch_id / "manifest.json" for dataset in DATASETS]
        return [json.loads(path.read_text()) for path in paths]


@pytest.fixture(scope="module")
def browser_path() -> str:
    """The browser's program; fails, and never skips, where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.fail(
            f"None of {', '.join(BROWSERS)} is on the PATH, and this test clicks in one. Install one (`make browser`, "
            "as root on Debian), or leave out the tests that need it: `make test BROWSER=no`."
        )
    return found


@pytest.fixture(scope="module")
def ui(browser_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """`dagster dev` on a free port, over a sample, in a directory of its own; two batches were prepared before."""
    place, port = tmp_path_factory.mktemp("ui"), free_port()
    ui = Ui(f"http://127.0.0.1:{port}", place, home_in(place))
    assert ui.gata("sample-data", "--since", "2025-09-01", "--until", "2026-01-03", *SMALL_SHOP) == 0
    with closing(sqlite3.connect(place / "gata-sample.sqlite")) as tickets, tickets:
        first_hour = windows_of(FAILED, parse_settings({}).tickets.rules).training.start + 60
        spoil = """UPDATE ticket SET closed = ?, processed_data = ? WHERE id = (SELECT id FROM ticket
            WHERE via_channel = 'email' AND routed_by = 'external' ORDER BY closed DESC LIMIT 1)"""
        assert tickets.execute(spoil, (first_hour, "CAPITALS")).rowcount == 1
    assert ui.gata("prepare", FAILED, "--only", "tickets") == 1
    assert ui.gata("prepare", PREPARED) == 0
    with running(["dagster", "dev", *WORKSPACE, "-h", "127.0.0.1", "-p", str(port)], place, ui.environment) as server:
        wait_until(lambda: server.poll() is not None or answers(port), f"`dagster dev` to answer (see {place})")
        assert server.poll() is None, f"`dagster dev` ended with {server.returncode}: see {place}"
        yield ui


@pytest.fixture
def page(ui: Ui, browser_path: str, tmp_path: Path) -> Iterator[Page]:
    """An empty page of a browser that has never been used."""
    expect.set_options(timeout=PATIENCE_SECONDS * 1_000)
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path / "browser",
            executable_path=browser_path,
            headless=True,
            args=list(BROWSER_ARGUMENTS),
            base_url=ui.url,
            viewport={"width": 1600, "height": 900},
        )
        context.set_default_timeout(PATIENCE_SECONDS * 1_000)
        yield context.pages[0]
        context.close()


@contextmanager
def photographed(page: Page, path: Path) -> Iterator[None]:
    """What the page shows is kept when something fails."""
    try:
        yield
    except BaseException as error:
        with suppress(Exception):
            pages = page.context.pages
            for number, shown in enumerate(pages):
                shown.screenshot(path=path.with_stem(f"{path.stem}-{number}"))
        error.add_note(f"What the browser showed: {path.with_stem(f'{path.stem}-0')}")
        raise


def open_lineage(page: Page) -> None:
    """Show the lineage, and see all assets in it."""
    page.goto("/locations/gata_assets/asset-groups/tickets/lineage")
    for asset in ASSETS:
        expect(page.get_by_text(asset, exact=True).last).to_be_visible()


def is_offered(page: Page, batch_id: str) -> bool:
    """Type a partition's name; whether the launchpad then offers it."""
    page.get_by_role("dialog").get_by_placeholder("Partition").fill(batch_id)
    with suppress(BrowserTimeoutError):
        page.get_by_role("menuitem", name=batch_id).wait_for(timeout=2_000)
        return True
    return False


def follow_run(page: Page) -> None:
    """Stay on a run's page until it says how the run ended."""
    page.wait_for_url("**/runs/*")
    ended = page.get_by_text("Success", exact=True).or_(page.get_by_text("Failure", exact=True)).first
    expect(ended).to_be_visible()
    assert ended.inner_text() == "Success"


def require_dataset(page: Page, ui: Ui, batch_id: str) -> None:
    """The manifests are on the disk, and the partition's page shows the rows that they count."""
    general, low_volume = ui.manifests(batch_id)
    assert general["is_made"] is True
    assert low_volume["is_made"] is True
    for asset, manifest in (("general_split", general), ("low_volume_split", low_volume)):
        files = manifest["files"]
        assert isinstance(files, dict)
        rows = sum(one["rows"] for one in files.values())
        assert rows > 100
        page.goto(f"/assets/{asset}?view=partitions&partition={batch_id}")
        expect(page.get_by_role("row").filter(has_text="dagster/row_count")).to_contain_text(str(rows))


def test_the_lineage_shows_both_halves_and_what_they_are_built_from(page: Page, tmp_path: Path) -> None:
    groups = ("tickets", "sample_interactions")
    with photographed(page, tmp_path / "lineage.png"):
        # Assets that do not fit are not drawn, and those that hardly do have short names.
        page.set_viewport_size({"width": 3600, "height": 2200})
        page.goto("/asset-groups?expanded=" + quote(",".join(f"global@global:{group}" for group in groups), safe=""))
        for name in (*groups, *ASSETS, *INTERACTION_ASSETS, "ticket_table", "raw_interactions", "raw_items"):
            expect(page.get_by_text(name, exact=True).last).to_be_visible()


def test_a_run_of_a_command_is_in_the_timeline_and_with_its_job_and_can_be_executed_again(
    page: Page, tmp_path: Path
) -> None:
    with photographed(page, tmp_path / "timeline.png"):
        page.goto("/overview/activity/timeline")
        for job in ("prepare_tickets", "curate_interactions", "prepare_interactions"):
            expect(page.get_by_role("link", name=job)).to_be_visible()
        page.goto("/locations/gata_assets/jobs/prepare_tickets/runs")
        for shown in (f"partition: {FAILED}", "Failure", f"partition: {PREPARED}", "Success"):
            expect(page.get_by_text(shown, exact=True).first).to_be_visible()
        # The newest is the first.
        page.get_by_role("link", name="View", exact=True).first.click()
        expect(page.get_by_text("Success", exact=True).first).to_be_visible()
        page.get_by_role("button", name="Re-execute all").click()
        first = page.url
        page.wait_for_url(lambda url: "/runs/" in url and url != first)
        follow_run(page)


def test_the_first_page_of_an_asset_has_its_picture_and_what_is_not_in_it(page: Page, tmp_path: Path) -> None:
    with photographed(page, tmp_path / "asset.png"):
        page.set_viewport_size({"width": 1600, "height": 1600})
        page.goto("/assets/general_split")
        expect(page.get_by_role("row").filter(has_text="label_distribution")).to_contain_text("█")
        for number in ("tickets_excluded", "test_rows_with_twin", "train_rows"):
            expect(page.get_by_role("row").filter(has_text=number)).to_be_visible()
        page.goto("/assets/sample/raw_interactions")
        expect(page.get_by_role("row").filter(has_text="quarantined_rows_by_rule")).to_contain_text("█")
        for number in ("quarantined_share", "valid_rows", "refused_files"):
            expect(page.get_by_role("row").filter(has_text=number)).to_be_visible()


def test_a_failed_old_batch_is_seen_until_it_is_given_up_and_its_checks_are_those_of_the_newest(
    ui: Ui, page: Page, tmp_path: Path
) -> None:
    with photographed(page, tmp_path / "given-up.png"):
        open_lineage(page)
        # Each node, and nothing of the batch that failed before, but that there is one.
        expect(page.get_by_text("(1 failed)")).to_have_count(len(ASSETS))
        for passed in ("3 / 3 Passed", "2 / 2 Passed", "7 / 7 Passed"):
            expect(page.get_by_text(passed).first).to_be_visible()
        assert ui.gata("batches", "give-up", FAILED, "--reason", "a spoiled ticket") == 0
        page.reload()
        expect(page.get_by_text("3 / 3 Passed").first).to_be_visible()
        expect(page.get_by_text("(1 failed)")).to_have_count(0)


def test_one_partition_is_materialized_from_the_launchpad_of_the_lineage(ui: Ui, page: Page, tmp_path: Path) -> None:
    batch_id = "2026010203"
    with photographed(page, tmp_path / "launchpad.png"):
        open_lineage(page)
        # The arrow beside the button has no name.
        page.get_by_role("button", name="Materialize all").locator("xpath=following::button[1]").click()
        page.get_by_role("menuitem", name="Open launchpad").click()
        launchpad = page.get_by_role("dialog").filter(has_text="Launchpad")
        # Until the launchpad has looked at its configuration, it empties the field again.
        expect(launchpad.get_by_text("No errors")).to_be_visible()
        wait_until(lambda: is_offered(page, batch_id), f"the launchpad to offer partition {batch_id}")
        page.get_by_role("menuitem", name=batch_id).click()
        expect(launchpad.get_by_text(f"partition: {batch_id}")).to_be_visible()
        # Its icon has a name too, which comes first.
        launchpad.get_by_role("button", name=re.compile(r"Materialize$")).click()
        follow_run(page)
        require_dataset(page, ui, batch_id)


@pytest.mark.soak
def test_one_partition_is_materialized_with_the_button_of_the_lineage(ui: Ui, page: Page, tmp_path: Path) -> None:
    batch_id = "2026010204"
    with photographed(page, tmp_path / "button.png"):
        open_lineage(page)
        page.get_by_role("button", name="Materialize all").click()
        dialog = page.get_by_role("dialog")
        partitions = dialog.get_by_placeholder("ex: ")
        partitions.fill(batch_id)
        partitions.press("Enter")
        dialog.get_by_role("button", name="Launch 1 run").click()
        page.get_by_role("link", name="View", exact=True).click()
        follow_run(page)
        require_dataset(page, ui, batch_id)
