"""Which stage processes an event, by its bucket and key; and which events nothing is done for.

Pure. Where raw, curated and prod are comes as `ShopPlaces`; names of tables are not looked up here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from gata_assets.errors import EventError
from gata_assets.shop.events.event import SCHEDULE, ObjectEvent
from gata_assets.shop.places import CURATED, RAW

MANIFEST = "manifest.json"
UNKNOWN = "unknown"
ALL_TABLES = "all_tables"

_NAME = "[a-z0-9][a-z0-9_]{0,62}"
_RAW_KEY = re.compile(
    rf"(?P<source>{_NAME})/(?P<table>{_NAME})-raw/year=\d{{4}}/month=\d{{2}}/day=\d{{2}}/(?P<file>.+)", re.DOTALL
)
_SOURCE_KEY = re.compile(rf"(?P<source>{_NAME})/")
_MANIFEST_KEY = re.compile(rf"(?P<source>{_NAME})/(?P<path>.+)/{re.escape(MANIFEST)}", re.DOTALL)
_NOT_STORED = re.compile(r"Object (?!Created$).*|(?:s3:)?Object(?!Created:)\w+:.*")
# What a stage keeps for itself; a manifest there makes no table.
_OWN_FOLDERS = frozenset({"reports", "staged", "quarantine", "progress"})
# Folders of the curated bucket that are no table.
_CURATED_FOLDER = "curated"


class Stage(StrEnum):
    """One of the ways that data takes."""

    RAW_TO_CURATED = "raw-to-curated"
    CURATED_TO_PROD = "curated-to-prod"
    PARKED_TO_QUARANTINED = "parked-to-quarantined"


@dataclass(frozen=True)
class Place:
    """Where one of the three is: a bucket (or directory), and what its keys begin with there."""

    bucket: str
    prefix: str = ""


@dataclass(frozen=True)
class ShopPlaces:
    """Where raw files, curated and prod tables are, and whose."""

    raw: Place
    curated: Place
    prod: Place
    sources: frozenset[str]


@dataclass(frozen=True)
class Work:
    """What is to be done: a stage, for a raw file, a manifest, or a source's folder of curated tables.

    `key` begins with `shop/raw/` or `shop/curated/`.
    """

    stage: Stage
    source: str
    table: str
    key: str


@dataclass(frozen=True)
class Ignored:
    """Nothing is to be done, and why; `is_odd` where somebody may have expected otherwise."""

    reason: str
    is_odd: bool = False


def split_by_source(event: ObjectEvent, places: ShopPlaces) -> tuple[ObjectEvent, ...]:
    """An event of a schedule as one for each source, whose key is the source's folder of curated tables; any other as
    it is.
    """
    if event.bucket != SCHEDULE:
        return (event,)
    bucket, prefix = places.curated.bucket, places.curated.prefix
    return tuple(replace(event, bucket=bucket, key=f"{prefix}{source}/") for source in sorted(places.sources))


def route(event: ObjectEvent, places: ShopPlaces) -> Work | Ignored:
    """Say which stage processes an object, or why none does.

    Raises:
        EventError: If the key is still as in a URL.
    """
    if _NOT_STORED.fullmatch(event.event_type):
        return Ignored("no object was stored")
    raw, curated = _within(event, places.raw), _within(event, places.curated)
    found: Work | Ignored | None = None
    if raw is not None:
        found = _route_raw(raw)
    if curated is not None and not isinstance(found, Work):
        found = _route_curated(curated)
    if found is None:
        if _within(event, places.prod) is not None:
            return Ignored("it is of prod, which nothing is made from")
        return Ignored("it is in none of the places of raw files and curated tables", is_odd=True)
    if isinstance(found, Work) and found.source not in places.sources:
        return Ignored("SHOP_SOURCES does not name its source", is_odd=True)
    return found


def _within(event: ObjectEvent, place: Place) -> str | None:
    if event.bucket != place.bucket or not event.key.startswith(place.prefix):
        return None
    return event.key.removeprefix(place.prefix)


def _route_raw(key: str) -> Work | Ignored:
    if "=" not in key and "%3D" in key.upper():
        raise EventError("The event's key is encoded as in a URL (%3D for =). Send it as S3 has it.")
    found = _RAW_KEY.fullmatch(key)
    if not found:
        return Ignored("it is no raw file: {source}/{table}-raw/year=…/month=…/day=…/{file} is one", is_odd=True)
    name = found["file"].rpartition("/")[2]
    if not name or name.startswith(("_", ".")) or name.endswith("_$folder$"):
        return Ignored("it is a mark of a folder, and no file")
    return Work(Stage.RAW_TO_CURATED, found["source"], found["table"], RAW + key)


def _route_curated(key: str) -> Work | Ignored:
    if of_source := _SOURCE_KEY.fullmatch(key):
        return Work(Stage.PARKED_TO_QUARANTINED, of_source["source"], ALL_TABLES, CURATED + key)
    found = _MANIFEST_KEY.fullmatch(key)
    folders = found["path"].split("/") if found else []
    if not found or _OWN_FOLDERS & set(folders):
        return Ignored("it is no manifest of a curated table")
    named = [folder for folder in folders if folder != _CURATED_FOLDER and re.fullmatch(_NAME, folder)]
    return Work(Stage.CURATED_TO_PROD, found["source"], named[0] if named else UNKNOWN, CURATED + key)
