"""Stores asset values as objects: intermediate tables as Parquet, datasets as JSON Lines.

`storage.claims` decides the order in which a dataset's files are written, `training_files` their bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gata_assets.errors import DamagedTableError, DeleteDeniedError, ObjectNotFoundError
from gata_assets.governance.trust.proofs import encode_proven
from gata_assets.storage.claims import FixedKeysWrite
from gata_assets.storage.resource import ObjectStoreResource
from gata_assets.ticket_contract.source import no_tickets
from gata_assets.tickets.invalid import find_invalid
from gata_assets.tickets.provenance import FILE_KEY, PROVENANCE, SHA256
from gata_assets.tickets.training_files import FILES, Dataset, manifest_key, quarantine_key, table_key

# The types that the schemas require; pandas' own metadata would give strings as Python objects.
_PANDAS_TYPES = {
    pa.int64(): pd.Int64Dtype(),
    pa.string(): pd.StringDtype("pyarrow"),
    pa.large_string(): pd.StringDtype("pyarrow"),
}


@dataclass(frozen=True)
class Stored:
    """An object of a batch in the store: its SHA-256, which identifies it, and the metadata for the UI."""

    sha256: str
    metadata: Mapping[str, dg.MetadataValue[Any]]


def encode_table(table: pa.Table, provenance: Mapping[str, Any]) -> bytes:
    """A table as the bytes of its file."""
    # In one chunk: Parquet starts a page at each chunk, so the bytes would depend on how tickets were read.
    noted = table.combine_chunks().replace_schema_metadata({FILE_KEY: json.dumps(provenance).encode()})
    buffer = pa.BufferOutputStream()
    # Texts rarely repeat: a dictionary for them would cost a fifth of the time and a seventh of the size.
    pq.write_table(noted, buffer, compression="zstd", use_dictionary=["label"])
    content: bytes = buffer.getvalue().to_pybytes()
    return content


class ParquetIOManager(dg.ConfigurableIOManager):
    """Stores one pandas table per partition at `intermediate/{asset}/{batch_id}.parquet`, compressed with zstd.

    A table has its provenance in `attrs` (`tickets.provenance`), which is kept in the file.
    """

    store: ObjectStoreResource

    def write(self, batch_id: str, asset: str, table: pd.DataFrame) -> Stored:
        """Write one batch's table."""
        key = table_key(asset, batch_id)
        content = encode_table(pa.Table.from_pandas(table, preserve_index=False), table.attrs[PROVENANCE])
        self.store.write(key, content)
        return Stored(sha256(content).hexdigest(), _place(self.store, "path", key))

    def write_quarantine(self, batch_id: str, asset: str, tickets: pd.DataFrame | None) -> None:
        """Write the invalid tickets of a table, with the rules that each breaks, for nobody but the owner.

        Without any, nothing is written, unless an earlier run had some.
        """
        key = quarantine_key(asset, batch_id)
        if tickets is None:
            if not self.store.exists(key):
                return
            tickets = find_invalid(no_tickets()).quarantine(no_tickets())
        content = encode_proven(pa.Table.from_pandas(tickets, preserve_index=False))
        self.store.write(key, content, is_private=True)

    def read(self, batch_id: str, asset: str) -> pd.DataFrame:
        """Read one batch's table, with its provenance and its file's SHA-256 in `attrs`.

        Raises ObjectNotFoundError if its asset has not been materialized, DamagedTableError for a file that is damaged
        or was not written by this project.
        """
        key = table_key(asset, batch_id)
        try:
            content = self.store.read(key)
        except ObjectNotFoundError:
            raise ObjectNotFoundError(
                f"There is no {self.store.uri(key)}: materialize `{asset}` for batch {batch_id} first."
            ) from None
        try:
            stored = pq.read_table(pa.BufferReader(content))
            provenance = json.loads((stored.schema.metadata or {})[FILE_KEY])
        except (pa.ArrowException, OSError, ValueError, KeyError):
            raise DamagedTableError(
                f"{self.store.uri(key)} is not a complete table of this project: materialize `{asset}` for batch "
                f"{batch_id} again."
            ) from None
        table: pd.DataFrame = stored.to_pandas(types_mapper=_PANDAS_TYPES.get, ignore_metadata=True)
        table.attrs = {PROVENANCE: provenance, SHA256: sha256(content).hexdigest()}
        return table

    def handle_output(self, context: dg.OutputContext, obj: pd.DataFrame) -> None:
        """Write the partition of an output."""
        context.add_output_metadata(self.write(context.partition_key, context.asset_key.path[-1], obj).metadata)

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        """Read the partition of an input."""
        return self.read(context.partition_key, context.asset_key.path[-1])


class DatasetIOManager(dg.ConfigurableIOManager):
    """Stores one dataset per partition: two JSON Lines files, and the manifest that lists them, written last.

    Files that match the checksums of their manifest are of a single run. While files are replaced, the manifest says
    so (`storage.claims`).
    """

    store: ObjectStoreResource

    def write(self, dataset: Dataset) -> Stored:
        """Write or remove the channel files, and the manifest.

        Raises DeleteDeniedError when files of an earlier run must go and the role may not delete them, ConflictError
        when another command writes the same dataset.
        """
        contents, manifest = dataset.encode()
        try:
            FixedKeysWrite(self.store, dataset.folder, FILES).run(contents, manifest)
        except DeleteDeniedError as error:
            raise DeleteDeniedError(
                f"{error} An earlier run of batch {dataset.batch_id} had {dataset.name} and this one does not "
                f"({dataset.reason}), so what is left of it must go: while it is there, the workflow trains a model "
                "from it. Delete it by hand or give the role the right, and run the batch again."
            ) from None
        metadata = {
            **_place(self.store, "manifest", manifest_key(dataset.name, dataset.batch_id)),
            "paths": dg.MetadataValue.json([self.store.uri(dataset.folder + name) for name in contents]),
        }
        return Stored(manifest.digest, metadata)

    def handle_output(self, context: dg.OutputContext, obj: Dataset) -> None:
        """Write the partition of an output."""
        context.add_output_metadata(self.write(obj).metadata)

    def load_input(self, context: dg.InputContext) -> Dataset:
        """Refuse: no asset reads a dataset; its readers are outside of Dagster."""
        raise dg.DagsterInvariantViolationError(f"{context.asset_key.path[-1]} is read by no asset.")


def _place(store: ObjectStoreResource, name: str, key: str) -> dict[str, dg.MetadataValue[Any]]:
    """An object's location as a path to copy and, if a browser can show it, as a link."""
    page = store.page(key)
    link = {} if page is None else {f"{name}_in_console": dg.MetadataValue.url(page)}
    return {name: dg.MetadataValue.path(store.uri(key)), **link}
