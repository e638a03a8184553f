"""What `gata doctor` finds of a target's conditional writes, of files that may not be listed, and of foreign tickets.

Real: the examination, a directory, S3 over HTTP on loopback. Stood in for: an endpoint that ignores conditions, and a
role that may not list a prefix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from dagster_aws.s3 import S3Resource

from gata_assets.cli.doctor import Finding, _ended_by_error, _examine_files, _examine_source, _examine_store
from gata_assets.errors import StoreError
from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets.settings.model import parse_settings
from gata_assets.storage.objects import ABSENT, ObjectStore, Version
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.storage.s3 import S3StoreResource
from gata_assets.tickets.sources.ddl import create_sqlite
from gata_assets_tests.support.data_api import FaultyDataApi
from gata_assets_tests.support.raw_worlds import curator_of
from gata_assets_tests.support.scenario import TRAINING_WINDOW, database_rows


class StoreThatIgnoresConditions(LocalStoreResource):
    """A store that writes whatever is there: in any case, or only where an object is to be replaced."""

    ignores_all: bool

    def write(self, key: str, content: bytes, *, expected: Version | None = None, **conditions: Any) -> Version:
        """Write."""
        held = expected if expected == ABSENT and not self.ignores_all else None
        return super().write(key, content, expected=held, **conditions)


class StoreWithADeniedPrefix(LocalStoreResource):
    """A store that may not list the raw files of interactions."""

    def list_keys(self, prefix: str) -> Iterator[str]:
        """List."""
        if "/raw/interactions" in prefix:
            raise StoreError(f"{prefix} may not be listed")
        return super().list_keys(prefix)

    def list_delivered(self, prefix: str) -> Iterator[str]:
        """As `list_keys`."""
        return self.list_keys(prefix)


def conditions_of(store: ObjectStore) -> Finding:
    [found] = [finding for finding in _examine_store(store) if finding.subject == "target, conditions"]
    return found


def test_a_store_that_refuses_the_second_of_two_writers_is_well(any_store: ObjectStore) -> None:
    assert conditions_of(any_store).is_well


@pytest.mark.parametrize(("ignores_all", "header"), [(True, "If-None-Match"), (False, "If-Match")])
def test_a_store_that_ignores_conditions_is_named_with_what_no_longer_holds(
    ignores_all: bool, header: str, tmp_path: Any
) -> None:
    found = conditions_of(StoreThatIgnoresConditions(directory=str(tmp_path), ignores_all=ignores_all))
    assert found.is_well is False
    assert f"ignores {header}: set CONDITIONAL_WRITES=no" in found.found
    assert "run one command at a time" in found.found


def test_a_store_whose_conditions_are_switched_off_is_a_note(bucket: str) -> None:
    found = conditions_of(S3StoreResource(bucket=bucket, s3=S3Resource(), conditional_writes=False))
    assert found.is_well is None
    assert "run one command at a time" in found.found


def test_raw_files_that_may_not_be_listed_are_reported_with_their_prefix(tmp_path: Any) -> None:
    curator = curator_of(StoreWithADeniedPrefix(directory=str(tmp_path)), "acme")
    [denied] = _ended_by_error("table", _examine_files(curator, "table", [INTERACTIONS]))
    assert (denied.is_well, denied.found) == (False, "acme/raw/interactions/ may not be listed")
    [allowed] = _examine_files(curator, "table", [ITEMS])
    assert allowed.is_well is None


def tickets_found(settings: dict[str, str]) -> list[Finding]:
    given = parse_settings({"LOW_VOLUME_FALLBACK_LABEL": "1", **settings})
    return list(_ended_by_error("tickets", _examine_source(given)))


def test_tickets_closed_in_milliseconds_are_named_and_not_blamed_on_the_batch(tmp_path: Path) -> None:
    create_sqlite(tmp_path / "t.sqlite", database_rows([{"closed": TRAINING_WINDOW.start * 1_000}]))
    [found] = tickets_found({"TICKETS_URL": f"sqlite:///{tmp_path}/t.sqlite"})
    assert (found.is_well, found.subject) == (False, "tickets")
    assert "closed looks like milliseconds" in found.found


@pytest.mark.parametrize(("limit", "is_well"), [("", None), ("60000", True), ("70000", None)])
def test_a_text_over_the_data_apis_limit_is_found_unless_it_is_left_out(
    limit: str, is_well: bool | None, fill_postgres: Callable[[pd.DataFrame], str], data_api: FaultyDataApi
) -> None:
    fill_postgres(database_rows([{}, {"text": "x" * 66_000, "closed": TRAINING_WINDOW.start}]))
    settings = {"DB_ARN": data_api.resource_arn, "DB_SECRET_ARN": data_api.secret_arn, "MAX_TICKET_BYTES": limit}
    [found] = [one for one in tickets_found(settings) if one.subject == "tickets, size"]
    assert (found.is_well, "66,000 bytes" in found.found) == (is_well, True)
    # The window of a batch may be without it: then batches can be prepared.
    assert ("or leave such tickets out" in found.found) == (is_well is None)


def test_what_a_query_leaves_out_and_what_its_columns_contain_is_said(tmp_path: Path) -> None:
    create_sqlite(tmp_path / "t.sqlite", database_rows([{}, {"text": "Not Normalized!"}, {"text": "tab\tand line\n"}]))
    query = "SELECT id, processed_data, closed, 'Billing' AS closed_group_id_mapped, routed_by FROM ticket"
    found = tickets_found({"TICKETS_URL": f"sqlite:///{tmp_path}/t.sqlite", "TICKETS_QUERY": query})
    assert {one.subject: (one.is_well, one.found) for one in found[1:]} == {
        "tickets, columns": (
            None,
            "TICKETS_QUERY gives no via_channel, initial_group_id: no ticket is excluded as routed_by_api",
        ),
        "tickets, labels": (True, "closed_group_id_mapped has names: they become ids through a label map"),
        "tickets, texts": (
            None,
            "1 of 3 sampled texts (33%) have other characters than [a-z0-9?.! ]: set TEXT_NORMALIZATION=normalize",
        ),
    }


def test_texts_that_are_normalized_anyway_are_well(tmp_path: Path) -> None:
    create_sqlite(tmp_path / "t.sqlite", database_rows([{"text": "Not Normalized!"}]))
    url = f"sqlite:///{tmp_path}/t.sqlite"
    [texts] = [
        one
        for one in tickets_found({"TICKETS_URL": url, "TEXT_NORMALIZATION": "normalize"})
        if one.subject == "tickets, texts"
    ]
    assert (texts.is_well, texts.found.rpartition(": ")[2]) == (True, "TEXT_NORMALIZATION reduces them")


def test_numbers_in_a_column_of_texts_are_said_to_be_names(tmp_path: Path) -> None:
    create_sqlite(tmp_path / "t.sqlite", database_rows([{}, {"label": 2**40}]))
    query = (
        "SELECT id, processed_data, closed, CAST(closed_group_id_mapped AS text) AS closed_group_id_mapped FROM ticket"
    )
    found = tickets_found({"TICKETS_URL": f"sqlite:///{tmp_path}/t.sqlite", "TICKETS_QUERY": query})
    [labels] = [one for one in found if one.subject == "tickets, labels"]
    assert labels.is_well is None
    assert "has whole numbers in a column of texts: they are names of labels" in labels.found
    assert "CAST(closed_group_id_mapped AS bigint)" in labels.found
