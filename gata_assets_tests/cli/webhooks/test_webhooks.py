"""`gata webhooks` as its users call it. Real: the commands in this process, a target in a directory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gata_assets.errors import SettingsError
from gata_assets.ingestion.webhooks.source_store import WEBHOOKS
from gata_assets.settings.model import find_env_file
from gata_assets_tests.support.command import gata

SHOP = ("shop", "--tenant", "acme", "--table", "interactions", "--secret", "WEBHOOK_SECRET_SHOP")
CANARY = "whsec_canaryCanaryCanary"


def webhooks(directory: Path, *words: str) -> tuple[int, str, str]:
    ran = gata(directory, "webhooks", *words)
    return ran.returncode, ran.stdout, ran.stderr


def test_a_source_is_added_listed_replaced_and_removed(tmp_path: Path) -> None:
    code, out, err = webhooks(tmp_path, "add", *SHOP, "--json")
    added = json.loads(out)
    assert (code, err, added.pop("event"), added.pop("created_at")[:2]) == (0, "", "WEBHOOK_ADDED", "20")
    assert added == {
        "name": "shop",
        "tenant": "acme",
        "table": "interactions",
        "scheme": "standard",
        "secrets": ["WEBHOOK_SECRET_SHOP"],
        "is_flattened": False,
    }
    code, _, err = webhooks(tmp_path, "add", *SHOP)
    assert (code, "is there already" in err) == (1, True)
    words = (*SHOP, "--secret", "WEBHOOK_SECRET_NEW", "--scheme", "github", "--flatten", "--replace")
    code, out, _ = webhooks(tmp_path, "add", *words, "--summary", "table")
    assert (code, "/webhooks/shop" in out, "WEBHOOK_SECRET_SHOP and WEBHOOK_SECRET_NEW" in out) == (0, True, True)
    source, end = map(json.loads, webhooks(tmp_path, "list", "--json")[1].splitlines())
    assert (source["scheme"], source["is_flattened"], end) == (
        "github",
        True,
        {"event": "WEBHOOKS_LISTED", "sources": 1},
    )
    assert "WEBHOOK_SECRET_NEW" in webhooks(tmp_path, "list", "--summary", "table")[1]
    code, out, _ = webhooks(tmp_path, "remove", "shop", "--json")
    assert (code, json.loads(out)) == (0, {"event": "WEBHOOK_REMOVED", "name": "shop"})
    code, _, err = webhooks(tmp_path, "remove", "shop")
    assert (code, "There is no source shop" in err) == (1, True)
    assert "There is no source of webhooks" in webhooks(tmp_path, "list", "--summary", "table")[1]


def test_a_secret_that_is_given_is_refused_and_not_repeated(tmp_path: Path) -> None:
    code, out, err = webhooks(tmp_path, "add", *SHOP[:-1], CANARY)
    assert (code, out) == (1, "")
    assert "named, not given" in err and CANARY not in err
    assert not (tmp_path / "gata-data" / WEBHOOKS).exists()


def test_a_table_that_there_is_not_is_refused(tmp_path: Path) -> None:
    code, _, err = webhooks(tmp_path, "add", *SHOP[:-3], "nothing", *SHOP[-2:])
    assert (code, "No table nothing takes events" in err) == (1, True)


def test_a_settings_file_may_have_the_secrets(tmp_path: Path) -> None:
    file = tmp_path / "own.env"
    file.write_text(f"WEBHOOK_SECRET_SHOP={CANARY}\n")
    assert find_env_file(file)[1] == {"WEBHOOK_SECRET_SHOP": CANARY}
    file.write_text(f"WEBHOOKSECRET={CANARY}\n")
    with pytest.raises(SettingsError) as refused:
        find_env_file(file)
    assert CANARY not in str(refused.value)
