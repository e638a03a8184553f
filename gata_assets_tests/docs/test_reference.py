"""The generated reference is current, and complete. Real: the pages, the program that they are generated from."""

from __future__ import annotations

import pytest

from gata_assets.definitions import build_definitions
from gata_assets.settings.model import parse_settings, variable_names
from gata_assets_tests.docs.pages import DOCS, ROOT
from gata_assets_tests.reference import (
    COMMAND,
    LAKE_TABLES_FILE,
    PAGES,
    REFERENCE,
    TABLES_FILE,
    all_commands,
    checks_page,
    commands_page,
    lake_tables_file,
    settings_page,
    tables_file,
)


@pytest.mark.parametrize("name", PAGES)
def test_a_reference_page_is_current(name: str) -> None:
    assert (REFERENCE / name).read_text() == PAGES[name](), f"out of date: {COMMAND}"


def test_the_tables_as_json_are_those_of_the_models() -> None:
    assert TABLES_FILE.read_bytes() == tables_file(), f"out of date: {COMMAND}"
    assert LAKE_TABLES_FILE.read_bytes() == lake_tables_file(), f"out of date: {COMMAND}"


def test_every_command_setting_and_check_is_in_the_reference() -> None:
    assert all(f"## gata {name}\n" in commands_page() for name in all_commands())
    assert all(f"| `{variable}` |" in settings_page() for variable in variable_names())
    names = {
        key.name
        for key in build_definitions(parse_settings({"TENANTS": "acme"})).resolve_asset_graph().asset_check_keys
    }
    assert {name for name in names if f"| `{name}` |" not in checks_page()} == set()


def test_example_env_has_every_setting_with_its_default() -> None:
    example = (ROOT / "example.env").read_text()
    for variable in variable_names():
        assert f"\n{variable}=" in example or f"\n#{variable}=" in example, variable


def test_every_sensor_and_schedule_is_on_the_page_about_automation() -> None:
    page = (DOCS / "automation.md").read_text()
    repository = build_definitions(parse_settings({"TENANTS": "acme"})).get_repository_def()
    names = {one.name for one in (*repository.sensor_defs, *repository.schedule_defs)}
    assert {name for name in names if f"`{name}`" not in page} == set()
