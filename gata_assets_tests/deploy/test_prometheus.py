"""Alerts and the dashboard: promtool accepts the rules and their tests, and each query of a panel has data.

Real: promtool, Prometheus, `gata serve` as a process, curation, a directory. Nothing is faked.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import yaml

from gata_assets.curation.policy import CurationRules
from gata_assets.governance.privacy.requests.backlog import NEAR
from gata_assets.ingestion.keys.key_store import KeyStore
from gata_assets.interactions.tables import ITEMS
from gata_assets.settings.model import parse_settings
from gata_assets.storage.local import LocalStore
from gata_assets_tests.cli.servers.test_serve import connect, serving
from gata_assets_tests.support.http_service import MULTIPART, multipart
from gata_assets_tests.support.prometheus import program, prometheus
from gata_assets_tests.support.raw_worlds import curate_day, curator_of, encode, interaction, item, send
from gata_assets_tests.support.signed_webhooks import VARIABLES, registered, signed

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES, TESTS = DEPLOY / "prometheus" / "alerts.yaml", DEPLOY / "prometheus" / "alerts_test.yaml"
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
_PATIENCE_SECONDS = 30.0


def alerts() -> dict[str, dict[str, Any]]:
    """The alerts by name."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


@pytest.mark.process
@pytest.mark.prometheus
@pytest.mark.parametrize("path", [RULES, DEPLOY / "shop" / "prometheus-alerts.yaml"], ids=["service", "shop"])
def test_promtool_accepts_the_alerts(path: Path) -> None:
    checked = subprocess.run([program("promtool"), "check", "rules", path], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.process
@pytest.mark.prometheus
def test_each_alert_fires_for_what_it_is_about() -> None:
    tested = subprocess.run([program("promtool"), "test", "rules", TESTS], capture_output=True, text=True)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    tried = {
        case["alertname"]
        for test in yaml.safe_load(TESTS.read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert tried == alerts().keys()


def test_the_thresholds_are_the_defaults_of_the_settings() -> None:
    quality = parse_settings({}).quality.rules
    assert alerts()["GataQualityScoreLow"]["expr"].endswith(f"< {quality.score_min:g}")
    assert f"< {NEAR.total_seconds():g} and" in alerts()["GataErasureNear"]["expr"].replace("\n", " ")
    assert alerts()["GataDataStale"]["expr"].endswith(f"> {quality.fresh_within.total_seconds():g}")


def test_panels_have_ids_of_their_own_and_a_place_of_their_own() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken = [
        (column, line)
        for panel in DASHBOARD["panels"]
        for column in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for line in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(column for column, _ in taken) < 24


def queries() -> Iterator[str]:
    """Each query of a panel, as Grafana sends it when all tenants and tables are chosen."""
    for panel in PANELS:
        for target in panel["targets"]:
            yield re.sub(r"\$(tenant|table)\b", ".*", target["expr"])


@pytest.mark.process
@pytest.mark.prometheus
def test_every_query_of_the_dashboard_has_data_and_promtool_accepts_the_metrics(tmp_path: Path) -> None:
    store, now = LocalStore(str(tmp_path / "target")), datetime.now(UTC)
    secret, _ = KeyStore(store, lambda: now).create("acme", ["admin"])
    curator = curator_of(tmp_path / "target", rules=CurationRules(now - timedelta(days=9), timedelta(days=1)), now=now)
    at = f"{now:%Y-%m-%dT00:00:00Z}"
    send(curator, [item()], tmp_path, data=ITEMS, name="items.csv")
    send(curator, [interaction(timestamp=at), interaction(timestamp=at), interaction(rating="9")], tmp_path)
    curate_day(curator, now.date())
    registered(store)
    with serving(
        tmp_path, EARLIEST_INTERACTION=f"{now - timedelta(days=9):%Y-%m-%d}", PRIVACY_KEYS=f"1:{'k' * 32}", **VARIABLES
    ) as (_, url):

        def post(path: str, content: bytes, kind: str, **more: str) -> None:
            urlopen(Request(url + path, content, {"X-API-Key": secret, "Content-Type": kind, **more})).close()

        def work(number: int) -> None:
            """What gives each counter something to count."""
            row = interaction(timestamp=at, user_id=f"u{number}")
            upload = multipart(encode([row, row | {"rating": "9"}], "csv"))
            post("/internal/data/upload-csv?data_type=interactions", upload, MULTIPART["Content-Type"])
            event = {name: value for name, value in row.items() if value}
            content = json.dumps(event).encode()
            post("/v1/events?table=interactions", content, "application/json")
            for _ in range(2):
                post("/webhooks/shop", content, "application/json", **signed(content, f"e{number}", at=now))
            with pytest.raises(HTTPError):
                post("/webhooks/shop", content, "application/json")
            with connect(url) as connection:
                connection.sendall(b"no request\r\n\r\n")
                assert connection.recv(100).startswith(b"HTTP/1.1 400")

        work(0)
        # Before the service reads them first: then it does so once a minute.
        post("/v1/privacy/erasures", b'{"subjects": ["nobody"]}', "application/json")
        with prometheus(tmp_path, url.removeprefix("http://")) as server:
            waiting, number, until = list(queries()), 0, monotonic() + _PATIENCE_SECONDS
            while waiting and monotonic() < until:
                number += 1
                work(number)
                sleep(0.2)
                waiting = [query for query in waiting if not has_numbers(server.ask(query))]
            assert waiting == []
        with urlopen(f"{url}/metrics") as answer:
            text = answer.read()
    # The earlier names are in hours and percent, which promtool advises against.
    own = b"".join(line + b"\n" for line in text.splitlines() if not re.match(rb"(# \w+ )?data_", line))
    checked = subprocess.run([program("promtool"), "check", "metrics"], input=own, capture_output=True)
    assert checked.stdout + checked.stderr == b""
    assert b'data_validity_percent{data_type="interactions",tenant_id="acme"}' in text


def has_numbers(series: list[dict[str, Any]]) -> bool:
    """Whether there is a series, and none is of undefined numbers alone."""
    return any(not math.isnan(float(one["value"][1])) for one in series)
