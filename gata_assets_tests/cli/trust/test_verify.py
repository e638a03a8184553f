"""`gata verify` on a target that real commands have written: what is changed or removed is found, and nothing else.

Real: the sample, batches of tickets and interactions, a lake, a shop, events, a directory, the commands in this
process. Nothing is faked.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import boto3
import pytest
from dagster_aws.s3 import S3Resource

from gata_assets.cli.trust.verifying import FORMS
from gata_assets.governance.trust.findings import Counts, Problem
from gata_assets.governance.trust.names import is_manifest, is_report
from gata_assets.governance.trust.verification import Verification
from gata_assets.ingestion.segments.chain import Chain
from gata_assets.ingestion.segments.rejected import RejectedMessage
from gata_assets.ingestion.segments.rollup import RollUp, RollUpRules
from gata_assets.interactions.tables import INTERACTIONS
from gata_assets.storage.local import LocalStore
from gata_assets.storage.s3 import S3StoreResource
from gata_assets_tests.governance.trust.test_walk import publish
from gata_assets_tests.support.command import PROGRAM, Ran, environment, gata
from gata_assets_tests.support.event_worlds import OTHER, PARTITION, START, STREAM, event, segment_of
from gata_assets_tests.support.raw_worlds import curator_of

_SAMPLE = (
    "sample-data --since 2025-09-01 --until 2026-01-03 --days 4 --tickets-per-day 15 --users 60 --items 30 "
    "--interactions 4000 --lake-tickets 40 --shop-orders 40"
)
BATCH = "2026010203"
# A pattern of the keys of each kind of object whose bytes are proven.
KINDS = {
    "training channels": r"training/gata-general/\d+/train/data\.json",
    "intermediate tables": r"intermediate/tickets/\d+\.parquet",
    "counts of labels": r"intermediate/label_counts/\d+\.parquet",
    "invalid tickets": r"intermediate/tickets_quarantine/\d+\.parquet",
    "raw files": r"sample/raw/interactions/.*",
    "staged interactions": r"sample/staged/interactions/.*\.arrows",
    "staged items": r"sample/staged/items/.*\.parquet",
    "quarantine": r"sample/quarantine/interactions/.*",
    "curated days": r"sample/curated/interactions/[\d-]+/interactions-.*",
    "ids of a curated day": r"sample/curated/interactions/[\d-]+/users-.*",
    "the catalog": r"sample/curated/items/items-.*",
    "tables of the lake": r"sample/curated/tickets/.*\.parquet",
    "features": r"sample/features/\d+/user_features/.*",
    "training rows": r"sample/training_data/\d+/negative_samples/.*",
    "raw files of a shop": r"shop/raw/sample/orders-raw/.*",
    "staged rows of a shop": r"shop/curated/sample/staged/.*",
    "curated rows of a shop": r"shop/curated/sample/curated/.*\.parquet",
    "progress of a shop": r"shop/curated/sample/progress/.*\.arrow",
    "tables for analysts": r"shop/prod/sample/order_facts/.*/build=.*\.parquet",
    "raw files of events": r"acme/raw/interactions/.*",
    "origins of events": r"acme/events/interactions/.*",
    "segments": r"ingestion/segments/http/.*\.arrow",
    "rejected messages": r"ingestion/quarantine/kafka/.*\.parquet",
}
# Whose removal nothing shows, since nothing names them.
UNNAMED = ("invalid tickets", "rejected messages", "segments")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a target of everything, of which copies are changed."""
    directory = tmp_path_factory.mktemp("verify")
    assert gata(directory, *_SAMPLE.split()).returncode == 0
    with sqlite3.connect(directory / "gata-sample.sqlite") as tickets:
        newest = "SELECT id FROM ticket WHERE closed < 1767225600 ORDER BY closed DESC LIMIT 9"
        tickets.execute(f"UPDATE ticket SET processed_data = 'ÄÖÜ' WHERE id IN ({newest})")
    rows = "u1,i1,view,2026-01-01T10:00:00Z,\nu2,,view,2026-01-01T11:40:00Z,\n"
    (directory / "rows.csv").write_text(f"user_id,item_id,interaction_type,timestamp,rating\n{rows}")
    assert gata(directory, "ingest", "interactions", "rows.csv", "--tenant", "sample").returncode == 0
    few = {"MIN_INTERACTIONS_PER_USER": "1", "MIN_INTERACTIONS_PER_ITEM": "1", "ON_INVALID_TICKETS": "quarantine"}
    ran = gata(directory, "prepare", BATCH, **few)
    assert ran.returncode == 0, ran.stderr
    write_events(LocalStore(str(directory / "gata-data")))
    return directory


def write_events(store: LocalStore) -> None:
    """Events that were rolled up and validated, later ones that were not, and a message that is no event."""
    for stream in (STREAM, OTHER, PARTITION):
        chain = Chain(store, stream)
        segment = segment_of([event(number) for number in range(3)], first=chain.end(), stream=stream)
        if stream == PARTITION:
            message = RejectedMessage(3, "no_json", b"acme", b"{", (), START)
            segment = replace(segment, end=4, rejected=(message,))
        assert chain.append(segment).is_own
    for _ in RollUp(store, lambda: START + timedelta(hours=10), RollUpRules()).run():
        pass
    assert curator_of(store, now=START + timedelta(hours=2)).validate_new(INTERACTIONS)
    chain = Chain(store, STREAM)
    for number in range(3):
        assert chain.append(segment_of([event(number)], first=chain.end())).is_own


@pytest.fixture
def target(written: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the target of everything, with the files' times, in a directory with the settings' defaults."""
    directory = tmp_path / "place"
    shutil.copytree(written / "gata-data", directory / "gata-data")
    yield directory / "gata-data"
    shutil.rmtree(directory)


def verify(target: Path) -> tuple[list[Problem], Counts]:
    verification = Verification(LocalStore(str(target)), FORMS, pause=lambda _: None)
    return list(verification.run()), verification.counts


def keys_of(target: Path, kind: str) -> list[str]:
    found = [key for key in LocalStore(str(target)).list_keys("") if re.fullmatch(KINDS[kind], key)]
    assert found, kind
    return found


def lines(ran: Ran) -> list[dict[str, object]]:
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_a_target_that_commands_have_written_is_what_it_was(written: Path) -> None:
    ran = gata(written, "verify", "--json")
    assert ran.returncode == 0, ran.stdout
    [counts] = lines(ran)
    keys = list(LocalStore(str(written / "gata-data")).list_keys(""))
    assert counts["event"] == "TARGET_VERIFIED"
    assert counts["objects"] == len(keys)
    assert counts["namers"] == len([key for key in keys if is_manifest(key) or is_report(key)]) + 3
    assert counts["problems"] == counts["leftovers"] == counts["waiting"] == counts["changing"] == 0
    # The invalid tickets, the rejected messages, and the segments that are kept.
    assert counts["proven"] == 2 + len(keys_of(written / "gata-data", "segments")) + 1
    counted = [counts[name] for name in ("namers", "named", "proven", "records")]
    assert sum(counted) - 3 + 1 >= len(keys), "each object is counted"  # type: ignore[arg-type]
    text = gata(written, "verify", "--summary", "table").stdout
    assert text.startswith("Every object is what it was when it was written.\n"), text


def test_every_file_that_is_changed_is_found_and_no_other(target: Path) -> None:
    random = Random(20260102)
    changed = {kind: random.choice(keys_of(target, kind)) for kind in KINDS}
    for key in changed.values():
        path = target / key
        content = bytearray(path.read_bytes())
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
        path.write_bytes(content)
    problems, counts = verify(target)
    found = {problem.key for problem in problems}
    assert {kind for kind, key in changed.items() if key not in found} == set()
    assert found == set(changed.values())
    assert counts.problems == len(problems) >= len(changed)


def test_every_file_that_is_removed_is_found_and_no_other(target: Path) -> None:
    removed = {kind: keys_of(target, kind)[0] for kind in KINDS if kind not in UNNAMED}
    for key in removed.values():
        (target / key).unlink()
    problems, counts = verify(target)
    assert {problem.key for problem in problems} == set(removed.values())
    assert {problem.kind for problem in problems} == {"missing"}
    assert counts.missing == len(problems)


def test_a_segment_that_is_missing_between_others_is_found(target: Path) -> None:
    assert gata(target.parent, "verify").returncode == 0
    *_, between, _ = [key for key in keys_of(target, "segments") if STREAM in key]
    (target / between).unlink()
    problems, _ = verify(target)
    assert [(problem.kind, problem.key) for problem in problems] == [("damaged", between)]


def test_a_problem_is_a_line_of_json_or_of_text_and_exits_with_1(target: Path) -> None:
    key = keys_of(target, "features")[0]
    (target / key).write_bytes((target / key).read_bytes() + b"\0")
    (target / "sample/features/leftover.parquet").write_bytes(b"PAR1")
    ran = gata(target.parent, "verify", "--json")
    assert ran.returncode == 1
    problem, counts = lines(ran)
    assert (problem["event"], problem["key"]) == ("OBJECT_DIFFERS", key)
    assert problem["named_by"] == f"sample/features/{BATCH}/manifest.json"
    assert "bytes, not" in str(problem["found"])
    assert (counts["problems"], counts["differing"], counts["leftovers"]) == (1, 1, 1)
    text = gata(target.parent, "verify", "--summary", "table").stdout
    assert re.search(rf"^DIFFERS +gata-data/{re.escape(key)} \(.*manifest.json names it\): This file has ", text)
    assert "1 problems: 1 differ, 0 are missing" in text


def test_tenants_that_are_named_are_verified_alone(target: Path) -> None:
    for kind in ("features", "raw files of events", "curated rows of a shop", "training channels"):
        (target / keys_of(target, kind)[0]).unlink()
    for tenants, kinds in (
        (["sample"], {"features"}),
        (["acme"], {"raw files of events"}),
        (["shop/sample"], {"curated rows of a shop"}),
        (["acme", "shop/sample"], {"raw files of events", "curated rows of a shop"}),
    ):
        ran = gata(target.parent, "verify", "--json", *(word for tenant in tenants for word in ("--tenant", tenant)))
        found = {str(line["key"]) for line in lines(ran)[:-1]}
        assert {kind for kind in KINDS for key in found if re.fullmatch(KINDS[kind], key)} == kinds
        assert ran.returncode == bool(kinds)
    assert gata(target.parent, "verify", "--tenant", "No Tenant").returncode == 2


def test_without_an_object_nothing_is_known(tmp_path: Path) -> None:
    ran = gata(tmp_path, "verify", "--summary", "table", "--tenant", "acme")
    assert (ran.returncode, ran.stdout.splitlines()[0]) == (1, "There is no object.")
    assert ran.stderr == "Nothing was verified: gata-data has no object of acme.\n"
    assert gata(tmp_path, "verify").returncode == 1


@pytest.mark.parametrize("own", [("prod",), ("raw", "curated", "prod")])
def test_buckets_of_the_shop_are_verified_with_the_target(own: tuple[str, ...], bucket: str, tmp_path: Path) -> None:
    places, target = {}, S3StoreResource(bucket=bucket, s3=S3Resource())
    buckets = {name: f"{bucket}-{name}" for name in own}
    for name in ("raw", "curated", "prod"):
        if name in buckets:
            boto3.client("s3").create_bucket(Bucket=buckets[name])
            place = S3StoreResource(bucket=buckets[name], s3=S3Resource())
        else:
            place = target
        places[name] = (place, "" if name in buckets else f"shop/{name}/")
    publish(target, b"one", folder="acme/features/2026010203/")
    damaged = []
    for name, (place, prefix) in places.items():
        [key] = publish(place, name.encode(), folder=f"{prefix}sample/of_{name}/")
        if name != "raw":
            place.write(key, b"other")
            damaged.append(f"shop/{name}/{key.removeprefix(prefix)}")
    variables = {"TARGET_BUCKET": bucket} | {f"SHOP_{name.upper()}_BUCKET": own for name, own in buckets.items()}
    ran = gata(tmp_path, "verify", "--json", **variables)
    *problems, counts = lines(ran)
    assert sorted(str(problem["key"]) for problem in problems) == damaged
    # What is below `raw/` waits for its validation, whatever it is called.
    assert (counts["objects"], counts["waiting"]) == (8, 2)
    ran = gata(tmp_path, "verify", "--json", "--tenant", "shop/sample", **variables)
    *problems, counts = lines(ran)
    assert (len(problems), counts["objects"]) == (2, 6)


def test_a_raw_file_that_was_restored_with_its_content_is_what_it_was(target: Path) -> None:
    path = target / keys_of(target, "raw files")[0]
    path.write_bytes(path.read_bytes())
    assert verify(target)[0] == []
    path.write_bytes(path.read_bytes().replace(b"view", b"VIEW", 1))
    [problem] = verify(target)[0]
    assert "was overwritten since it was validated" in problem.what


def test_a_raw_file_that_was_not_validated_yet_waits(target: Path) -> None:
    path = target / "sample/raw/interactions/2026-01-02/more.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"PAR1 is no Parquet, which its validation says")
    problems, counts = verify(target)
    assert (problems, counts.waiting) == ([], 1)


def test_a_folder_where_a_file_was_is_a_missing_file(target: Path) -> None:
    path = target / keys_of(target, "features")[0]
    path.unlink()
    path.mkdir()
    assert [problem.kind for problem in verify(target)[0]] == ["missing"]


def test_a_target_that_cannot_be_read_fails_the_command(tmp_path: Path) -> None:
    nobody = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    away = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    ran = gata(tmp_path, "verify", TARGET_BUCKET="gata-none", **nobody, **away)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "s3://gata-none/ could not be listed" in ran.stderr


@pytest.mark.process
@pytest.mark.soak
def test_commands_that_write_meanwhile_give_no_false_alarm(target: Path, written: Path) -> None:
    """Batches that are prepared again from other tickets and interactions; its reduced twin replaces datasets."""
    directory = target.parent
    shutil.copy(written / "gata-sample.sqlite", directory)
    few = {"MIN_INTERACTIONS_PER_USER": "1", "MIN_INTERACTIONS_PER_ITEM": "1", "ON_INVALID_TICKETS": "quarantine"}
    looked = 0
    for number in range(4):
        with sqlite3.connect(directory / "gata-sample.sqlite") as tickets:
            tickets.execute("DELETE FROM ticket WHERE id % 97 = ?", (number,))
        row = f"u1,i1,view,2026-01-01T10:00:0{number}Z,\n"
        (directory / "more.csv").write_text(f"user_id,item_id,interaction_type,timestamp,rating\n{row}")
        assert gata(directory, "ingest", "interactions", "more.csv", "--tenant", "sample").returncode == 0
        words = [*PROGRAM, "prepare", BATCH]
        with subprocess.Popen(
            words, cwd=directory, env=environment(**few), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as writer:
            while writer.poll() is None:
                verification = Verification(LocalStore(str(target)), FORMS)
                assert list(verification.run()) == []
                looked += 1
        assert writer.returncode == 0
    assert looked > 4
    assert verify(target)[0] == []
