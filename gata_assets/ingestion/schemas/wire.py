"""The head of a message that names the schema it was written by: Confluent's, and that of AWS Glue.

Pure. Confluent: a zero byte and the id in 4 bytes, the highest first. Glue: a byte 3, a byte for the compression (0:
none, 5: zlib), and the 16 bytes of the version's UUID. Sources:
https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
https://github.com/awslabs/aws-glue-schema-registry
"""

from __future__ import annotations

import struct
import zlib
from uuid import UUID

from gata_assets.errors import MessageError
from gata_assets.ingestion.schemas.registry import SchemaId

_CONFLUENT, _GLUE = 0, 3
_PLAIN, _ZLIB = 0, 5
_CONFLUENT_BYTES, _GLUE_BYTES = 5, 18
LONGEST_HEAD = _GLUE_BYTES
_MOST_ID = 2**31 - 1


def head(schema_id: SchemaId) -> bytes:
    """What a message begins with that is written by this schema."""
    if isinstance(schema_id, UUID):
        return bytes((_GLUE, _PLAIN)) + schema_id.bytes
    return struct.pack(">bI", _CONFLUENT, schema_id)


def split_message(message: bytes, max_bytes: int) -> tuple[SchemaId, bytes]:
    """The id of a message's schema, and its record; at most `max_bytes` each, also unpacked. Raises MessageError."""
    if len(message) > max_bytes:
        raise MessageError(f"The message has {len(message):,} bytes, more than {max_bytes:,}.")
    if not message:
        raise MessageError("The message is empty.")
    if message[0] == _CONFLUENT:
        if len(message) < _CONFLUENT_BYTES:
            raise MessageError("The message ends within the id of its schema.")
        schema_id = int.from_bytes(message[1:_CONFLUENT_BYTES], "big")
        if schema_id > _MOST_ID:
            raise MessageError("The message's schema has an id that no registry gives.")
        return schema_id, message[_CONFLUENT_BYTES:]
    if message[0] != _GLUE:
        raise MessageError(
            f"The message begins with the byte {message[0]}, not as the wire format of Confluent (0) or of Glue (3)."
        )
    if len(message) < _GLUE_BYTES:
        raise MessageError("The message ends within the id of its schema.")
    record = message[_GLUE_BYTES:]
    if message[1] not in (_PLAIN, _ZLIB):
        raise MessageError(f"The message is compressed in a way that Glue does not have ({message[1]}).")
    return UUID(bytes=message[2:_GLUE_BYTES]), record if message[1] == _PLAIN else _unpacked(record, max_bytes)


def _unpacked(record: bytes, max_bytes: int) -> bytes:
    unpacking = zlib.decompressobj()
    try:
        found = unpacking.decompress(record, max_bytes + 1)
    except zlib.error:
        raise MessageError("The message's compressed record is damaged.") from None
    if len(found) > max_bytes:
        raise MessageError(f"The message unpacked has more than {max_bytes:,} bytes.")
    if not unpacking.eof:
        raise MessageError("The message ends within its compressed record.")
    if unpacking.unused_data:
        raise MessageError("The message goes on after its record.")
    return found
