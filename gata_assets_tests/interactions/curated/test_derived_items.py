"""Items that are derived from interactions: which, in what file, and what counts beside and after them.

Real: landing, validation and curation in a directory and S3 over HTTP on loopback, the command line. Faked: a store
that fails, or whose command is killed, at one of its calls.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gata_assets.curation.landing import LandedFile, Landing
from gata_assets.curation.mappings.mapping_store import SavedMapping
from gata_assets.curation.policy import CurationRules
from gata_assets.curation.reports import Report
from gata_assets.curation.superseding import valid_reports
from gata_assets.errors import DamagedTableError, DataRuleError, StoreError
from gata_assets.interactions.curated.curator import Curator
from gata_assets.interactions.curated.derived_items import DerivedItems, derive_items
from gata_assets.interactions.tables import INTERACTIONS, ITEMS
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.resource import LocalStoreResource
from gata_assets.tables.raw_mapping import RawMapping
from gata_assets_tests.cli.raw_files.test_ingest import gata, ingest, said, workplace
from gata_assets_tests.curation.test_two_commands import Killed, killed_after
from gata_assets_tests.support.raw_worlds import NOW, RULES, STRICT, Row, curator_of, encode, interaction, item, send
from gata_assets_tests.support.stored_datasets import stored_key

__all__ = ["workplace"]

ROWS = [interaction(item_id=name) for name in ("i2", "i1", "i2", "i3")]


def derive(curator: Curator, report: Report) -> DerivedItems:
    return derive_items(curator, Landing(curator), LandedFile(report, was_there=False))


def catalog(curator: Curator) -> dict[str, str]:
    """The titles of the catalog's items."""
    key = stored_key(curator.store, curator.places.curated(ITEMS), "items.parquet")
    with curator.store.local_copy(key) as path:
        return dict(pl.read_parquet(path, columns=["item_id", "title"]).iter_rows())


def derived_files(curator: Curator) -> list[bytes]:
    keys = [key for key in curator.raw_keys(ITEMS) if "derived-from-" in key]
    return [curator.store.read(key) for key in keys]


@pytest.mark.parametrize("rules", [RULES, STRICT], ids=["warn", "reject"])
def test_missing_items_land_as_a_file_and_the_rows_are_validated_against_them(
    rules: CurationRules, any_store: ObjectStore, tmp_path: Path
) -> None:
    curator = curator_of(any_store, rules=rules)
    send(curator, [item(item_id="i1")], tmp_path / "in", data=ITEMS, name="items.csv")
    curator.refresh(ITEMS)
    rows = [*ROWS, interaction(item_id="i4", rating="9")]
    report = send(curator, rows, tmp_path / "in", name="January 2026.csv")
    assert (report.valid, report.rejected) == ((4, 1) if rules is RULES else (1, 4))

    found = derive(curator, report)
    assert (found.count, found.file_id) == (2, valid_reports(curator.reports(ITEMS))[0].file_id)
    assert str(found.file_id).startswith("1970-01-01-derived-from-january-2026-")
    assert derived_files(curator) == [b'{"item_id":"i2","title":"i2"}\n{"item_id":"i3","title":"i3"}\n']
    assert catalog(curator) == {"i1": "A thing", "i2": "i2", "i3": "i3"}
    new = found.landed.report
    expected = {"rating_is_1_to_5": 1} | ({"item_is_known": 1} if rules is STRICT else {})
    assert (new.valid, new.rejected, new.rejected_by_rule) == (4, 1, expected), "i4 was no valid interaction"
    assert new.unknown_by_rule == {}
    assert curator.find_report(INTERACTIONS, report.raw_key) == new

    again = derive(curator_of(any_store, rules=rules), new)
    assert (again.count, again.file_id, again.landed.report.parts) == (0, None, new.parts)
    assert len(derived_files(curator)) == 1


@pytest.mark.parametrize("is_before", [True, False])
def test_a_row_of_another_file_counts_before_and_after_and_in_a_folder_of_the_past(
    is_before: bool, any_store: ObjectStore, tmp_path: Path
) -> None:
    curator = curator_of(any_store)
    report = send(curator, ROWS, tmp_path / "in")
    key, content = "acme/raw/items/2025-12-01/items.csv", encode([item(item_id="i2", title="Real")], "csv")
    if is_before:
        # It waits to be validated.
        any_store.write(key, content)
        assert derive(curator, report).count == 2
    else:
        assert derive(curator, report).count == 3
        any_store.write(key, content)
        curator = curator_of(any_store, now=NOW + timedelta(days=1))
        curator.validate_new(ITEMS)
        curator.refresh(ITEMS)
    assert catalog(curator) == {"i1": "i1", "i2": "Real", "i3": "i3"}


def test_derived_items_can_be_superseded_and_are_not_brought_back_silently(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    report = send(curator, ROWS, tmp_path / "in")
    derived = str(derive(curator, report).file_id)
    real = send(curator, [item(item_id="i9")], tmp_path / "in", data=ITEMS, name="real.csv", replaces=[derived])
    curator.refresh(ITEMS)
    assert catalog(curator) == {"i9": "A thing"}
    with pytest.raises(DataRuleError, match=f"{real.file_id} has superseded it, and lacks them"):
        derive(curator, report)


def test_a_saved_mapping_for_all_item_files_is_not_for_derived_ones(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    curator.mappings.save(ITEMS, SavedMapping("shop", RawMapping(columns={"item_id": ["sku"]})))
    report = send(curator, ROWS, tmp_path / "in")
    assert derive(curator, report).count == 3
    later = curator_of(tmp_path / "store")
    assert later.outdated(later.reports(ITEMS)) == []
    [items] = later.reports(ITEMS)
    assert later.validate(items.raw_key).valid == 3


def test_items_of_quarantine_are_read_by_the_mapping_of_their_file(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store", rules=STRICT)
    whole = RawMapping(whole_numbers=("item_id",))
    curator.mappings.save(INTERACTIONS, SavedMapping("whole", whole))
    report = send(curator, [interaction(item_id="7.0")], tmp_path / "in")
    assert report.valid == 0
    assert derive(curator, report).landed.report.valid == 1
    assert catalog(curator) == {"7": "7"}


def test_a_file_that_does_not_count_adds_no_items(tmp_path: Path) -> None:
    curator = curator_of(tmp_path / "store")
    old = send(curator, ROWS, tmp_path / "in", name="old.csv")
    new = send(curator, [interaction(item_id="i5")], tmp_path / "in", name="new.csv", replaces=[old.file_id])
    landing = Landing(curator)
    assert derive_items(curator, landing, LandedFile(old, was_there=True, replaced_by=new.file_id)).count == 0
    assert derived_files(curator) == []


def test_a_void_file_supersedes_another_once_its_items_are_known(tmp_path: Path) -> None:
    """With rejected unknown items, a file of which no row is valid supersedes nothing yet."""
    curator = curator_of(tmp_path / "store", rules=STRICT)
    send(curator, [item(item_id="i0")], tmp_path / "in", data=ITEMS, name="items.csv")
    curator.refresh(ITEMS)
    old = send(curator, [interaction(item_id="i0")], tmp_path / "in", name="old.csv")
    new = send(curator, ROWS, tmp_path / "in", name="new.csv", replaces=[old.file_id])
    assert new.is_void
    derive(curator, new)
    assert [report.file_id for report in valid_reports(curator.reports(INTERACTIONS))] == [new.file_id]


def test_damaged_rows_are_not_taken_for_items(tmp_path: Path) -> None:
    for rules in (RULES, STRICT):
        curator = curator_of(tmp_path / f"store{len(rules.references)}", rules=rules)
        report = send(curator, ROWS, tmp_path / "in")
        [key] = {part.key for part in report.tables}
        content = curator.store.read(key)
        for changed in (content[:-9] + b"\0" * 9, content[: len(content) // 2]):
            curator.store.write(key, changed)
            with pytest.raises(DamagedTableError, match="not what was written"):
                derive(curator, report)
        assert derived_files(curator) == []


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@settings(max_examples=15, deadline=None)
@given(names=st.lists(NAMES, min_size=1, max_size=8), rules=st.sampled_from([RULES, STRICT]))
def test_derived_items_are_the_ids_of_valid_rows_whatever_is_in_them(
    names: list[str], rules: CurationRules, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("world")
    curator = curator_of(directory / "store", rules=rules)
    rows: Sequence[Row] = [interaction(item_id=name) for name in names]
    report = send(curator, rows, directory / "in", name="a.jsonl")
    found = derive(curator, report)
    report = found.landed.report
    assert (report.unknown_by_rule, "item_is_known" in report.rejected_by_rule) == ({}, False)
    known = catalog(curator)
    assert known == {name: name for name in known}
    assert known.keys() <= set(names)
    invalid = {name for name in names if name not in known}
    assert report.rejected == sum(name in invalid for name in names), "not given, as far as can be seen"
    lines = [json.loads(line)["item_id"] for content in derived_files(curator) for line in content.splitlines()]
    assert sorted(lines) == sorted(known)


def command(store: Any, scratch: Path, tenant: str = "acme") -> DerivedItems:
    """What `gata ingest interactions --derive-items` does, of a file whose unknown items are rejected."""
    curator = curator_of(store, tenant, STRICT)
    curator.refresh_referenced(curator.referenced(INTERACTIONS))
    report = send(curator, ROWS, scratch)
    return derive(curator, report)


def test_the_same_command_completes_one_that_was_killed_at_any_call(tmp_path: Path) -> None:
    store = LocalStoreResource(directory=str(tmp_path / "store"))
    for calls in range(40):
        tenant = f"t{calls}"
        try:
            command(killed_after(store, calls), tmp_path / "in", tenant)
        except Killed:
            completed = command(store, tmp_path / "in", tenant).landed.report
            assert (completed.valid, completed.rejected) == (4, 0), calls
            assert catalog(curator_of(store, tenant)) == {"i1": "i1", "i2": "i2", "i3": "i3"}
            assert curator_of(store, tenant, STRICT).unvalidated() == []
        else:
            assert calls > 10, "all calls were tried"
            return
    pytest.fail("not all calls were tried")


def test_a_store_that_fails_is_reported_and_the_same_command_completes_it(tmp_path: Path) -> None:
    class Failing(LocalStoreResource):
        """Fails at the first file of items."""

        def write_file(self, key: str, path: Path, **more: Any) -> None:
            """Store, but not the derived items."""
            if "derived-from" in key:
                raise StoreError("the store failed")
            super().write_file(key, path, **more)

    with pytest.raises(StoreError, match="the store failed"):
        command(Failing(directory=str(tmp_path / "store")), tmp_path / "in")
    assert command(LocalStoreResource(directory=str(tmp_path / "store")), tmp_path / "in").count == 3


def test_the_command_says_how_many_items_were_derived(workplace: Path) -> None:
    (workplace / "a.csv").write_bytes(encode(ROWS, "csv"))
    (workplace / "b.csv").write_bytes(encode([interaction(item_id="i4"), *ROWS], "csv"))
    (workplace / "bad.csv").write_text("user_id\n")
    first, second, bad = said(ingest("interactions", "a.csv", "b.csv", "bad.csv", "--derive-items"))
    assert [one["derived_items"] for one in (first, second)] == [3, 1]
    assert (first["unknown_by_rule"], "derived_items" in bad) == ({}, False)
    shown = ingest("interactions", "a.csv", "--derive-items", "--summary", "table").stdout
    assert "  0 items derived that the catalog lacked\n" in shown
    assert "derived_items" not in said(ingest("interactions", "a.csv"))[0]
    wrong = gata("ingest", "items", "a.csv", "--tenant", "sample", "--derive-items")
    assert (wrong.exit_code, "goes with interactions" in wrong.stderr) == (2, True)
