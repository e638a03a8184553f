"""`gata privacy erase`: a person in every table goes, a namesake stays, and a table that a user declares needs no code.

Real: the commands, settings, a directory, and S3 over HTTP (moto). Nothing is faked.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from time import sleep

import polars as pl
import pytest
from click.testing import CliRunner, Result

from gata_assets.cli.main import main
from gata_assets.curation.erasure.raw_rewriting import Mentions
from gata_assets.curation.staged_partitions import read_streams
from gata_assets.definitions.privacy.requests import open_requests
from gata_assets.definitions.stores import build_store
from gata_assets.governance.privacy.actors import Actor, command_actor
from gata_assets.settings.model import load_settings
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.raw_worlds import encode, interaction, item

PERSON = f"user-{canary('who is erased')}"
NAMESAKE = f"{PERSON}-2"
TABLES = '''
"""A table of a gym."""
from typing import Annotated

import pandera.polars as pa
import polars as pl


class Visits(pa.DataFrameModel):
    """Visits of members: a row a visit."""

    member: str = pa.Field(
        str_length={"min_value": 1}, description="Who came.", metadata={"personal": True, "subject": True}
    )
    entered_at: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(description="When they came.")
    minutes: int = pa.Field(ge=0, description="How long they stayed.")

    class Config:
        strict = True
        ordered = True
        metadata = {"table": "visits", "event_time": "entered_at", "partition_by": "day"}
'''


@pytest.fixture
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], ObjectStore]]:
    """The settings of a target with a declared table; gives what opens its store."""
    (tmp_path / "gym_tables.py").write_text(TABLES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TABLE_SPECS", "gym_tables")
    monkeypatch.setenv("PRIVACY_KEYS", f"1:{canary('a key of the tests')}{canary('and more of it')}")
    if getattr(request, "param", "local") == "s3":
        monkeypatch.setenv("TARGET_BUCKET", request.getfixturevalue("bucket"))
    else:
        monkeypatch.setenv("TARGET_DIR", str(tmp_path / "target"))
    yield lambda: build_store(load_settings())
    sys.modules.pop("gym_tables", None)


def gata(*arguments: str, standard_input: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=standard_input)


def ingest(table: str, name: str, content: bytes) -> None:
    """Land a file of the tenant."""
    Path(name).write_bytes(content)
    landed = gata("ingest", table, name, "--tenant", "acme")
    assert landed.exit_code == 0, landed.output


def fill() -> None:
    """The person and the namesake in each table, and in rejected rows."""
    ingest("items", "items.csv", encode([item()], "csv"))
    rows = [interaction(user_id=user) for user in (PERSON, NAMESAKE, "u1")]
    ingest("interactions", "a.csv", encode([*rows, interaction(user_id=PERSON, interaction_type="stare")], "csv"))
    ingest("interactions", "b.jsonl.gz", encode(rows, "jsonl.gz"))
    visits = "".join(f"{user},2026-01-02T03:04:05Z,{minutes}\n" for user in (PERSON, NAMESAKE) for minutes in (5, -5))
    ingest("visits", "visits.csv", f"member,entered_at,minutes\n{visits}".encode())


def staged_and_curated(store: ObjectStore) -> Iterator[str]:
    """The rows that count, as text."""
    for kind in ("staged", "curated"):
        for key in store.list_keys(f"acme/{kind}/"):
            content = store.read(key)
            is_parquet = key.endswith(".parquet")
            if key.endswith(".json"):
                continue
            rows = pl.read_parquet(BytesIO(content)) if is_parquet else pl.DataFrame(read_streams(content))
            yield repr(rows.to_dicts())


def lines(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("store", ["local", pytest.param("s3", marks=pytest.mark.server)], indirect=True)
def test_a_person_goes_from_all_tables_and_a_namesake_stays(store: Callable[[], ObjectStore]) -> None:
    fill()
    done = gata("privacy", "erase", "--tenant", "acme", "--subject", PERSON, "--request", "letter-1")
    assert done.exit_code == 0, done.output
    *places, last = lines(done)
    removed = {str(place["place"]): place["removed"] for place in places if any(dict(place["removed"]).values())}  # type: ignore[call-overload]
    assert removed == {
        "interactions: raw files, staged and rejected rows": {"records": 3, "rows": 2, "rejected_rows": 1},
        "visits: raw files, staged and rejected rows": {"records": 2, "rows": 1, "rejected_rows": 1},
    }
    assert (last["event"], last["request"], last["people"], last["left"]) == ("PEOPLE_ERASED", "letter-1", 1, [])
    contents = [store().read(key) for key in store().list_keys("acme/raw/interactions/")]
    assert any(NAMESAKE.encode() in content for content in contents)
    assert PERSON not in done.output
    again = gata("privacy", "erase", "--tenant", "acme", "--subject", PERSON, "--request", "letter-1")
    assert again.exit_code == 0
    assert not any(dict(place["removed"]).get("records") for place in lines(again)[:-1])  # type: ignore[call-overload]


def test_a_request_that_was_cut_off_goes_on_without_ids(
    store: Callable[[], ObjectStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill()
    requests = open_requests(load_settings(), store())
    asked = requests.ask("acme", [PERSON], "letter-1", Actor("http:1a2b3c4d"))
    requests.note_failed(asked, "StoreError")
    listed = gata("privacy", "requests", "--tenant", "acme")
    assert listed.exit_code == 0, listed.output
    [line] = lines(listed)
    deadline_at = (asked.asked_at + timedelta(hours=24)).isoformat()
    assert (line["request"], line["state"], line["by"], line["people"]) == ("letter-1", "open", asked.by, 1)
    assert (line["deadline_at"], line["failures"], line["last_failure"]) == (deadline_at, 1, "StoreError")
    unknown = gata("privacy", "erase", "--tenant", "acme", "--request", "letter-2")
    assert unknown.exit_code == 1
    assert "acme has no request letter-2 whose ids are stored" in unknown.output
    done = gata("privacy", "erase", "--tenant", "acme", "--request", "letter-1")
    assert done.exit_code == 0, done.output
    shown = gata("privacy", "requests", "--tenant", "acme", "--summary", "table")
    assert "completed" in shown.output
    again = gata("privacy", "erase", "--tenant", "acme", "--request", "letter-1")
    assert "is complete: nobody's ids are stored" in again.output
    assert PERSON not in listed.output + done.output + shown.output + again.output
    entries = lines(gata("privacy", "log", "--tenant", "acme"))
    by = {str(entry["kind"]): str(dict(entry["content"]).get("by")) for entry in entries}  # type: ignore[call-overload]
    assert (by["requested"], by["completed"]) == ("http:1a2b3c4d", command_actor())
    # One that was asked for longer ago than the deadline is shown, and fails.
    requests.ask("acme", ["u1"], "letter-2", Actor("cli:anna"))
    monkeypatch.setenv("PRIVACY_DEADLINE_HOURS", "0.00001")
    overdue = open_requests(load_settings(), store()).ask("acme", ["u2"], "letter-3", Actor("cli:anna"))
    while datetime.now(UTC) <= overdue.deadline_at:
        sleep(0.01)
    late = gata("privacy", "requests", "--tenant", "acme")
    assert late.exit_code == 1
    assert [(one["request"], one["is_overdue"]) for one in lines(late)][1:] == [("letter-2", False), ("letter-3", True)]


def test_another_delivery_brings_nobody_back(store: Callable[[], ObjectStore]) -> None:
    fill()
    assert gata("privacy", "erase", "--tenant", "acme", "--subject", PERSON).exit_code == 0
    refused = gata("ingest", "interactions", "a.csv", "--tenant", "acme")
    assert refused.exit_code == 1
    assert "rows of people who were erased" in refused.output
    rows = [interaction(user_id=user, item_id="i2") for user in (PERSON, "u9")]
    ingest("interactions", "late.csv", encode(rows, "csv"))
    assert not any(map(Mentions([PERSON]), staged_and_curated(store())))
    # What was sent is there as it came, until the next request of theirs.
    again = gata("privacy", "erase", "--tenant", "acme", "--subject", PERSON)
    assert again.exit_code == 0, again.output


def test_what_is_left_elsewhere_is_shown_and_fails(store: Callable[[], ObjectStore]) -> None:
    fill()
    store().write("acme/exports/mine.csv", f"who\n{PERSON}\n".encode())
    done = gata("privacy", "erase", "--tenant", "acme", "--subject", PERSON, "--summary", "table")
    assert done.exit_code == 1
    assert "left: acme/exports/mine.csv (1 values)" in done.output
    assert "Something of theirs is left: 1 objects." in done.output
    assert PERSON not in done.output


def test_the_same_id_of_others_is_another_person(store: Callable[[], ObjectStore]) -> None:
    fill()
    for key in ("globex/raw/interactions/2026-01-02/theirs.csv", "shop/raw/globex/customers-raw/theirs.csv"):
        store().write(key, f"who\n{PERSON}\n".encode())
    done = gata("privacy", "erase", "--tenant", "acme", "--subject", PERSON)
    assert done.exit_code == 0, done.output
    # Also those of a shop of the same name.
    store().write("shop/raw/acme/notes-raw/own.csv", f"who\n{PERSON}\n".encode())
    assert gata("privacy", "erase", "--tenant", "acme", "--subject", PERSON).exit_code == 0
    left = gata("privacy", "erase", "--tenant", "shop/acme", "--subject", PERSON)
    assert (left.exit_code, [one["key"] for one in lines(left)[-1]["left"]]) == (1, ["shop/raw/acme/notes-raw/own.csv"])  # type: ignore[attr-defined]


def test_a_request_of_other_people_is_refused(store: Callable[[], ObjectStore]) -> None:
    fill()
    assert gata("privacy", "erase", "--tenant", "acme", "--subject", "u1", "--request", "a").exit_code == 0
    refused = gata("privacy", "erase", "--tenant", "acme", "--subject", PERSON, "--request", "a")
    assert refused.exit_code == 1
    assert "is of other people" in refused.output


def test_ids_come_from_a_file_or_standard_input(store: Callable[[], ObjectStore]) -> None:
    fill()
    done = gata(
        "privacy", "erase", "--tenant", "acme", "--subjects-file", "-", standard_input=f"{PERSON}\r\n\n{NAMESAKE}\n"
    )
    assert done.exit_code == 0, done.output
    assert lines(done)[-1]["people"] == 2


def test_the_log_is_verified_and_names_nobody(store: Callable[[], ObjectStore]) -> None:
    fill()
    gata("privacy", "erase", "--tenant", "acme", "--subject", PERSON, "--request", "letter-1")
    shown = gata("privacy", "log", "--tenant", "acme")
    kinds = [str(line["kind"]) for line in lines(shown)]
    assert (kinds[0], *kinds[-2:]) == ("requested", "scanned", "completed")
    own = "".join(store().read(key).decode() for key in store().list_keys("acme/privacy/"))
    assert PERSON not in own + shown.output
    key = next(iter(store().list_keys("acme/privacy/log/")))
    store().write(key, store().read(key).replace(b'"people": 1', b'"people": 2'))
    broken = gata("privacy", "log", "--tenant", "acme")
    assert broken.exit_code == 1
    assert "is broken at entry 2" in broken.output


def test_who_is_held_is_not_erased(store: Callable[[], ObjectStore], monkeypatch: pytest.MonkeyPatch) -> None:
    fill()
    held = gata("retention", "hold", "add", "--tenant", "acme", "--subject", PERSON, "--reason", "litigation")
    assert held.exit_code == 0, held.output
    # Also with another key.
    monkeypatch.setenv(
        "PRIVACY_KEYS", f"{os.environ['PRIVACY_KEYS']},2:{canary('a newer key of tests')}{canary('two')}"
    )
    refused = gata("privacy", "erase", "--tenant", "acme", "--subject", PERSON, "--subject", NAMESAKE)
    assert refused.exit_code == 1
    assert "1 of 2 people of acme are under a legal hold" in refused.output
    assert list(store().list_keys("acme/privacy/")) == []
    assert gata("privacy", "erase", "--tenant", "acme", "--subject", NAMESAKE).exit_code == 0
    gone = gata("retention", "hold", "remove", "--tenant", "acme", "--subject", PERSON, "--reason", "settled")
    assert gone.exit_code == 0, gone.output
    assert gata("privacy", "erase", "--tenant", "acme", "--subject", PERSON).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Nobody is named"),
        (("--subject", ""), "each of 1 to 1,000 characters"),
        (("--subject", "a", "--request", "no/name"), "The name of a request is"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = gata("privacy", "erase", "--tenant", "acme", *arguments)
    assert refused.exit_code == 2
    assert said in refused.output


def test_without_a_key_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused = gata("privacy", "erase", "--tenant", "acme", "--subject", PERSON)
    assert refused.exit_code == 2
    assert "PRIVACY_KEYS has no key" in refused.output
    assert not (tmp_path / "gata-data").exists()
