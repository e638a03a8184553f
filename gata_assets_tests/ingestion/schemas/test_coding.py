"""Rows in messages: decoded, encoded, and refused with a reason that has no value.

Real: fastavro, and Confluent's own serializer as the other side. Faked: the registry, in memory.
"""

from __future__ import annotations

import json
import struct
import zlib
from io import BytesIO
from typing import Any
from uuid import UUID

import fastavro
import polars as pl
import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from hypothesis import given
from hypothesis import strategies as st

from gata_assets.errors import MessageError, RegistryError
from gata_assets.ingestion.schemas.avro_schema import avro_schema
from gata_assets.ingestion.schemas.coding import AvroRows
from gata_assets.ingestion.schemas.wire import head
from gata_assets.interactions.tables import TABLES
from gata_assets.tables.columns.conversion import convert
from gata_assets_tests.ingestion.schemas.cases import NULL, enum, record
from gata_assets_tests.ingestion.schemas.registries import SchemasInMemory
from gata_assets_tests.ingestion.schemas.tables import READING, READINGS
from gata_assets_tests.support.canaries import canary

INTERACTIONS = TABLES["interactions"]
ID = 7
GLUE_ID = UUID("01234567-89ab-cdef-0123-456789abcdef")
ROW = {
    "user_id": canary("user"),
    "item_id": canary("item"),
    "interaction_type": "view",
    "timestamp": "2026-01-02T03:04:05.678Z",
    "context": {"device_type": canary("device")},
    "rating": 4.3,
}
OWN = avro_schema(INTERACTIONS)


def rows_by(*writers: Any) -> AvroRows:
    """Rows of interactions whose messages were written by these schemas, with ids from 7 on."""
    return AvroRows(INTERACTIONS, SchemasInMemory(dict(enumerate(writers or (OWN,), ID))))


def message(row: dict[str, Any], schema: Any = OWN, schema_id: Any = ID) -> bytes:
    stream = BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), row)
    return head(schema_id) + stream.getvalue()


def test_a_row_of_every_kind_of_column_comes_back_as_it_was() -> None:
    rows = AvroRows(READINGS, SchemasInMemory({ID: avro_schema(READINGS), GLUE_ID: avro_schema(READINGS)}))
    for schema_id in (ID, GLUE_ID):
        assert rows.decode(rows.encode(READING, schema_id)) == READING
    assert rows.decode(rows.encode({**READING, "place": {"site": "s"}, "small": None}, ID)) == {
        **{name: value for name, value in READING.items() if name != "small"},
        "place": {"site": "s"},
    }


def test_what_is_decoded_is_what_raw_files_of_the_table_have() -> None:
    rows = AvroRows(READINGS, SchemasInMemory({ID: avro_schema(READINGS)}))
    found = rows.decode(rows.encode(READING, ID))
    flat = {**found, **found["place"]}
    for column in READINGS.raw_columns:
        value = flat[column.name]
        text = value if isinstance(value, str) else json.dumps(value)
        assert convert(pl.Series([text]), column).null_count() == 0, column.name


def test_many_rows_are_encoded_as_each_of_them() -> None:
    rows = rows_by()
    several = [ROW, {**ROW, "rating": None, "context": None}, {**ROW, "device_type": "beside", "context": None}]
    assert rows.encode_all(several, ID) == [rows.encode(row, ID) for row in several]
    assert rows.decode(rows.encode(several[2], ID))["context"] == {"device_type": "beside"}
    assert rows.encode_all([], ID) == []


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1767323045678, "2026-01-02T03:04:05.678Z"),
        (-62135596800000, "0001-01-01T00:00:00Z"),
        (253402300799999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_an_instant_is_milliseconds_since_1970_in_a_message_and_iso_8601_in_a_row(written: int, read: str) -> None:
    rows = rows_by()
    found = rows.decode(message({**ROW, "timestamp": written}))
    assert found["timestamp"] == read
    assert rows.encode(found, ID) == message({**ROW, "timestamp": written})


def test_finer_instants_of_another_writer_are_read_as_they_are() -> None:
    micros = json.loads(json.dumps(OWN))
    micros["fields"][3]["type"] = {"type": "long", "logicalType": "timestamp-micros"}
    found = rows_by(micros).decode(message({**ROW, "timestamp": 1767323045678901}, micros))
    assert found["timestamp"] == "2026-01-02T03:04:05.678901Z"


def without(*names: str) -> dict[str, Any]:
    return {**OWN, "fields": [field for field in OWN["fields"] if field["name"] not in names]}


def test_messages_of_older_and_newer_writers_are_read() -> None:
    older = without("context", "rating")
    newer = {**OWN, "fields": [*OWN["fields"], {"name": "campaign", "type": enum("A", "B")}]}
    nullable = {**OWN, "fields": [{"name": "user_id", "type": ["null", "string"]}, *OWN["fields"][1:]]}
    rows = rows_by(older, newer, nullable)
    plain = {name: value for name, value in ROW.items() if name not in ("context", "rating")}
    millis = 1767323045678
    assert rows.decode(message({**plain, "timestamp": millis}, older, 7)) == plain
    assert rows.decode(message({**ROW, "timestamp": millis, "campaign": "B"}, newer, 8)) == ROW
    assert rows.decode(message({**ROW, "timestamp": millis}, nullable, 9)) == ROW
    with pytest.raises(MessageError, match=r"schema 9 does not fit interactions: user_id\."):
        rows.decode(message({**ROW, "timestamp": millis, "user_id": None}, nullable, 9))


GOOD = message({**ROW, "timestamp": 1})
TEXTS = record(
    *((name, "string") for name in ("user_id", "item_id", "interaction_type", "timestamp")), name="Interaction"
)
BAD = {
    "empty": (b"", "is empty"),
    "JSON": (json.dumps(ROW).encode(), "begins with the byte 123"),
    "another magic byte": (b"\x01" + GOOD[1:], "begins with the byte 1,"),
    "only a part of the id": (GOOD[:4], "ends within the id"),
    "nothing but the id": (GOOD[:5], "ends within its record"),
    "cut off": (GOOD[:-3], "ends within its record"),
    "more bytes": (GOOD + b"xyz", "goes on for 3 bytes"),
    "an unknown id": (b"\x00" + struct.pack(">I", 99) + GOOD[5:], "schema 99 is not in memory"),
    "an id beyond those of registries": (b"\x00\xff\xff\xff\xff" + GOOD[5:], "an id that no registry gives"),
    "an id of Glue": (head(GLUE_ID) + GOOD[5:], f"schema {GLUE_ID} is not in memory"),
    "a text that is no UTF-8": (GOOD[:5] + b"\x02\xff" + GOOD[5:], "is not of its schema"),
    "a text of a negative length": (GOOD[:5] + b"\x03" + GOOD[6:], "ends within its record"),
    "a text longer than the message": (GOOD[:5] + b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f" + GOOD[6:], "ends within"),
    "a branch that there is not": (GOOD[:-9] + b"\x08", "is not of its schema"),
    "an instant beyond the calendar": (message({**ROW, "timestamp": 2**62}), "value of timestamp is of another kind"),
    "a schema of texts": (message({**ROW, "timestamp": "soon"}, TEXTS, 8), "does not fit interactions: timestamp"),
    "longer than allowed": (GOOD + b"x" * 1_048_576, "more than 1,048,576"),
    "Glue, cut off": (head(GLUE_ID)[:17], "ends within the id"),
    "Glue, of an unknown compression": (b"\x03\x07" + GLUE_ID.bytes, "compressed in a way that Glue does not have"),
    "Glue, damaged": (b"\x03\x05" + GLUE_ID.bytes + b"nothing", "is damaged"),
    "Glue, cut off while compressed": (b"\x03\x05" + GLUE_ID.bytes + zlib.compress(GOOD)[:-4], "ends within its comp"),
    "Glue, with more bytes": (b"\x03\x05" + GLUE_ID.bytes + zlib.compress(GOOD) + b"x", "goes on after its record"),
    "Glue, a bomb": (b"\x03\x05" + GLUE_ID.bytes + zlib.compress(b"x" * 10**8), "unpacked has more than 1,048,576"),
}


@pytest.mark.parametrize(("sent", "reason"), BAD.values(), ids=BAD)
def test_a_message_that_is_none_of_the_table_is_refused_without_its_values(sent: bytes, reason: str) -> None:
    with pytest.raises(MessageError) as refused:
        rows_by(OWN, TEXTS).decode(sent)
    assert reason in str(refused.value)
    assert not any(value in str(refused.value) for value in (canary("user"), canary("item"), canary("device")))
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_a_compressed_message_of_glue_is_read() -> None:
    rows = AvroRows(INTERACTIONS, SchemasInMemory({GLUE_ID: OWN}))
    compressed = b"\x03\x05" + GLUE_ID.bytes + zlib.compress(GOOD[5:])
    assert rows.decode(compressed) == rows.decode(head(GLUE_ID) + GOOD[5:])


def nested(depth: int) -> dict[str, Any]:
    """A record that takes no bytes, and two to the power of its depth records."""
    found = record(name="R0")
    for level in range(1, depth):
        found = record(("a", found), ("b", f"R{level - 1}"), name=f"R{level}")
    return record(("x", found), name="Interaction")


@pytest.mark.parametrize(
    ("writer", "reason"),
    [
        (record(("x", {"type": "array", "items": "null"}), name="Interaction"), "items that may take no bytes"),
        (record(("x", {"type": "array", "items": record(name="Empty")}), name="Interaction"), "may take no bytes"),
        (record(("x", ["null", "Interaction"], NULL), name="Interaction"), "contains itself"),
        (nested(60), "more than 10,000 values"),
        ("nothing", "not valid Avro"),
    ],
)
def test_a_schema_by_which_decoding_has_no_bound_is_not_used(writer: Any, reason: str) -> None:
    with pytest.raises(MessageError, match=reason):
        rows_by(writer).decode(head(ID) + b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f")


def test_a_fault_of_the_registry_is_none_of_the_message() -> None:
    registry = SchemasInMemory({ID: OWN})
    rows = AvroRows(INTERACTIONS, registry)
    registry.is_away = True
    with pytest.raises(RegistryError):
        rows.decode(GOOD)
    registry.is_away = False
    rows.decode(GOOD)
    registry.is_away = True
    assert rows.decode(GOOD)["user_id"] == ROW["user_id"]


def test_a_schema_is_asked_for_once_and_only_the_last_ones_are_kept() -> None:
    registry = SchemasInMemory(dict.fromkeys(range(300), OWN))
    rows = AvroRows(INTERACTIONS, registry)
    for schema_id in (*range(300), *range(290, 300), 0):
        rows.decode(message({**ROW, "timestamp": 1}, OWN, schema_id))
    assert registry.asked == [*range(300), 0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"timestamp": "soon"}, "A value of timestamp is not written as its column's type"),
        ({"rating": canary("rating")}, "A value of rating is not written"),
        ({"user_id": None}, "a required value is missing"),
        ({"user_id": ["x"]}, "A value of user_id is not written"),
        ({"campaign": canary("campaign")}, "Row 0 has 1 fields that interactions does not have"),
        ({"user_id": "x" * 1_048_576}, "and a message 1,048,576 at most"),
    ],
)
def test_a_row_that_is_none_of_the_table_is_not_encoded(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(MessageError, match=reason) as refused:
        rows_by().encode({**ROW, **change}, ID)
    assert canary("campaign") not in str(refused.value)
    assert canary("rating") not in str(refused.value)


@given(sent=st.binary(max_size=60))
def test_any_bytes_are_a_row_or_a_fault_of_the_message(sent: bytes) -> None:
    try:
        found = ANY_ROWS.decode(head(ID) + sent)
    except MessageError:
        return
    assert {"user_id", "item_id", "interaction_type", "timestamp"} <= set(found)


@given(place=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255))
def test_a_message_with_any_byte_changed_is_a_row_or_a_fault_of_the_message(place: int, byte: int) -> None:
    changed = bytearray(GOOD)
    changed[place] = byte
    try:
        ANY_ROWS.decode(bytes(changed))
    except MessageError as error:
        said = str(error)
    else:
        return
    assert canary("user") not in said


ANY_ROWS = rows_by()


def test_confluents_own_serializer_and_deserializer_understand_the_messages() -> None:
    client = SchemaRegistryClient.new_client({"url": "mock://"})
    text = json.dumps(OWN)
    context = SerializationContext("interactions-raw", MessageField.VALUE)
    schema_id = client.register_schema("interactions-raw-value", Schema(text, "AVRO"))
    rows = AvroRows(INTERACTIONS, SchemasInMemory({schema_id: OWN}))
    theirs = {**ROW, "timestamp": 1767323045678}
    assert rows.decode(AvroSerializer(client, text)(theirs, context) or b"") == ROW
    everything = {"device_type": ROW["context"]["device_type"], "location": None, "session_id": None}  # type: ignore[index]
    assert AvroDeserializer(client)(rows.encode(ROW, schema_id), context) == {**theirs, "context": everything}
