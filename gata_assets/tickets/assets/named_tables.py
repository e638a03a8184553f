"""What stored tickets say of one another, for whoever verifies the target: datasets and tables name their sources.

The invalid tickets of a batch are named by nothing, and prove themselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from gata_assets.batches import is_batch_id
from gata_assets.governance.trust.forms import Forms, NameReader, SelfCheck
from gata_assets.governance.trust.names import Name, Role
from gata_assets.governance.trust.proofs import damaged, prove_parquet, read_note
from gata_assets.storage.objects import ObjectStore
from gata_assets.tables.manifests import MANIFEST_FILE, Manifest
from gata_assets.tickets.provenance import FILE_KEY
from gata_assets.tickets.training_files import DATASETS, dataset_folder, quarantine_key, table_key

_DIGEST = re.compile(r"[0-9a-f]{64}")
_QUARANTINE = "_quarantine"


def _split(key: str) -> tuple[str, str] | None:
    """The table and the batch of a stored table; None for any other key."""
    table, _, name = key.removeprefix("intermediate/").partition("/")
    batch_id = name.removesuffix(".parquet")
    return (table, batch_id) if is_batch_id(batch_id) and key == table_key(table, batch_id) else None


def names_of_manifest(key: str, manifest: Manifest) -> Iterator[Name]:
    """The tables that a dataset of tickets was built from."""
    batch_id = key.removesuffix(f"/{MANIFEST_FILE}").rpartition("/")[2]
    if is_batch_id(batch_id) and key in {dataset_folder(name, batch_id) + MANIFEST_FILE for name in DATASETS}:
        yield from _sources(manifest.made_from, batch_id)


def reader_of(key: str) -> NameReader | None:
    """What reads the sources of a stored table, from its own metadata."""
    found = _split(key)
    return None if found is None or found[0].endswith(_QUARANTINE) else _read_sources


def _read_sources(store: ObjectStore, key: str) -> Iterator[Name]:
    found = _split(key)
    note = read_note(store, key, FILE_KEY)
    try:
        made_from = json.loads(note or b"")["made_from"]
    except (ValueError, KeyError, TypeError):
        raise damaged(store, key) from None
    return _sources(made_from, found[1] if found else "")


def check_of(key: str) -> SelfCheck | None:
    """What checks the invalid tickets of a batch."""
    found = _split(key)
    is_quarantine = found is not None and key == quarantine_key(found[0].removesuffix(_QUARANTINE), found[1])
    return prove_parquet if is_quarantine else None


def _sources(made_from: Mapping[str, object], batch_id: str) -> Iterator[Name]:
    for table, digest in made_from.items():
        if isinstance(digest, str) and _DIGEST.fullmatch(digest):
            yield Name(table_key(table, batch_id), Role.SOURCE, digest)


TICKETS = Forms(names_of_manifest, reader_of=reader_of, check_of=check_of)
