"""What stored tickets say of one another. Real: tables as a batch stores them, in a directory."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from gata_assets.errors import DamagedTableError
from gata_assets.governance.trust.names import Name, Role
from gata_assets.storage.local import LocalStore
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.tables.manifests import Manifest
from gata_assets.tickets.assets.io_managers import ParquetIOManager
from gata_assets.tickets.assets.named_tables import check_of, names_of_manifest, reader_of
from gata_assets.tickets.provenance import PROVENANCE

BATCH = "2026010203"
COUNTS = "a" * 64


def test_a_dataset_of_tickets_names_the_tables_that_it_was_built_from_and_no_other_dataset_does() -> None:
    manifest = Manifest("gata-general", made_from={"label_counts": COUNTS, "rows": 3, "note": "b"})
    expected = [Name(f"intermediate/label_counts/{BATCH}.parquet", Role.SOURCE, COUNTS)]
    assert list(names_of_manifest(f"training/gata-general/{BATCH}/manifest.json", manifest)) == expected
    assert list(names_of_manifest(f"training/gata-low-vol/{BATCH}/manifest.json", manifest)) == expected
    for key in (
        f"acme/features/{BATCH}/manifest.json",
        f"training/other/{BATCH}/manifest.json",
        "training/manifest.json",
    ):
        assert list(names_of_manifest(key, manifest)) == []


def test_a_table_names_its_sources_in_its_own_metadata(tmp_path: Path) -> None:
    table = pd.DataFrame({"label": [1, 2]})
    table.attrs = {PROVENANCE: {"made_from": {"tickets": COUNTS}}}
    ParquetIOManager(store=LocalStoreResource(directory=str(tmp_path))).write(BATCH, "label_counts", table)
    key, store = f"intermediate/label_counts/{BATCH}.parquet", LocalStore(str(tmp_path))
    reader = reader_of(key)
    assert reader
    assert list(reader(store, key)) == [Name(f"intermediate/tickets/{BATCH}.parquet", Role.SOURCE, COUNTS)]
    store.write(key, store.read(key)[:-9])
    with pytest.raises(DamagedTableError, match="is no Parquet file as it was written"):
        list(reader(store, key))


def test_invalid_tickets_prove_themselves_and_name_nothing() -> None:
    key = f"intermediate/tickets_quarantine/{BATCH}.parquet"
    assert check_of(key) is not None
    assert reader_of(key) is None
    for other in ("intermediate/doctor/probe", "intermediate/mlflow/a/0", "intermediate/tickets/today.parquet"):
        assert (check_of(other), reader_of(other)) == (None, None)
