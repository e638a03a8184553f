"""Messages as the JSON lines of raw files: Avro by its schema, JSON without the tenant's name. Always the same bytes.

The roll-up and the tail call it for each event; those that did not come from a topic stay as they came. Avro needs the
extra `kafka`, which is imported with the first message that is Avro.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any

import msgspec

from gata_assets.errors import MessageError, RegistryError, UnknownSchemaError
from gata_assets.ingestion.segments.event import Event
from gata_assets.tables.spec import TableSpec

if TYPE_CHECKING:
    from gata_assets.ingestion.schemas.coding import AvroRows
    from gata_assets.ingestion.schemas.registry import SchemaRegistry

# What a JSON message has besides the table's columns; the reference's producers name the tenant so.
TENANT = "tenant_id"
# The first bytes of Confluent's wire format and of Glue's, with which no JSON begins.
_AVRO = (b"\0", b"\3")
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def is_avro(payload: bytes) -> bool:
    """Whether a message says by its first byte that it is Avro."""
    return payload[:1] in _AVRO


class MessageDecoder:
    """Decodes the messages of tables; several threads may use one."""

    def __init__(
        self,
        tables: Mapping[str, TableSpec],
        open_registry: Callable[[], SchemaRegistry] | None,
        *,
        max_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up the decoder.

        Args:
            tables: The tables by name.
            open_registry: Opens the registry with the first message that is Avro; None without one.
            max_bytes: The largest message.
            clock: Seconds.
        """
        self._tables, self._open_registry = tables, open_registry
        self._max_bytes, self._clock = max_bytes, clock
        self._rows: dict[str, AvroRows] = {}
        self._registry: SchemaRegistry | None = None
        self._lock = Lock()

    def has_table(self, table: str) -> bool:
        """Whether there is such a table that takes single rows: rows of changes come as files."""
        return table in self._tables and self._tables[table].changes is None

    def check(self, table: str, message: bytes) -> Any:
        """Decode Avro, and say which tenant it names; None if its schema has no such field.

        Raises MessageError, UnknownSchemaError (which is one), or RegistryError.
        """
        rows = self._rows_of(table)
        rows.decode(message)
        return rows.own_field(message, TENANT)

    def __call__(self, event: Event) -> bytes:
        """An event as a line of its raw file.

        Raises RegistryError if the registry is away, or has lost the schema that it had when the event came.
        """
        payload = event.payload
        if not event.source.startswith("kafka/"):
            return payload
        if is_avro(payload):
            try:
                return msgspec.json.encode(self._rows_of(event.table).decode(payload))
            except UnknownSchemaError as error:
                raise RegistryError(
                    f"{error} Its schema was known when the event came: register the same schema again, or set the "
                    "registry that has it."
                ) from None
            except MessageError:
                # The table was changed since: quarantine shows it as it came.
                return payload
        spec = self._tables.get(event.table)
        if spec is None or TENANT in spec.sources:
            return payload
        try:
            fields = _OBJECT.decode(payload)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return payload
        return payload if fields.pop(TENANT, None) is None else msgspec.json.encode(fields)

    def _rows_of(self, table: str) -> AvroRows:
        with self._lock:
            if table not in self._rows:
                try:
                    from gata_assets.ingestion.schemas.coding import AvroRows
                    from gata_assets.ingestion.schemas.known import KnownSchemas
                except ModuleNotFoundError as error:
                    raise RegistryError(
                        f"Messages are Avro, and {error.name} is not installed: pip install 'gata-assets[kafka]'."
                    ) from None
                if self._open_registry is None:
                    raise UnknownSchemaError(
                        "Messages are Avro, and there is no registry: set SCHEMA_REGISTRY_URL or GLUE_SCHEMA_REGISTRY."
                    )
                if self._registry is None:
                    self._registry = KnownSchemas(self._open_registry(), self._clock)
                self._rows[table] = AvroRows(self._tables[table], self._registry, max_bytes=self._max_bytes)
            return self._rows[table]
