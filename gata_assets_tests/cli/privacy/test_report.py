"""`gata privacy report`: what the log and the manifests say of a request, for whoever asked and for an auditor.

Real: the commands, settings and a directory. Nothing is faked.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from gata_assets.curation.layout import TenantLayout
from gata_assets.governance.privacy.privacy_log import log_of
from gata_assets.governance.privacy.reports.page import report_page
from gata_assets.governance.privacy.reports.report import report_request
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.cli.privacy import test_erase
from gata_assets_tests.cli.privacy.test_erase import PERSON, fill, gata, lines
from gata_assets_tests.interactions.test_erasure import BEFORE, write_batch
from gata_assets_tests.support.memory_store import MemoryStore

store = test_erase.store
NOW = datetime(2026, 1, 10, tzinfo=UTC)


class Texts(HTMLParser):
    """The texts of a page, and the names of its tags; the latter have no address of anything."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not {"src", "href"} & {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def erase(*, code: int = 0) -> None:
    done = gata("privacy", "erase", "--tenant", "acme", "--subject", PERSON, "--request", "letter-1")
    assert done.exit_code == code, done.output


def report(*options: str, code: int = 0) -> str:
    shown = gata("privacy", "report", "--tenant", "acme", "letter-1", *options)
    assert shown.exit_code == code, shown.output
    assert PERSON not in shown.output
    return shown.stdout


def test_a_report_says_what_was_removed_and_what_is_not_erased(store: Callable[[], ObjectStore]) -> None:
    fill()
    write_batch(store(), BEFORE, PERSON)
    erase()
    for_requester = json.loads(report("--json"))
    assert (for_requester["state"], for_requester["people"], for_requester["batches"]) == ("complete", 1, [BEFORE])
    removed = {one["place"]: one["removed"] for one in for_requester["places"]}
    assert removed["interactions: features of batches"] == {"rows": 3}
    assert not {"entries", "head", "datasets", "verified"} & for_requester.keys()
    page = Texts(report())
    assert {"script", "link", "img"} & page.tags == set()
    assert "COMPLETE" in page.text
    assert "INCOMPLETE" not in page.text
    assert f"Models that were trained from these batches before contain the people:{BEFORE}" in page.text.replace(
        "\n", ""
    )
    for_auditor = json.loads(report("--format", "json", "--for", "auditor"))
    logged = lines(gata("privacy", "log", "--tenant", "acme"))
    # Each entry of the log has the digest of the one before.
    assert [entry["sha256"] for entry in for_auditor["entries"][:-1]] == [entry["previous"] for entry in logged[1:]]
    assert for_auditor["head"] == for_auditor["entries"][-1]["sha256"]
    assert for_auditor["datasets"] == [f"acme/features/{BEFORE}/", f"acme/training_data/{BEFORE}/"]
    assert (for_auditor["verified"]["files"] > 5, for_auditor["verified"]["problems"]) == (True, [])
    assert for_auditor["head"] in Texts(report("--for", "auditor")).text


def test_attempts_are_added_up_and_an_incomplete_request_says_so(store: Callable[[], ObjectStore]) -> None:
    fill()
    store().write("acme/exports/mine.csv", f"who\n{PERSON}\n".encode())
    erase(code=1)
    page = Texts(report(code=1))
    assert "INCOMPLETE" in page.text
    assert "acme/exports/mine.csv" not in page.text
    assert "acme/exports/mine.csv" in Texts(report("--for", "auditor", code=1)).text
    store().delete("acme/exports/mine.csv")
    erase()
    found = json.loads(report("--json"))
    assert (found["state"], found["scanned"]["findings"]) == ("complete", 0)
    removed = {one["place"]: one["removed"] for one in found["places"]}
    place = "interactions: raw files, staged and rejected rows"
    assert removed[place] == {"records": 3, "rows": 2, "rejected_rows": 1}


def test_an_auditor_sees_a_file_that_was_changed(store: Callable[[], ObjectStore]) -> None:
    fill()
    erase()
    key = next(iter(store().list_keys("acme/quarantine/visits/")))
    store().write(key, store().read(key) + b"x")
    assert "1 are not as they were written." in Texts(report("--for", "auditor", code=1)).text
    assert "COMPLETE" in Texts(report()).text


def test_an_unknown_request_and_a_broken_log_fail(store: Callable[[], ObjectStore]) -> None:
    fill()
    unknown = gata("privacy", "report", "--tenant", "acme", "letter-1")
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert "The log of acme has no request letter-1" in unknown.output
    erase()
    key = next(iter(store().list_keys("acme/privacy/log/")))
    store().write(key, store().read(key).replace(b'"people": 1', b'"people": 2'))
    assert "is broken at entry 2" in gata("privacy", "report", "--tenant", "acme", "letter-1").output


def test_an_export_has_a_report_too(store: Callable[[], ObjectStore]) -> None:
    fill()
    options = ("--subject", PERSON, "--to", "a.zip", "--request", "letter-1")
    assert gata("privacy", "export", "--tenant", "acme", *options).exit_code == 0
    page = Texts(report())
    assert "Whatever was found of the person is in the archive." in page.text
    assert "What was removed" not in page.text


@pytest.mark.parametrize("for_auditor", [False, True])
def test_a_page_shows_what_others_named_as_text(for_auditor: bool) -> None:
    evil = "<script>alert(1)</script>"
    target = MemoryStore()
    log = log_of(target, TenantLayout("acme"), lambda: NOW)
    log.append("requested", {"request": "r", "people": 1, "by": evil})
    cleared = {"place": evil, "objects": 1, "removed": {evil: 1}, "remains": evil}
    log.append("cleared", {"request": "r", **cleared})
    log.append("scanned", {"request": "r", "findings": [{"key": evil, "values": 1, "haystack": evil, "fault": evil}]})
    log.append("incomplete", {"request": "r"})
    found = report_request(target, log, "acme", "r", (), lambda: None)
    page = report_page(found, for_auditor=for_auditor, now=NOW)
    assert "<script" not in page
    assert evil in Texts(page).text
    assert Path(evil).name not in page
