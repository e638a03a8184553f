"""Which stage processes an object, and what is shown of its key. Pure, nothing is faked."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.errors import EventError
from gata_assets.shop.events.event import ObjectEvent
from gata_assets.shop.events.routing import ALL_TABLES, Ignored, Place, ShopPlaces, Stage, Work, route, split_by_source
from gata_assets.shop.events.shown import Subject
from gata_assets.shop.places import CURATED, PROD, RAW
from gata_assets.tables.masking.card_numbers import truncate_in_text

RAW_KEY = "ecommerce/customers-raw/year=2025/month=01/day=16/LOAD00000001.parquet"
MANIFEST_KEY = "ecommerce/customers/manifest.json"
SOURCES = frozenset({"ecommerce"})
BUCKETS = ShopPlaces(Place("raw-bucket"), Place("curated-bucket"), Place("prod-bucket"), SOURCES)
PREFIXES = ShopPlaces(Place("target", RAW), Place("target", CURATED), Place("target", PROD), SOURCES)


def routed(key: str, bucket: str = "raw-bucket", places: ShopPlaces = BUCKETS, event_type: str = "manual") -> object:
    return route(ObjectEvent(bucket, key, event_type), places)


@pytest.mark.parametrize(("places", "bucket", "prefix"), [(BUCKETS, "raw-bucket", ""), (PREFIXES, "target", RAW)])
def test_a_raw_file_goes_to_curated(places: ShopPlaces, bucket: str, prefix: str) -> None:
    found = routed(prefix + RAW_KEY, bucket, places)
    assert found == Work(Stage.RAW_TO_CURATED, "ecommerce", "customers", RAW + RAW_KEY)


@pytest.mark.parametrize(
    ("places", "bucket", "prefix"), [(BUCKETS, "curated-bucket", ""), (PREFIXES, "target", CURATED)]
)
@pytest.mark.parametrize(
    ("key", "table"),
    [
        (MANIFEST_KEY, "customers"),
        ("ecommerce/curated/order_items/2025-01-16/manifest.json", "order_items"),
        ("ecommerce/curated/2025-01-16/manifest.json", "unknown"),
    ],
)
def test_a_manifest_of_curated_goes_to_prod(places: ShopPlaces, bucket: str, prefix: str, key: str, table: str) -> None:
    found = routed(prefix + key, bucket, places)
    assert found == Work(Stage.CURATED_TO_PROD, "ecommerce", table, CURATED + key)


@pytest.mark.parametrize(
    ("places", "bucket", "prefix"), [(BUCKETS, "curated-bucket", ""), (PREFIXES, "target", CURATED)]
)
def test_the_folder_of_a_source_has_its_parked_rows_judged(places: ShopPlaces, bucket: str, prefix: str) -> None:
    found = routed(f"{prefix}ecommerce/", bucket, places)
    assert found == Work(Stage.PARKED_TO_QUARANTINED, "ecommerce", ALL_TABLES, f"{CURATED}ecommerce/")
    assert isinstance(routed(f"{prefix}nobodys/", bucket, places), Ignored)


@pytest.mark.parametrize("places", [BUCKETS, PREFIXES])
def test_an_event_of_a_schedule_is_one_for_each_source_with_its_id(places: ShopPlaces) -> None:
    both = replace(places, sources=frozenset({"b", "a"}))
    event = ObjectEvent("aws.events", "a-rule", "Scheduled Event", "request-1")
    found = split_by_source(event, both)
    assert [one.key.removeprefix(places.curated.prefix) for one in found] == ["a/", "b/"]
    assert {(one.bucket, one.event_id) for one in found} == {(places.curated.bucket, "request-1")}
    assert all(isinstance(route(one, both), Work) for one in found)
    assert split_by_source(found[0], both) == (found[0],)


@pytest.mark.parametrize(
    ("key", "bucket", "reason"),
    [
        ("ecommerce/customers-raw/readme.txt", "raw-bucket", "no raw file"),
        ("ecommerce/customers/year=2025/month=01/day=16/a.parquet", "raw-bucket", "no raw file"),
        ("Ecommerce/customers-raw/year=2025/month=01/day=16/a.parquet", "raw-bucket", "no raw file"),
        ("ecommerce/customers-raw/year=2025/month=01/day=16/", "raw-bucket", "no raw file"),
        ("ecommerce/customers-raw/year=2025/month=01/day=16/_SUCCESS", "raw-bucket", "mark of a folder"),
        ("ecommerce/customers-raw/year=2025/month=01/day=16/sub/", "raw-bucket", "mark of a folder"),
        ("ecommerce/staged/customers/x.parquet", "curated-bucket", "no manifest"),
        ("ecommerce/staged/customers/manifest.json", "curated-bucket", "no manifest"),
        ("ecommerce/reports/customers/a.json", "curated-bucket", "no manifest"),
        ("ecommerce/manifest.json", "curated-bucket", "no manifest"),
        ("ecommerce/", "raw-bucket", "no raw file"),
        ("ecommerce/", "prod-bucket", "of prod"),
        ("ecommerce/order_facts/a.parquet", "prod-bucket", "of prod"),
        (RAW_KEY, "another-bucket", "none of the places"),
        (RAW_KEY.replace("ecommerce", "other"), "raw-bucket", "SHOP_SOURCES does not name its source"),
    ],
)
def test_nothing_is_done_for_other_objects_with_a_reason(key: str, bucket: str, reason: str) -> None:
    found = routed(key, bucket)
    assert isinstance(found, Ignored) and reason in found.reason


@pytest.mark.parametrize("event_type", ["Object Deleted", "Object Restore Completed", "ObjectRemoved:Delete"])
def test_nothing_is_done_where_no_object_was_stored(event_type: str) -> None:
    assert routed(RAW_KEY, event_type=event_type) == Ignored("no object was stored")


@pytest.mark.parametrize("event_type", ["Object Created", "ObjectCreated:Put", "s3:ObjectCreated:Copy", "manual", "x"])
def test_every_other_kind_of_event_is_processed(event_type: str) -> None:
    assert isinstance(routed(RAW_KEY, event_type=event_type), Work)


def test_a_key_that_is_still_encoded_is_an_error_and_is_not_lost_silently() -> None:
    with pytest.raises(EventError, match="encoded as in a URL"):
        routed(RAW_KEY.replace("=", "%3D"))


@given(st.text(max_size=60), st.sampled_from(["raw-bucket", "curated-bucket", "prod-bucket", "x"]))
def test_any_key_is_work_of_the_source_or_ignored(key: str, bucket: str) -> None:
    try:
        found = routed(f"ecommerce/{key}", bucket)
    except EventError:
        return
    assert isinstance(found, Ignored) or found.source == "ecommerce"  # type: ignore[attr-defined]


def test_digits_of_a_card_in_a_key_are_cut() -> None:
    subject = Subject.of(ObjectEvent("b", "day=16/4111-1111-1111-1111.csv"), "id", "stage", truncate_in_text)
    assert subject.key == "day=16/****-****-****-1111.csv"


def test_a_key_is_shown_on_one_line() -> None:
    subject = Subject.of(ObjectEvent("b", "a\nb\x1b[31m\udcff"), "id", "stage", truncate_in_text)
    assert subject.key.isprintable()
    assert json.dumps(subject.as_fields()).isascii()
