"""What is produced: messages of events, of valid rows of files, and of finished datasets. Pure.

Values are JSON with `tenant_id`; keys have the tenant and whom or what the row is about, so that one tenant does not
sit on one partition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gata_assets.ingestion.kafka.origin import Origin
from gata_assets.ingestion.segments.event import Event
from gata_assets.tables.columns.column_spec import ColumnSpec
from gata_assets.tables.manifests import MANIFEST_VERSION, Manifest
from gata_assets.tables.spec import TableSpec

TENANT = "tenant_id"
SOURCE_HEADER, FILE_SOURCE = "gata-source", "file"
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class OutMessage:
    """A message that is to be produced."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


def key_column(spec: TableSpec) -> str:
    """The column whose value is in the keys of a table's messages: the first of the table's key, or of its raw columns
    (of interactions the user).
    """
    return spec.key[0] if spec.key else spec.raw_columns[0].name


def event_message(topic: str, spec: TableSpec, origin: Origin, event: Event) -> OutMessage | None:
    """The message of an event: its payload as it came, with the tenant; None if that is no JSON object."""
    try:
        # Values stay as they came, whatever they are: they are not decoded, and may be no text.
        found = _decode_object.decode(event.payload.decode())
        value = _encode(found | {TENANT: event.tenant})
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    key = _key(event.tenant, _plain(found.get(key_column(spec))))
    return OutMessage(topic, key, value, (origin.header, (SOURCE_HEADER, event.source.encode())))


def row_message(topic: str, spec: TableSpec, tenant: str, origin: Origin, row: Mapping[str, Any]) -> OutMessage:
    """The message of a valid row of a file: the columns that raw files have, those within others in an object."""
    value: dict[str, Any] = {TENANT: tenant}
    for column in spec.raw_columns:
        if column.name not in row:
            continue
        if column.json:
            value |= _json_fields(spec, column, row[column.name])
        elif column.within is None or column.within in spec.sources:
            value[column.name] = row[column.name]
        elif row[column.name] is not None:
            value.setdefault(column.within, {})[column.name] = row[column.name]
    headers = (origin.header, (SOURCE_HEADER, FILE_SOURCE.encode()))
    return OutMessage(topic, _key(tenant, row.get(key_column(spec))), _encode(value | {TENANT: tenant}), headers)


def _json_fields(spec: TableSpec, column: ColumnSpec, text: str | None) -> dict[str, Any]:
    """A column of JSON as the value that its text means; the fields that one keeps together each by itself."""
    if column.name == spec.more:
        return {} if text is None else dict(_decode_object.decode(text))
    return {column.name: None if text is None else msgspec.Raw(text.encode())}


def dataset_message(
    topic: str, origin: Origin, manifest: Manifest, manifest_uri: str, tenant: str | None
) -> OutMessage:
    """The message of a finished dataset: where its manifest is, and how many rows its tables have. Its key is the
    dataset's digest, so repetitions have the same.
    """
    tables = manifest.count_tables()
    value = {
        TENANT: tenant,
        "dataset": manifest.kind,
        "batch_id": manifest.details.get("batch_id"),
        "manifest_uri": manifest_uri,
        "manifest_version": MANIFEST_VERSION,
        "digest": manifest.digest,
        "rows": sum(counts["rows"] for counts in tables.values()),
        "tables": tables,
        "schema": manifest.schema,
        "code_version": manifest.code_version,
    }
    return OutMessage(topic, manifest.digest.encode(), _encode(value), (origin.header,))


def _key(tenant: str, value: object) -> bytes:
    return (tenant if value is None else f"{tenant}:{value}").encode()


def _plain(value: msgspec.Raw | None) -> object:
    """A value of JSON if it is a text or a number, else None."""
    found = None if value is None else msgspec.json.decode(value)
    return found if isinstance(found, str | int) and not isinstance(found, bool) else None
