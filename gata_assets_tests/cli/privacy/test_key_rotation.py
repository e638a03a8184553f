"""Keys change: people stay erased under the keys of before, and are found by the tokens of every masking key.

Real: the commands, settings, declared tables that are masked, and a directory. Nothing is faked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest

from gata_assets.definitions.stores import build_store
from gata_assets.settings.governance.keys import masking_tokens
from gata_assets.settings.model import load_settings
from gata_assets_tests.cli.privacy.test_erase import gata, ingest, lines
from gata_assets_tests.support.canaries import canary

PERSON, NAMESAKE = (f"{canary(name)}@example.com" for name in ("who is erased", "who stays"))
TABLES = '''
"""Tables of a gym, whose members are their e-mail addresses."""
from typing import Annotated

import pandera.polars as pa
import polars as pl


class Members(pa.DataFrameModel):
    """Members: the latest row of each."""

    member: str = pa.Field(unique=True, metadata={"personal": True, "subject": True})
    joined_at: Annotated[pl.Datetime, "us", "UTC"]
    level: int = pa.Field(ge=0)

    class Config:
        strict = True
        ordered = True
        metadata = {
            "table": "members",
            "key": ["member"],
            "event_time": "joined_at",
            "repetitions": "latest",
            "card_numbers": "truncate",
        }


class Visits(pa.DataFrameModel):
    """Visits of members: a row a visit."""

    who: str = pa.Field(metadata={"personal": "token", "format": "email", "subject": True})
    entered_at: Annotated[pl.Datetime, "us", "UTC"]
    minutes: int = pa.Field(ge=0)

    class Config:
        strict = True
        ordered = True
        metadata = {"table": "visits", "event_time": "entered_at", "partition_by": "day"}
'''


@pytest.fixture
def change_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, int], None]]:
    """The settings of a target with masked tables, and what adds a version to a setting's keys."""
    (tmp_path / "masked_gym.py").write_text(TABLES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TABLE_SPECS", "masked_gym")
    monkeypatch.setenv("TARGET_DIR", str(tmp_path / "target"))

    def change(variable: str, version: int) -> None:
        keys = [f"{number}:{canary(f'{variable} {number}') * 2}" for number in range(1, version + 1)]
        monkeypatch.setenv(variable, ",".join(keys))

    change("PRIVACY_KEYS", 1)
    # As it was before keys had versions.
    monkeypatch.setenv("MASKING_KEY", canary("MASKING_KEY 1") * 2)
    yield change
    sys.modules.pop("masked_gym", None)


def deliver(name: str) -> None:
    """A file of each table with both people, one row of which is rejected."""
    people, header = (PERSON, NAMESAKE), "entered_at,minutes"
    members = "".join(f"{one},2026-01-02T03:04:05Z,{level}\n" for one in people for level in (1, -1))
    ingest("members", f"members-{name}.csv", f"member,joined_at,level\n{members}# {name}\n".encode())
    visits = "".join(f"{one},2026-01-02T03:04:05Z,{minutes}\n" for one in people for minutes in (len(name), -5))
    ingest("visits", f"visits-{name}.csv", f"who,{header}\n{visits}".encode())


def masked_as(*people: str) -> set[str]:
    """What stands for people in staged, rejected and curated rows."""
    store, found = build_store(load_settings()), set[str]()
    for key in store.list_keys("acme/"):
        if key.endswith(".parquet") and "/raw/" not in key:
            frame = pl.read_parquet(BytesIO(store.read(key)))
            found |= {one for name in ("member", "who") if name in frame.columns for one in frame[name].to_list()}
    tokens = masking_tokens(load_settings().shop.masking_key)
    return found & {token for one in people for token in (one, *tokens.every_token("email", one))}


def erase(request: str = "letter") -> list[dict[str, object]]:
    done = gata("privacy", "erase", "--tenant", "acme", "--subject", PERSON, "--request", request)
    assert done.exit_code == 0, done.output
    return lines(done)


def test_people_are_erased_by_the_tokens_of_every_masking_key(change_key: Callable[[str, int], None]) -> None:
    deliver("a")
    change_key("MASKING_KEY", 2)
    change_key("LAKE_MASKING_KEY", 2)
    deliver("bc")
    assert len(masked_as(PERSON)) == len(masked_as(NAMESAKE)) == 2
    settings = load_settings()
    exports = {
        "acme/exports/lake.csv": settings.lake.offline_rules.tokens.every_token("person", PERSON)[1],
        "acme/exports/old.csv": masking_tokens(settings.shop.masking_key).every_token("email", PERSON)[1],
    }
    store = build_store(settings)
    for key, old in exports.items():
        store.write(key, f"who\n{old}\n".encode())
    left = gata("privacy", "erase", "--tenant", "acme", "--subject", PERSON, "--request", "letter")
    assert [one["key"] for one in lines(left)[-1]["left"]] == [*exports]  # type: ignore[attr-defined]
    for key in exports:
        store.delete(key)
    # The same request goes on, also with yet another key.
    change_key("MASKING_KEY", 3)
    assert erase()[-1]["people"] == 1
    assert masked_as(PERSON) == set()
    assert len(masked_as(NAMESAKE)) == 2
    deliver("def")
    assert masked_as(PERSON) == set()
    assert len(masked_as(NAMESAKE)) == 3


def test_people_stay_erased_under_the_key_of_before(
    change_key: Callable[[str, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver("a")
    erase("first")
    change_key("PRIVACY_KEYS", 2)
    deliver("bc")
    assert masked_as(PERSON) == set()
    erase("second")
    shown = gata("privacy", "log", "--tenant", "acme")
    versions = [one["content"].get("key_version") for one in lines(shown)]  # type: ignore[attr-defined]
    assert [version for version in versions if version] == [1, 2]
    monkeypatch.setenv("PRIVACY_KEYS", f"2:{canary('PRIVACY_KEYS 2') * 2}")
    before = [*build_store(load_settings()).list_keys("acme/privacy/")]
    Path("late.csv").write_text("who,entered_at,minutes\nx@example.com,2026-01-02T03:04:05Z,7\n")
    for command in (
        ("ingest", "visits", "late.csv", "--tenant", "acme"),
        ("privacy", "erase", "--tenant", "acme", "--subject", NAMESAKE),
    ):
        refused = gata(*command)
        assert refused.exit_code != 0
        assert "People of acme were erased under version 1 of PRIVACY_KEYS, which does not have it" in refused.output
    assert [*build_store(load_settings()).list_keys("acme/privacy/")] == before
