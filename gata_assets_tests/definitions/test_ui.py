"""Dagster's UI as a newcomer uses it: the lineage, the launchpad, the run, the partition's page.

Real: `dagster dev` with its daemon and code server, a SQLite store of sample tickets, and a Chromium that clicks.
Nothing is faked. `pytest -m "not browser"` leaves this module out, where there is no browser.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as BrowserTimeoutError

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
DATASETS = ("gata-general", "gata-low-vol")
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
    """A Dagster UI that answers, and the directory that its runs write to."""

    url: str
    target: Path

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
    """`dagster dev` on a free port, over sample tickets, in a directory of its own."""
    place = tmp_path_factory.mktemp("ui")
    environment = home_in(place)
    sample = ["gata_assets", "sample-data", "--since", "2025-09-01", "--until", "2026-01-03"]
    subprocess.run([sys.executable, "-m", *sample], cwd=place, env=environment, check=True, capture_output=True)
    port = free_port()
    with running(["dagster", "dev", *WORKSPACE, "-h", "127.0.0.1", "-p", str(port)], place, environment) as server:
        wait_until(lambda: server.poll() is not None or answers(port), f"`dagster dev` to answer (see {place})")
        assert server.poll() is None, f"`dagster dev` ended with {server.returncode}: see {place}"
        yield Ui(f"http://127.0.0.1:{port}", place / "gata-data")


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


def test_the_lineage_shows_both_halves(page: Page, tmp_path: Path) -> None:
    groups = ("tickets", "sample_interactions")
    with photographed(page, tmp_path / "lineage.png"):
        # Assets that do not fit are not drawn.
        page.set_viewport_size({"width": 1600, "height": 1240})
        page.goto("/asset-groups?expanded=" + quote(",".join(f"global@global:{group}" for group in groups), safe=""))
        for name in (*groups, *ASSETS, *INTERACTION_ASSETS):
            expect(page.get_by_text(name, exact=True).last).to_be_visible()


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
