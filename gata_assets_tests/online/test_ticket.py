"""The public contract of a ticket, against the offline tables. All real, nothing is faked."""

from __future__ import annotations

import subprocess
import sys

import polars as pl
import pytest
from pydantic import ValidationError

from gata_assets.lake.offline.ending import ENDING
from gata_assets.lake.offline.schema import OFFLINE
from gata_assets.online.ticket import Ticket, ticket_json_schema
from gata_assets.sandbox.lake.stories import LakeParameters, all_versions
from gata_assets_tests.lake.offline.stories import TICKETS_FILE, merged

# What trains and where rows came from is no application's.
NOT_PUBLIC = ("more", *ENDING, "routed_by", "initial_group_id", "source_file", "source_record")


def test_the_contract_has_the_columns_of_offline_tickets() -> None:
    assert list(Ticket.model_fields) == [name for name in OFFLINE.curated_schema if name not in NOT_PUBLIC]


def test_every_offline_ticket_fits_the_contract_and_comes_back_from_json() -> None:
    table = merged(all_versions(LakeParameters(tickets=30, days=1))).files[TICKETS_FILE]
    rows = pl.DataFrame(pl.from_arrow(table)).drop(NOT_PUBLIC).to_dicts()
    tickets = [Ticket.model_validate(row) for row in rows]
    assert [Ticket.model_validate_json(ticket.model_dump_json()) for ticket in tickets] == tickets


def test_a_ticket_of_another_shape_is_refused() -> None:
    with pytest.raises(ValidationError):
        Ticket.model_validate({"id": 1, "version_at": "2026-01-01T00:00:00", "created_at": "2026-01-01T00:00:00Z"})


def test_the_json_schema_describes_every_field() -> None:
    schema = ticket_json_schema()
    assert all(schema["properties"][name]["description"] for name in Ticket.model_fields)
    assert {"id", "version_at", "created_at"} <= {*schema["required"]}


@pytest.mark.process
def test_an_application_imports_neither_polars_nor_dagster() -> None:
    asks = "import sys, gata_assets.online.ticket; print({'polars', 'dagster', 'pyarrow'} & {*sys.modules})"
    answer = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
