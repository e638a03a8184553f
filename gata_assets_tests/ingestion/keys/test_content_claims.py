"""Claims of content: one name for all that land it at once, for as long as they do.

Real: a directory, S3 over HTTP, a service over HTTP. Faked: the clock.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from gata_assets.curation.files.formats import FileFormat, RawFormat
from gata_assets.curation.landing import Landing
from gata_assets.ingestion.keys.content_claims import CLAIMS, VOID_AFTER, one_name
from gata_assets.ingestion.keys.key_store import KeyStore
from gata_assets.interactions.curated.curator import Curator
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.support.http_service import TENANT, RunningService
from gata_assets_tests.support.memory_store import MemoryStore, PausingStore
from gata_assets_tests.support.moved_clock import MovedClock
from gata_assets_tests.support.raw_worlds import NOW, RULES, encode, item

CONTENT = ("acme", "items", "0" * 64)


def test_who_is_first_gives_the_name_until_it_is_done(any_store: ObjectStore) -> None:
    clock = MovedClock()
    with one_name(any_store, clock, *CONTENT, "a.csv") as first:
        with one_name(any_store, clock, *CONTENT, "b.csv") as second:
            assert (first, second) == ("a.csv", "a.csv")
        with one_name(any_store, clock, "globex", *CONTENT[1:], "b.csv") as other:
            assert other == "b.csv"
        assert len(list(any_store.list_keys(CLAIMS))) == 1
    assert list(any_store.list_keys(CLAIMS)) == []
    with pytest.raises(ValueError, match="no rows"), one_name(any_store, clock, *CONTENT, "b.csv"):
        raise ValueError("no rows")
    assert list(any_store.list_keys(CLAIMS)) == []


def test_the_claim_of_a_process_that_died_is_void_after_a_while(any_store: ObjectStore) -> None:
    clock = MovedClock()
    with one_name(any_store, clock, *CONTENT, "a.csv"):
        clock.now += VOID_AFTER - timedelta(seconds=1)
        with one_name(any_store, clock, *CONTENT, "b.csv") as name:
            assert name == "a.csv"
        clock.now += timedelta(seconds=1)
        with one_name(any_store, clock, *CONTENT, "b.csv") as name:
            assert name == "b.csv"
    # The first was only late, and removes no claim of another.
    [key] = [f"{CLAIMS}acme/items/{'0' * 64}.json"]
    any_store.write(key, b"damaged")
    with one_name(any_store, clock, *CONTENT, "c.csv") as name:
        assert name == "c.csv"


def test_a_claim_that_ends_while_it_is_looked_at_is_made_anew() -> None:
    store, clock = MemoryStore(), MovedClock()
    with ExitStack() as first:
        assert first.enter_context(one_name(store, clock, *CONTENT, "a.csv")) == "a.csv"
        # Its second call reads what kept the first from being done.
        with one_name(PausingStore(store, 2, first.close), clock, *CONTENT, "b.csv") as name:
            assert name == "b.csv"


@pytest.mark.server
def test_a_file_that_two_processes_receive_at_once_lands_once(tmp_path: Path) -> None:
    """Neither sees what the other lands: the claim is all that they share."""
    store, clock = MemoryStore(), MovedClock(NOW)
    secret, _ = KeyStore(store, clock).create(TENANT, ("ingest",))
    other, same = encode([item(item_id="i2")], "csv"), encode([item()], "csv")
    for name, content in (("other.csv", other), ("january.csv", same)):
        (tmp_path / name).write_bytes(content)
    process = Landing(Curator(store, TENANT, RULES, NOW))
    # It lists the raw files now, and not again.
    process.land("items", "other.csv", tmp_path / "other.csv", FileFormat(RawFormat.CSV))
    with RunningService(store, secret=secret) as service:
        with one_name(store, clock, TENANT, "items", sha256(same).hexdigest(), "january.csv") as name:
            assert service.upload(same, "february.csv", "data_type=items").json["rows_accepted"] == 1
            process.land("items", name, tmp_path / "january.csv", FileFormat(RawFormat.CSV))
        assert len(service.keys_below(f"{TENANT}/raw/items/")) == 2
        assert service.upload(same, "march.csv", "data_type=items").json["was_there"]
        assert service.keys_below(CLAIMS) == []
