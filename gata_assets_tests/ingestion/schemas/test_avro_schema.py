"""The Avro schema of a table. Real: declarations, and both Avro libraries. Nothing is faked."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import pandera.polars as pa
import polars as pl
import pytest

from gata_assets.errors import TableSpecError
from gata_assets.ingestion.schemas.avro_schema import avro_schema
from gata_assets.ingestion.schemas.parsing import require_valid
from gata_assets.interactions.tables import TABLES
from gata_assets.shop.schema import MODELS
from gata_assets.tables.declaration import spec_of
from gata_assets.tables.spec import AvroRecord
from gata_assets_tests.ingestion.schemas.tables import READINGS, declared

# As the callers of the pipeline know it.
TEXT_OR_NULL = ["null", "string"]
INTERACTION = {
    "type": "record",
    "name": "Interaction",
    "namespace": "com.embeddings.saas",
    "fields": [
        {"name": "user_id", "type": "string"},
        {"name": "item_id", "type": "string"},
        {"name": "interaction_type", "type": "string"},
        {"name": "timestamp", "type": "long"},
        {
            "name": "context",
            "type": [
                "null",
                {
                    "type": "record",
                    "name": "Context",
                    "fields": [
                        {"name": "device_type", "type": TEXT_OR_NULL, "default": None},
                        {"name": "location", "type": TEXT_OR_NULL, "default": None},
                        {"name": "session_id", "type": TEXT_OR_NULL, "default": None},
                    ],
                },
            ],
            "default": None,
        },
    ],
}
INSTANT = Annotated[pl.Datetime, "us", "UTC"]


def types(schema: dict[str, Any]) -> dict[str, Any]:
    return {field["name"]: field["type"] for field in schema["fields"]}


def test_the_schema_of_interactions_is_the_known_one_with_the_rating_behind_it() -> None:
    schema = avro_schema(TABLES["interactions"])
    rating = {"name": "rating", "type": ["null", "double"], "default": None}
    assert schema == {**INTERACTION, "fields": [*INTERACTION["fields"], rating]}


def test_each_kind_of_column_has_its_type() -> None:
    schema = avro_schema(READINGS)
    millis = {"type": "long", "logicalType": "timestamp-millis"}
    floor = {"name": "floor", "type": ["null", "int"], "default": None}
    assert (schema["name"], "namespace" in schema) == ("MeterReadings", False)
    assert types(schema) == {
        "meter": "string",
        "read_at": millis,
        # A column that is always given makes its record one that is.
        "place": {"type": "record", "name": "Place", "fields": [{"name": "site", "type": "string"}, floor]},
        **{name: ["null", millis] for name in ("seen_at", "sent_at", "noted_at")},
        "day": ["null", {"type": "int", "logicalType": "date"}],
        "amount": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2}],
        "small": ["null", "int"],
        "large": ["null", "long"],
        "share": ["null", "double"],
        "is_valid": ["null", "boolean"],
    }
    assert [field["name"] for field in schema["fields"] if "default" not in field] == ["meter", "read_at", "place"]


def test_every_declared_table_has_a_schema_that_both_libraries_read() -> None:
    for spec in (*TABLES.values(), READINGS, *map(spec_of, MODELS)):
        require_valid(avro_schema(spec))


def test_a_derived_column_is_in_no_schema() -> None:
    fields = types(avro_schema(TABLES["interactions"]))
    assert not {"user_key", "item_key", "type_code"} & set(fields)


def test_name_namespace_and_plain_instants_are_those_of_the_metadata() -> None:
    declaration = {"name": "Visit", "namespace": "shop.events", "plain_instants": ["at"]}
    schema = avro_schema(declared(declaration, at=INSTANT))
    assert schema == {
        "type": "record",
        "name": "Visit",
        "namespace": "shop.events",
        "fields": [{"name": "at", "type": "long"}],
    }


@pytest.mark.parametrize(
    ("avro", "fault"),
    [
        ({"title": "Visit"}, "unexpected keyword argument 'title'"),
        ({"name": "a visit"}, "the name of its Avro record is of"),
        ({"namespace": "shop..events"}, "the name of its Avro record is of"),
        ({"plain_instants": ["who"]}, "plain_instants of Avro are its columns of instants"),
        ({"plain_instants": ["nobody"]}, "plain_instants of Avro are its columns of instants"),
        ("Visit", "Config.metadata"),
    ],
)
def test_wrong_metadata_is_refused_when_the_model_is_read(avro: Any, fault: str) -> None:
    with pytest.raises(TableSpecError, match=fault):
        declared(avro, at=INSTANT, who=str)


def test_a_name_that_avro_does_not_take_is_refused() -> None:
    spec = declared(at=INSTANT)
    column = replace(spec.column("at"), name="when (UTC)")
    with pytest.raises(TableSpecError, match=r"visits\.when \(UTC\): a field of Avro is named by"):
        avro_schema(replace(spec, columns=(column,)))


def test_a_type_that_avro_does_not_have_is_refused() -> None:
    spec = declared(at=INSTANT)
    column = replace(spec.column("at"), dtype=pl.Time(), instants=())
    with pytest.raises(TableSpecError, match=r"visits\.at is Time, which has no type in Avro"):
        avro_schema(replace(spec, columns=(column,)))


def test_how_a_table_is_named_in_avro_changes_no_digest_of_raw_rows() -> None:
    spec = declared({"name": "Visit"}, who=(str, pa.Field(description="Who.")))
    assert spec.digest == replace(spec, avro=AvroRecord()).digest
