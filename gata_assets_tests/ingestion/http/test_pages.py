"""Pages of rows by HTTP: as bodies, as uploaded files, and as single events, which are one row.

Real: the service on a port, a directory, validation and quarantine. Nothing is faked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest

from gata_assets.curation.files.formats import RawFormat
from gata_assets.curation.readers.raw_block import READABLE, UNREADABLE
from gata_assets.curation.readers.readers import read_blocks
from gata_assets.ingestion.keys.key_store import KeyStore
from gata_assets.interactions.tables import TABLES
from gata_assets.storage.local import LocalStore
from gata_assets.tables.spec import read_by_row
from gata_assets_tests.support.http_service import TENANT, RunningService
from gata_assets_tests.support.page_worlds import CASES, case
from gata_assets_tests.support.raw_worlds import NOW

ROWS = "/internal/data/cases"
PAGE = {"cases": [case(1, person_id=7, tags=[1]), case(0), 5], "people": [{"id": 7}], "next_page": None}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    """A service on a directory, with a key of the tenant and the table of cases."""
    store = LocalStore(str(tmp_path / "target"))
    secret, _ = KeyStore(store, lambda: NOW).create(TENANT, ["ingest", "validate"])
    with RunningService(store, secret=secret, tables={**TABLES, CASES.table: CASES}) as found:
        yield found


@pytest.mark.server
@pytest.mark.parametrize("indent", [None, 2])
def test_a_page_lands_as_a_body_and_as_a_file(service: RunningService, indent: int | None) -> None:
    content = json.dumps(PAGE, indent=indent).encode()
    answer = service.ask("POST", ROWS, content, {"Content-Type": "application/json"})
    assert (answer.status, answer.json["rows_accepted"], answer.json["rows_rejected"]) == (200, 1, 2)
    [key] = service.keys_below(f"{TENANT}/staged/cases/")
    [row] = pl.read_parquet(BytesIO(service.store.read(key))).to_dicts()
    assert (json.loads(row["person"]), json.loads(row["tags"]), row["source_record"]) == ({"id": 7}, [1], 1)
    # With its blanks and line breaks.
    assert row["tags"] in content.decode()
    again = service.upload(content, "page.json", "data_type=cases")
    assert (again.status, again.json["was_there"]) == (200, True)


@pytest.mark.server
def test_rows_land_as_an_array_and_as_lines(service: RunningService) -> None:
    rows = [case(1, extra={"a": [1]}), case(2)]
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    for content, kind in ((json.dumps(rows).encode(), "application/json"), (lines, "application/x-ndjson")):
        answer = service.ask("POST", ROWS, content, {"Content-Type": kind})
        assert (answer.status, answer.json["rows_accepted"]) == (200, 2)


@pytest.mark.server
def test_rows_of_a_sample_are_validated_with_their_json(service: RunningService) -> None:
    sample = {"data_type": "cases", "sample_data": [case(1, tags={"a": 1}, other=[1]), case(0)]}
    answer = service.post("/api/validation/validate", sample)
    assert (answer.status, answer.json["valid"]) == (200, 1)
    assert answer.json["validation_errors"] == [{"rule": "case_id_is_at_least_1", "rows": 1}]


def test_an_event_is_one_row_and_a_page_is_none() -> None:
    lines = [json.dumps(one) for one in (case(1, tags=[1], other=2), PAGE, [case(2)])]
    content = "\n".join(lines).encode()
    blocks = [pending() for pending in read_blocks(BytesIO(content), RawFormat.JSON_LINES, read_by_row(CASES))]
    assert [fault for block in blocks for fault in block.faults.tolist()] == [READABLE, UNREADABLE, UNREADABLE]
    assert [text for block in blocks for text in block.texts["more"]] == ['{"other":2}', None, None]
