"""Which messages of a topic are events of which tenant, and why others are not.

A row that breaks a rule of its table is an event all the same: it goes to quarantine when its raw file is validated.
Rejected here is what belongs to no tenant, or is no row at all. What we produced ourselves is skipped: its rows are in.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from gata_assets.curation.layout import is_tenant_name
from gata_assets.errors import MessageError, UnknownSchemaError
from gata_assets.ingestion.kafka.consuming.decoding import MessageDecoder, is_avro
from gata_assets.ingestion.kafka.consuming.message import KafkaMessage
from gata_assets.ingestion.kafka.origin import origin_of
from gata_assets.ingestion.segments.event import MAX_PAYLOAD_BYTES, Event
from gata_assets.ingestion.segments.rejected import RejectedMessage


class Reason(StrEnum):
    """Why a message is no event."""

    NO_VALUE = "no_value"
    TOO_LARGE = "too_large"
    NO_JSON = "no_json"
    NO_OBJECT = "no_json_object"
    NO_AVRO = "no_avro_of_the_table"
    UNKNOWN_SCHEMA = "unknown_schema"
    UNKNOWN_TABLE = "unknown_table"
    NO_TENANT = "no_tenant"
    UNKNOWN_TENANT = "unknown_tenant"
    OTHER_TENANT = "tenant_differs_from_key"


class _Envelope(msgspec.Struct):
    tenant_id: Any = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)


class Judge:
    """Judges the messages of topics; several threads may use one."""

    def __init__(
        self,
        topics: Mapping[str, str],
        decoder: MessageDecoder,
        target: str,
        *,
        tenants: Collection[str] | None = None,
        max_bytes: int = MAX_PAYLOAD_BYTES,
    ) -> None:
        """Set up the judge.

        Args:
            topics: The table of each topic's messages.
            decoder: Reads Avro; has the tables.
            target: The identity of the target (`origin.target_id`).
            tenants: Whose messages are taken; None for any name that a tenant can have.
            max_bytes: The largest message, `MAX_PAYLOAD_BYTES` at most.
        """
        self._topics, self._decoder, self._target = topics, decoder, target
        self._tenants = tenants
        self._max_bytes = min(max_bytes, MAX_PAYLOAD_BYTES)

    def judge(self, topic: str, partition: int, message: KafkaMessage) -> Event | RejectedMessage | None:
        """A message as an event, as a rejected one, or None if we produced it.

        Raises RegistryError if it cannot be known now, since the registry is away.
        """
        origin = origin_of([*message.headers])
        if origin is not None and origin.target == self._target:
            return None
        table = self._topics.get(topic, "")
        payload = message.value
        if not payload:
            return message.rejected(Reason.NO_VALUE)
        if len(payload) > self._max_bytes:
            return message.rejected(Reason.TOO_LARGE)
        if not self._decoder.has_table(table):
            return message.rejected(Reason.UNKNOWN_TABLE)
        try:
            named = self._decoder.check(table, payload) if is_avro(payload) else _ENVELOPE.decode(payload).tenant_id
        except UnknownSchemaError:
            return message.rejected(Reason.UNKNOWN_SCHEMA)
        except MessageError:
            return message.rejected(Reason.NO_AVRO)
        except msgspec.ValidationError:
            return message.rejected(Reason.NO_OBJECT)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return message.rejected(Reason.NO_JSON)
        tenant = self._tenant(named, message.key)
        if isinstance(tenant, Reason):
            return message.rejected(tenant)
        source = f"kafka/{topic}/{partition}"
        return Event(tenant, table, payload, message.received_at, source, message.request_id, message.offset)

    def _tenant(self, named: object, key: bytes | None) -> str | Reason:
        """The tenant that a message names, or else its key: `tenant` or `tenant:user`."""
        of_key = key.partition(b":")[0].decode("latin-1") if key else None
        if named is None:
            if not of_key:
                return Reason.NO_TENANT
            named = of_key
        elif of_key is not None and named != of_key:
            return Reason.OTHER_TENANT
        if not isinstance(named, str) or not is_tenant_name(named):
            return Reason.UNKNOWN_TENANT
        return named if self._tenants is None or named in self._tenants else Reason.UNKNOWN_TENANT
