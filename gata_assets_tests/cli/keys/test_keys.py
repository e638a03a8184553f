"""`gata keys` as its users call it: the secret on stdout once, and nowhere else.

Real: the commands in this process, a target in a directory. The clock is that of this machine.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gata_assets.ingestion.keys.key_store import KeyStore
from gata_assets.ingestion.keys.secret_text import PATTERN, digest_of
from gata_assets.storage.local import LocalStore
from gata_assets_tests.support.command import gata


def keys(directory: Path, *words: str) -> tuple[int, str, str]:
    ran = gata(directory, "keys", *words)
    return ran.returncode, ran.stdout, ran.stderr


def store(directory: Path) -> KeyStore:
    return KeyStore(LocalStore(str(directory / "gata-data")), lambda: datetime.now(UTC))


def test_stdout_has_the_secret_alone_and_stderr_says_what_it_is_good_for(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    code, out, err = keys(tmp_path, "create", "--tenant", "acme", "--expires-in", "90d")
    assert code == 0
    assert re.fullmatch(PATTERN + "\n", out)
    key = store(tmp_path).find(out.strip())
    assert key is not None and (key.tenant, key.scopes) == ("acme", {"ingest", "validate"})
    assert key.expires_at is not None and key.expires_at - key.created_at == timedelta(days=90)
    assert before <= key.created_at <= datetime.now(UTC)
    assert f"gata_{key.prefix} of acme allows ingest, validate, and expires at {key.expires_at:%Y-%m-%d %H:%M}" in err
    assert f"`gata keys revoke {key.prefix}`" in err
    assert out.strip() not in err


def test_json_has_the_secret_once_and_the_key(tmp_path: Path) -> None:
    code, out, err = keys(tmp_path, "create", "--tenant", "acme", "--scope", "read", "--scope", "admin", "--json")
    [line] = map(json.loads, out.splitlines())
    secret = line.pop("secret")
    key = store(tmp_path).find(secret)
    assert (code, key is not None and key.scopes) == (0, {"read", "admin"})
    assert line.pop("created_at")
    assert line == {
        "event": "KEY_CREATED",
        "prefix": secret[5:13],
        "tenant": "acme",
        "scopes": ["read", "admin"],
        "expires_at": None,
        "revoked_at": None,
    }
    assert "does not expire" in err and secret not in err


@pytest.mark.parametrize("form", ["json", "table"])
def test_a_list_shows_neither_secrets_nor_digests(form: str, tmp_path: Path) -> None:
    made = [keys(tmp_path, "create", "--tenant", tenant)[1].strip() for tenant in ("beta", "acme", "acme")]
    keys(tmp_path, "revoke", made[1][5:13])
    code, out, err = keys(tmp_path, "list", "--summary", form)
    assert (code, err) == (0, "")
    for secret in made:
        assert secret[5:13] in out
        assert secret[14:] not in out
        assert digest_of(secret)[:16] not in out
    if form == "table":
        assert re.search(rf"gata_{made[1][5:13]} +│ acme +│ ingest, validate +│ revoked +│", out)
        assert re.search(rf"gata_{made[0][5:13]} +│ beta +│ ingest, validate +│ live +│", out)
        return
    *listed, end = map(json.loads, out.splitlines())
    assert [(one["tenant"], one["prefix"], one["state"]) for one in listed] == [
        ("acme", made[1][5:13], "revoked"),
        ("acme", made[2][5:13], "live"),
        ("beta", made[0][5:13], "live"),
    ]
    assert end == {"event": "KEYS_LISTED", "keys": 3}


def test_the_keys_of_one_tenant_are_listed_alone(tmp_path: Path) -> None:
    for tenant in ("beta", "acme"):
        keys(tmp_path, "create", "--tenant", tenant)
    _, out, _ = keys(tmp_path, "list", "--tenant", "beta", "--json")
    assert [json.loads(line).get("tenant") for line in out.splitlines()] == ["beta", None]
    _, out, _ = keys(tmp_path, "list", "--tenant", "other", "--summary", "table")
    assert out == "There is no key of other in gata-data/ingestion/keys: `gata keys create` makes one.\n"


@pytest.mark.parametrize("named", ["{0}", "gata_{0}", "{1}"])
def test_a_key_is_revoked_by_its_prefix_or_by_all_of_it(named: str, tmp_path: Path) -> None:
    secret = keys(tmp_path, "create", "--tenant", "acme")[1].strip()
    prefix = named.format(secret[5:13], secret)
    code, out, _ = keys(tmp_path, "revoke", prefix, "--json")
    once = json.loads(out)
    assert (code, once["event"], once["prefix"]) == (0, "KEY_REVOKED", secret[5:13])
    assert store(tmp_path).find(secret) is None
    code, out, _ = keys(tmp_path, "revoke", prefix, "--json")
    assert (code, json.loads(out)) == (0, once)
    code, out, _ = keys(tmp_path, "revoke", prefix, "--summary", "table")
    assert out.startswith(f"The key gata_{secret[5:13]} of acme is revoked since 20")
    assert out.endswith("Services refuse a revoked key within 5 seconds.\n")
    assert secret[14:] not in out


def test_an_argument_that_is_no_prefix_is_not_shown_again(tmp_path: Path) -> None:
    secret = keys(tmp_path, "create", "--tenant", "acme")[1].strip()
    for wrong in (secret[14:], secret[6:], "acme", secret + "!", ""):
        code, out, err = keys(tmp_path, "revoke", wrong)
        assert (code, out) == (2, "")
        assert "a prefix is the 8 of 0-9 a-z behind gata_ in a key" in err
        assert secret[20:40] not in err
    code, _, err = keys(tmp_path, "revoke", "aaaaaaaa")
    assert (code, "There is no such key in gata-data/ingestion/keys" in err) == (1, True)


def test_a_third_live_key_is_refused_with_what_to_do(tmp_path: Path) -> None:
    for _ in range(2):
        assert keys(tmp_path, "create", "--tenant", "acme")[0] == 0
    code, out, err = keys(tmp_path, "create", "--tenant", "acme")
    assert (code, out) == (1, "")
    assert "acme has 2 live keys" in err and "`gata keys revoke PREFIX`" in err


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--tenant", "Acme"], "a name is 1 to 63 of a-z 0-9 _"),
        (["--tenant", "ingestion"], "other than governance, ingestion, intermediate"),
        (["--tenant", "acme", "--scope", "write"], "'write' is not one of"),
        (["--tenant", "acme", "--expires-in", "soon"], "'soon' is not a time: days or hours are needed"),
        (["--tenant", "acme", "--expires-in", "0d"], "'0d' is not a time"),
        ([], "Missing option '--tenant'"),
    ],
)
def test_what_makes_no_key_is_refused_before_anything_is_written(words: list[str], shown: str, tmp_path: Path) -> None:
    code, out, err = keys(tmp_path, "create", *words)
    assert (code, out) == (2, "")
    assert shown in " ".join(err.split())
    assert list(tmp_path.iterdir()) == []
