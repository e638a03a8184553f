"""Small worlds of batches, raw files and curated days by their ages, what they are in a store, and an oracle in plain
Python of what is left of them.

Values and strategies; nothing here asserts. Reports and manifests are real, rows are any bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

from hypothesis import strategies as st

from gata_assets.batches import BATCH_ID_FORMAT, Window
from gata_assets.curation.files.formats import file_id
from gata_assets.curation.layout import TenantLayout
from gata_assets.curation.reports import Report, Span, StagedPart
from gata_assets.governance.retention.holds import Holds
from gata_assets.governance.retention.rules import DEFAULT_DAYS, DataType, RetentionRules, StorageDays
from gata_assets.governance.retention.scopes import RetainedTable, Scope
from gata_assets.orchestration.pipelines import BatchPlaces
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.manifests import MANIFEST_FILE, FileEntry, Manifest, describe_span, withdrawn

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
TENANT = "acme"
PLACES = TenantLayout(TENANT)
RAW_DAYS, TRAINING_DAYS, DAYS_NEEDED = 100, 200, 10
RULES = RetentionRules(
    is_on=True,
    days={
        **DEFAULT_DAYS,
        DataType.RAW: StorageDays(7, 30, 60, RAW_DAYS),
        DataType.TRAINING: StorageDays(7, 30, 60, TRAINING_DAYS),
    },
)
EVENTS, ITEMS = "events", "items"
_OLDEST = 400


@dataclass(frozen=True)
class File:
    """A raw file by the ages in days of its landing and of its rows; `outcome` is ok, void or refused.

    `replaces` is the number of a file before it. `is_there` is false if its owner removed it.
    """

    landed: int
    days: frozenset[int]
    table: str = EVENTS
    outcome: str = "ok"
    replaces: int | None = None
    is_there: bool = True
    is_changed: bool = False
    is_reported: bool = True


@dataclass(frozen=True)
class StoredBatch:
    """A batch by its age in days; its windows begin `reads` days before. `manifest` is ok, withdrawn or none."""

    age: int
    reads: int
    manifest: str = "ok"


@dataclass(frozen=True)
class World:
    """What a tenant has; `curated` are ages of days, `leftovers` names of staged parts of no file."""

    files: tuple[File, ...] = ()
    batches: tuple[StoredBatch, ...] = ()
    curated: frozenset[int] = frozenset()
    leftovers: int = 0
    hold: str | None = None


def day_of(age: int) -> date:
    """The day of so many days ago."""
    return NOW.date() - timedelta(days=age)


def batch_id_of(batch: StoredBatch) -> str:
    """The ID of a batch."""
    return (NOW - timedelta(days=batch.age, hours=1)).strftime(BATCH_ID_FORMAT)


def raw_key(world: World, number: int) -> str:
    """The key of a raw file."""
    file = world.files[number]
    return f"{PLACES.raw(file.table, day_of(file.landed))}f{number}.csv"


def id_of(world: World, number: int) -> str:
    """The id of a raw file."""
    return file_id(PLACES, world.files[number].table, raw_key(world, number))


@dataclass
class Batches:
    """What the target has of batches, as a pipeline says it."""

    store: ObjectStore
    name: str = "interactions"

    def stored_batch_ids(self) -> list[str]:
        besides = (
            key.rpartition("/")[2].removesuffix(".parquet") for key in self.store.list_keys(f"{TENANT}/besides/")
        )
        return sorted({*self.store.list_folders(f"{TENANT}/features/"), *besides})

    def places(self, batch_id: str) -> BatchPlaces:
        return BatchPlaces({"features": PLACES.features(batch_id)}, [f"{TENANT}/besides/{batch_id}.parquet"])


def scope_of(store: ObjectStore) -> Scope:
    """The tenant's scope."""
    tables = [RetainedTable(EVENTS, by_day=True, days_needed=DAYS_NEEDED), RetainedTable(ITEMS, by_day=False)]
    return Scope(TENANT, PLACES, tables, [Batches(store)])


@dataclass
class Keys:
    """The keys of a world: of each file, batch and curated day, the rest; in the order of the world's tuples."""

    files: list[list[str]] = field(default_factory=list)
    batches: list[list[str]] = field(default_factory=list)
    days: dict[int, list[str]] = field(default_factory=dict)
    leftovers: list[str] = field(default_factory=list)

    def all(self) -> set[str]:
        groups = [*self.files, *self.batches, *self.days.values(), self.leftovers]
        return {key for group in groups for key in group}


def put(store: ObjectStore, world: World) -> Keys:
    """Store a world, and return its keys."""
    keys = Keys()
    for number in range(len(world.files)):
        keys.files.append(_put_file(store, world, number))
    for batch in world.batches:
        keys.batches.append(_put_batch(store, batch))
    for age in sorted(world.curated):
        folder = PLACES.curated(EVENTS, day_of(age))
        keys.days[age] = _put_dataset(store, folder, Manifest("curated_events", made_from={"parts": []}))
    for number in range(world.leftovers):
        key = f"{PLACES.staged(EVENTS)}gone{number}-{'0' * 32}.arrows"
        store.write(key, b"rows")
        keys.leftovers.append(key)
    if world.hold:
        Holds(store, lambda tenant, subject: "d" * 64).add(
            TENANT, "u1" if world.hold == "subject" else None, "litigation", NOW
        )
    return keys


def _put_file(store: ObjectStore, world: World, number: int) -> list[str]:
    file, key, name = world.files[number], raw_key(world, number), id_of(world, number)
    content = f"content {number}".encode()
    digest = sha256(content).hexdigest()
    store.write(key, content)
    version = str(store.delivered_version(key))
    if not file.is_reported:
        return [key]
    staged, rejected = (
        f"{folder(file.table)}{name}-{'a' * 32}.{ending}"
        for folder, ending in ((PLACES.staged, "arrows"), (PLACES.quarantine, "parquet"))
    )
    before = f"{PLACES.staged(file.table)}{name}-{'b' * 32}.arrows"
    days = sorted(file.days) if file.outcome == "ok" else []
    parts = tuple(
        StagedPart(staged, 1, "0" * 64, day_of(age) if file.table == EVENTS else None, (Span(0, 4),)) for age in days
    )
    claimants = [other for other, new in enumerate(world.files) if new.replaces == number and new.is_reported]
    report = Report(
        file.table,
        name,
        key,
        NOW - timedelta(days=file.landed, hours=1),
        "rules",
        rows=0 if file.outcome == "refused" else len(days) + 1,
        parts=parts,
        quarantine=None if file.outcome == "refused" else StagedPart(rejected, 1, "0" * 64),
        refused="it is no table" if file.outcome == "refused" else None,
        replaces=(id_of(world, file.replaces),) if file.replaces is not None else (),
        replaced_by=id_of(world, claimants[0]) if claimants else None,
        raw_version=version,
        raw_size=len(content),
        raw_sha256=digest,
    )
    written = [PLACES.report(file.table, name), PLACES.content(file.table, digest), before]
    written += [PLACES.mapping_of_file(file.table, name), PLACES.events(file.table, key.rpartition("/")[2])]
    written += [staged] if parts else []
    written += [rejected] if report.quarantine else []
    for other in written:
        store.write(other, b"rows")
    store.write(PLACES.report(file.table, name), report.encode())
    if not file.is_there:
        store.delete(key)
    elif file.is_changed:
        store.write(key, b"what came later")
    return [*written, *([key] if file.is_there else [])]


def _put_batch(store: ObjectStore, batch: StoredBatch) -> list[str]:
    batch_id = batch_id_of(batch)
    at = datetime.strptime(batch_id, BATCH_ID_FORMAT).replace(tzinfo=UTC)
    window = Window(at - timedelta(days=batch.reads), at)
    manifest = Manifest("features", details={"windows": {"window": describe_span(window)}})
    besides = f"{TENANT}/besides/{batch_id}.parquet"
    store.write(besides, b"rows")
    keys = _put_dataset(store, PLACES.features(batch_id), manifest)
    if batch.manifest == "withdrawn":
        store.write(keys[-1], withdrawn("features"))
    elif batch.manifest == "none":
        store.delete(keys.pop())
    return [*keys, besides]


def _put_dataset(store: ObjectStore, folder: str, manifest: Manifest) -> list[str]:
    """Store a dataset of two files, and return its keys, the manifest last."""
    files = {name: FileEntry.of(name.encode(), 1) for name in ("a.parquet", "b/c.parquet")}
    for name in files:
        store.write(folder + name, name.encode())
    store.write(folder + MANIFEST_FILE, replace(manifest, files=files).encode())
    return [*(folder + name for name in files), folder + MANIFEST_FILE]


def expected_left(world: World, keys: Keys) -> set[str]:
    """The keys that are left of a world, without those of holds and of the day before which days were deleted."""
    if world.hold:
        return keys.all()
    left: set[str] = set()
    first = _first_age_kept(world)
    for batch, of_batch in zip(world.batches, keys.batches, strict=True):
        left |= set(of_batch) if not _is_old(batch, TRAINING_DAYS) else set()
    for age, of_day in keys.days.items():
        left |= set(of_day) if age <= first else set()
    for number, of_file in enumerate(keys.files):
        left |= set(of_file) if _stays(world, number, first) else set()
    return left


def _is_old(of: File | StoredBatch, most: int) -> bool:
    """Whether it is older than so many days: all are an hour older than their whole days."""
    return (of.landed if isinstance(of, File) else of.age) >= most


def _first_age_kept(world: World) -> int:
    """The greatest age of a day that is kept; a huge one where nobody knows."""
    ages = [RAW_DAYS, DAYS_NEEDED]
    for batch in world.batches:
        if not _is_old(batch, TRAINING_DAYS):
            if batch.manifest == "withdrawn":
                return 10**6
            if batch.manifest == "ok":
                ages.append(batch.age + batch.reads)
    return max(ages)


def _counts(world: World, number: int) -> bool:
    replacing = [new for new in world.files if new.replaces == number and new.is_reported and new.outcome == "ok"]
    return world.files[number].outcome == "ok" and not replacing


def _stays(world: World, number: int, first: int) -> bool:
    file = world.files[number]
    if not file.is_reported or not _is_old(file, RAW_DAYS):
        return True
    if file.is_changed and file.is_there:
        return True
    if _counts(world, number) and file.days and (file.table == ITEMS or min(file.days) <= first):
        return True
    old = file.replaces
    # It claims the other one too, which would count again, or wait for it forever.
    return old is not None and world.files[old].is_reported and _stays(world, old, first)


_ages = st.one_of(
    st.sampled_from([0, 1, DAYS_NEEDED, RAW_DAYS - 1, RAW_DAYS, RAW_DAYS + 1, TRAINING_DAYS - 1, TRAINING_DAYS]),
    st.integers(0, _OLDEST),
)
_files = st.builds(
    File,
    landed=_ages,
    days=st.frozensets(_ages, min_size=1, max_size=3),
    table=st.sampled_from([EVENTS, EVENTS, ITEMS]),
    outcome=st.sampled_from(["ok", "ok", "ok", "void", "refused"]),
    is_there=st.sampled_from([True, True, True, False]),
    is_changed=st.sampled_from([False, False, False, True]),
    is_reported=st.sampled_from([True, True, True, False]),
)
_batches = st.builds(
    StoredBatch, age=_ages, reads=st.sampled_from([0, 1, 30, 90]), manifest=st.sampled_from(["ok", "ok", "ok", "none"])
)


@st.composite
def any_world(draw: st.DrawFn) -> World:
    """Any world; of files, later ones supersede earlier ones of their table, each at most once."""
    files: Sequence[File] = draw(st.lists(_files, max_size=6))
    linked: list[File] = []
    taken: set[int] = set()
    for number, file in enumerate(files):
        olds = [
            old
            for old in range(number)
            if files[old].table == file.table and files[old].is_reported and old not in taken and file.is_reported
        ]
        old = draw(st.sampled_from([None, None, *olds]))
        taken |= {old} if old is not None else set()
        linked.append(replace(file, replaces=old))
    batches = draw(st.lists(_batches, max_size=4, unique_by=lambda batch: batch.age))
    if draw(st.integers(0, 9)) == 0 and batches:
        batches[0] = replace(batches[0], manifest="withdrawn")
    staged = {age for file in linked if file.table == EVENTS and file.is_reported for age in file.days}
    curated = draw(st.frozensets(_ages, max_size=4)) | frozenset(staged)
    hold = draw(st.sampled_from([None] * 8 + ["tenant", "subject"]))
    return World(tuple(linked), tuple(batches), curated, draw(st.integers(0, 2)), hold)
