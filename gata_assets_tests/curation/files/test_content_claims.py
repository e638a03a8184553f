"""The same content lands once: under any names, at once or later, by a command, a service, or one that was killed.

Real: landing, validation, a directory, S3 over HTTP. Faked: a store in memory that pauses or fails at a call; clocks.
Each landing has a curator and marks of its own, as processes have: all that they share is the store.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import count

import pytest

from gata_assets.curation.files.content_claims import VOID_AFTER, ContentClaims, FoundClaim
from gata_assets.curation.files.formats import FileFormat, RawFormat
from gata_assets.curation.files.known_marks import LISTED_EVERY_SECONDS, KnownMarks
from gata_assets.curation.files.sources import HeldContent
from gata_assets.curation.landing import LandedFile, Landing
from gata_assets.curation.layout import TenantLayout
from gata_assets.errors import StoreError
from gata_assets.interactions.tables import INTERACTIONS
from gata_assets.storage.objects import ObjectStore
from gata_assets_tests.support.memory_store import FailingStore, MemoryStore, PausingStore
from gata_assets_tests.support.raw_worlds import NOW, curator_of, encode, interaction

PLACES = TenantLayout("acme")
DIGEST, KEY, OTHER_KEY = (
    "0" * 64,
    "acme/raw/interactions/2026-01-10/a-0.csv",
    "acme/raw/interactions/2026-01-10/b-0.csv",
)
CSV = FileFormat(RawFormat.CSV)
CONTENT = encode([interaction(), interaction(user_id="")], "csv")


@dataclass
class Process:
    """A process that lands files: a service has marks and a clock of its own, a command has none."""

    store: ObjectStore
    is_service: bool = True
    seconds: float = 0
    marks: KnownMarks | None = field(init=False)

    def __post_init__(self) -> None:
        self.marks = KnownMarks(lambda: self.seconds) if self.is_service else None

    def land(self, name: str, content: bytes = CONTENT, now: datetime = NOW) -> LandedFile:
        """Land a file, as one request or command does."""
        held = HeldContent(content, sha256(content).hexdigest())
        return Landing(curator_of(self.store, now=now), self.marks).land(INTERACTIONS, name, held, CSV)


def require_once(store: ObjectStore, files: int = 1) -> None:
    """Each content is one raw file with a report, none waits, and all its rows are counted."""
    curator = curator_of(store)
    reports = curator.reports(INTERACTIONS)
    assert len(curator.raw_keys(INTERACTIONS)) == len(reports) == files
    assert {(report.valid, report.rejected) for report in reports} == {(1, 1)}
    assert curator.unvalidated([INTERACTIONS]) == []


def test_who_is_first_gives_the_key_and_a_claim_is_void_after_a_while(any_store: ObjectStore) -> None:
    claims, late = ContentClaims(any_store, PLACES), NOW + VOID_AFTER
    assert claims.claim(INTERACTIONS, DIGEST, KEY, NOW) is None
    assert ContentClaims(any_store, TenantLayout("globex")).claim(INTERACTIONS, DIGEST, OTHER_KEY, NOW) is None
    found = claims.claim(INTERACTIONS, DIGEST, OTHER_KEY, late - timedelta(seconds=1))
    assert found is not None
    assert (found.key, found.is_alive) == (KEY, True)
    assert claims.claim(INTERACTIONS, DIGEST, OTHER_KEY, late) == found._replace(is_alive=False)
    # Of two that see so, one takes it over.
    assert claims.claim(INTERACTIONS, DIGEST, OTHER_KEY, late, instead_of=found.version) is None
    other = claims.claim(INTERACTIONS, DIGEST, KEY, late, instead_of=found.version)
    assert other is not None
    assert (other.key, other.is_alive) == (OTHER_KEY, True)
    version = any_store.write(PLACES.content(INTERACTIONS, DIGEST), b"damaged")
    assert claims.claim(INTERACTIONS, DIGEST, KEY, late) == FoundClaim(None, version)


@pytest.mark.parametrize("first_is_service", [True, False])
@pytest.mark.parametrize("second_is_service", [True, False])
def test_two_processes_that_land_a_content_at_once_land_it_once(
    first_is_service: bool, second_is_service: bool
) -> None:
    for pauses_at in count(1):
        store = MemoryStore()
        first, second = Process(store, first_is_service), Process(store, second_is_service)
        # Both have listed the raw files, and a service lists them no more.
        for process in (first, second):
            process.land("other.csv", encode([interaction(rating="4"), interaction(user_id="")], "csv"))
        landed: list[LandedFile] = []
        first.store = PausingStore(
            store, pauses_at, lambda second=second, landed=landed: landed.append(second.land("b.csv"))
        )
        landed.append(first.land("a.csv"))
        if len(landed) == 1:
            break
        require_once(store, files=2)
        assert landed[0].report.file_id == landed[1].report.file_id, pauses_at
    assert pauses_at > 6


@pytest.mark.parametrize("is_carried_out", [False, True])
@pytest.mark.parametrize("later", [timedelta(minutes=1), timedelta(days=1)])
def test_a_process_that_is_killed_at_any_call_leaves_nothing_that_counts_twice(
    is_carried_out: bool, later: timedelta
) -> None:
    for fails_at in count(1):
        store = MemoryStore()
        try:
            Process(FailingStore(store, fails_at, is_carried_out=is_carried_out)).land("a.csv")
        except StoreError:
            is_killed = True
        else:
            is_killed = False
        runs = curator_of(store.copy(), now=NOW + later)
        runs.validate_new(INTERACTIONS)
        assert len(runs.reports(INTERACTIONS)) == len(runs.raw_keys(INTERACTIONS)) <= 1
        for process in (Process(store), Process(store), Process(store, is_service=False)):
            process.land("b.csv", now=NOW + later)
            require_once(store)
        if not is_killed:
            break
    assert fails_at > 3


def test_what_a_command_lands_is_known_to_a_service_at_once_and_the_other_way_round(any_store: ObjectStore) -> None:
    service, command = Process(any_store), Process(any_store, is_service=False)
    service.land("listed.csv")
    first, second = (encode([interaction(user_id=name), interaction(user_id="")], "csv") for name in ("u8", "u9"))
    a = command.land("a.csv", first)
    b = service.land("b.csv", second)
    again = [service.land("c.csv", first, NOW + timedelta(days=1)), command.land("d.csv", second)]
    assert [landed.was_there for landed in again] == [True, True]
    assert [landed.report for landed in again] == [a.report, b.report]
    require_once(any_store, files=3)


def test_what_others_copied_under_a_name_with_its_mark_is_known_after_a_minute(any_store: ObjectStore) -> None:
    digest = sha256(CONTENT).hexdigest()
    service = Process(any_store)
    service.land("first.csv", encode([interaction(user_id="u9"), interaction(user_id="")], "csv"))
    any_store.write(f"{PLACES.raw(INTERACTIONS, NOW.date())}copied-{digest[:32]}.csv", CONTENT)
    # Nobody has claimed it, and the folder was listed before.
    early = Process(any_store)
    assert early.land("a.csv").was_there
    service.seconds = LISTED_EVERY_SECONDS
    assert service.land("b.csv").was_there
    require_once(any_store, files=2)


def test_content_whose_file_was_removed_or_overwritten_lands_anew(any_store: ObjectStore) -> None:
    service = Process(any_store)
    first = service.land("a.csv").report
    any_store.delete(first.raw_key)
    again = service.land("b.csv", now=NOW + timedelta(days=1))
    assert not again.was_there
    assert any_store.read(again.report.raw_key) == CONTENT
    any_store.write(again.report.raw_key, encode([interaction(rating="3")], "csv"))
    beside = service.land("b.csv", now=NOW + timedelta(days=1))
    assert (beside.was_there, any_store.read(beside.report.raw_key)) == (False, CONTENT)
    assert beside.report.raw_key != again.report.raw_key
    assert service.land("c.csv", now=NOW + timedelta(days=2)).report.raw_key == beside.report.raw_key


def test_new_content_takes_as_few_calls_however_many_files_there_are() -> None:
    calls = []
    for files in (1, 30):
        store = MemoryStore()
        service = Process(store)
        for number in range(files):
            service.land(f"{number}.csv", encode([interaction(user_id=f"u{number}")], "csv"))
        counting = PausingStore(store, 0, lambda: None)
        service.store = counting
        service.land("new.csv")
        calls.append(counting.calls)
    # Saved mappings, the catalog of items, who was erased, the claim, the raw file, the staged part, quarantine and the
    # report.
    assert calls == [8, 8]
