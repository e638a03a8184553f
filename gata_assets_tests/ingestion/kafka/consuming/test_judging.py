"""Which messages are events of whom, why others are not, and what becomes of them in raw files.

Real: the judge, the decoder, Avro. Faked: the registry, in memory.
"""

from __future__ import annotations

import json
from uuid import UUID

import msgspec
import pytest

from gata_assets.errors import RegistryError
from gata_assets.ingestion.kafka.consuming.judging import Judge, Reason
from gata_assets.ingestion.kafka.consuming.message import KafkaMessage, message_of
from gata_assets.ingestion.kafka.origin import Origin
from gata_assets.ingestion.schemas.avro_schema import avro_schema
from gata_assets.ingestion.schemas.coding import AvroRows
from gata_assets.ingestion.segments.event import Event
from gata_assets.ingestion.segments.rejected import Headers, RejectedMessage
from gata_assets.interactions.tables import TABLES
from gata_assets_tests.ingestion.schemas.registries import SchemasInMemory
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.event_worlds import START
from gata_assets_tests.support.topics import MAX_BYTES, TARGET, decoder_of, judge_of, row

SPEC = TABLES["interactions"]
SCHEMA = avro_schema(SPEC)
GLUE_ID = UUID("00000000-0000-0000-0000-0000000000aa")
WITH_TENANT = {**SCHEMA, "fields": [{"name": "tenant_id", "type": "string"}, *SCHEMA["fields"]]}
TOPICS = {"clicks": "interactions", "lost": "no_such_table"}


def came(value: bytes | None, key: bytes | None = b"acme:u1", headers: Headers = ()) -> KafkaMessage:
    return KafkaMessage(7, key, value, headers, START)


def registry() -> SchemasInMemory:
    return SchemasInMemory({1: SCHEMA, 2: WITH_TENANT, GLUE_ID: SCHEMA})


def avro(schema_id: int | UUID = 1, **values: object) -> bytes:
    return AvroRows(SPEC, registry()).encode(row(1, timestamp="2026-01-10T09:00:00Z") | values, schema_id)


def avro_with_tenant(tenant: str) -> bytes:
    """As `avro`, with the name before the record's fields."""
    head, rest = avro(2)[:5], avro(2)[5:]
    return head + bytes([2 * len(tenant)]) + tenant.encode() + rest


def as_json(**values: object) -> bytes:
    return json.dumps(row(1) | values).encode()


def judged(judge: Judge, message: KafkaMessage, topic: str = "clicks") -> str:
    """The tenant of an event, or the reason of a rejected message."""
    found = judge.judge(topic, 3, message)
    if isinstance(found, Event):
        assert (found.payload, found.source, found.offset) == (message.value, "kafka/clicks/3", message.offset)
        assert (found.table, found.received_at) == ("interactions", message.received_at)
        return found.tenant
    assert isinstance(found, RejectedMessage)
    assert message_of(found) == message
    return found.reason


@pytest.mark.parametrize(
    ("value", "key", "expected"),
    [
        (as_json(tenant_id="acme"), b"acme", "acme"),
        (as_json(tenant_id="acme"), b"acme:u1", "acme"),
        (as_json(tenant_id="acme"), None, "acme"),
        (as_json(), b"acme", "acme"),
        (as_json(), b"acme:", "acme"),
        (avro(), b"acme:u1", "acme"),
        (avro(GLUE_ID), b"acme", "acme"),
        (avro_with_tenant("acme"), b"acme", "acme"),
        (avro_with_tenant("acme"), None, "acme"),
        (avro_with_tenant("acme"), b"globex", Reason.OTHER_TENANT),
        (as_json(tenant_id="acme"), b"globex:u1", Reason.OTHER_TENANT),
        (as_json(tenant_id=["acme"]), None, Reason.UNKNOWN_TENANT),
        (as_json(tenant_id=5), b"5", Reason.OTHER_TENANT),
        (as_json(tenant_id="../acme"), None, Reason.UNKNOWN_TENANT),
        (as_json(), b"\xff\xfe", Reason.UNKNOWN_TENANT),
        (as_json(), b"training", Reason.UNKNOWN_TENANT),
        (as_json(), None, Reason.NO_TENANT),
        (as_json(), b"", Reason.NO_TENANT),
        (as_json(), b":u1", Reason.NO_TENANT),
        (avro(), None, Reason.NO_TENANT),
        (None, b"acme", Reason.NO_VALUE),
        (b"", b"acme", Reason.NO_VALUE),
        (b"{", b"acme", Reason.NO_JSON),
        (b'{"user_id": "\xff"', b"acme", Reason.NO_JSON),
        (b'{"a":' * 15_000, b"acme", Reason.NO_JSON),
        (b"[1]", b"acme", Reason.NO_OBJECT),
        (b'"acme"', b"acme", Reason.NO_OBJECT),
        (b"x" * (MAX_BYTES + 1), b"acme", Reason.TOO_LARGE),
        (avro()[:-3], b"acme", Reason.NO_AVRO),
        (b"\0\0", b"acme", Reason.NO_AVRO),
        (b"\3\7", b"acme", Reason.NO_AVRO),
        (avro(9), b"acme", Reason.UNKNOWN_SCHEMA),
    ],
)
def test_a_message_is_of_the_tenant_that_it_and_its_key_name_or_rejected(
    value: bytes | None, key: bytes | None, expected: str
) -> None:
    assert judged(judge_of(TOPICS, registry()), came(value, key)) == expected


def test_a_topic_of_no_table_rejects_and_tenants_that_settings_do_not_name_too() -> None:
    judge = judge_of(TOPICS, registry(), tenants=("acme",))
    assert judged(judge, came(as_json()), "lost") == Reason.UNKNOWN_TABLE
    assert judged(judge, came(as_json(), b"acme")) == "acme"
    assert judged(judge, came(as_json(), b"globex")) == Reason.UNKNOWN_TENANT


def test_without_a_registry_avro_is_rejected() -> None:
    assert judged(judge_of(TOPICS), came(avro())) == Reason.UNKNOWN_SCHEMA


def test_what_this_target_produced_is_skipped_and_what_another_did_is_not() -> None:
    own, other = Origin(TARGET, "http/00000000000000aa", 7), Origin("f" * 16, "http/00000000000000aa", 7)
    judge = judge_of(TOPICS)
    assert judge.judge("clicks", 0, came(as_json(), headers=(own.header,))) is None
    assert judged(judge, came(as_json(), headers=(other.header,))) == "acme"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((("X-Request-Id", b"r-1"),), "r-1"),
        ((("request_id", b"a"), ("request-id", b"b")), "a"),
        ((("request-id", b"\xff"),), ""),
        ((("request-id", b"x" * 500),), ""),
        ((("request-id", None),), ""),
        ((("other", b"r-1"),), ""),
    ],
)
def test_the_id_of_a_request_is_that_of_a_header(headers: Headers, expected: str) -> None:
    found = judge_of(TOPICS).judge("clicks", 0, came(as_json(), headers=headers))
    assert isinstance(found, Event)
    assert found.request_id == expected


def test_a_registry_that_is_away_rejects_nothing() -> None:
    away = registry()
    away.is_away = True
    with pytest.raises(RegistryError):
        judge_of(TOPICS, away).judge("clicks", 0, came(avro()))


def test_a_flood_with_an_unknown_schema_asks_the_registry_once() -> None:
    found = registry()
    judge = judge_of(TOPICS, found)
    assert {judged(judge, came(avro(9))) for _ in range(50)} == {Reason.UNKNOWN_SCHEMA}
    assert found.asked == [9]


def event(payload: bytes, source: str = "kafka/clicks/0") -> Event:
    return Event("acme", "interactions", payload, START, source, "", 7)


def test_avro_becomes_the_same_json_always() -> None:
    first, second = (decoder_of(registry())(event(avro(rating=4.5))) for _ in range(2))
    assert first == second
    found = msgspec.json.decode(first)
    assert {name: found[name] for name in ("user_id", "item_id", "interaction_type", "rating")} == {
        "user_id": "u1",
        "item_id": "i1",
        "interaction_type": "view",
        "rating": 4.5,
    }
    assert decoder_of(registry())(event(avro_with_tenant("acme"))) == decoder_of(registry())(event(avro()))


def test_json_stays_as_it_came_but_for_the_tenant() -> None:
    decode = decoder_of()
    assert decode(event(b'{ "a": 1.50, "b": 1e400 }')) == b'{ "a": 1.50, "b": 1e400 }'
    assert decode(event(b'{"a": 1.50, "tenant_id": "acme", "b": {"tenant_id": 1}, "c": 123456789012345678901}')) == (
        b'{"a":1.50,"b":{"tenant_id": 1},"c":123456789012345678901}'
    )
    assert decode(event(as_json(tenant_id="acme"), source="http")) == as_json(tenant_id="acme")
    assert decode(event(b"{broken")) == b"{broken"


def test_a_schema_that_the_registry_lost_stops_the_roll_up_and_rejects_no_row() -> None:
    with pytest.raises(RegistryError, match="register the same schema again"):
        decoder_of(SchemasInMemory({}))(event(avro()))
    # A record that its table can no longer read is shown by quarantine.
    assert decoder_of(registry())(event(avro()[:-3])) == avro()[:-3]


def test_no_reason_or_error_has_what_a_message_has() -> None:
    secret = canary("a user").upper()
    judge = judge_of(TOPICS, registry())
    for value in (as_json(user_id=secret)[:-3], avro(user_id=secret)[:-3], as_json(tenant_id=secret)):
        found = judge.judge("clicks", 0, came(value, key=secret.encode()))
        assert isinstance(found, RejectedMessage)
        assert secret not in found.reason
