"""`gata schemas`. Real: the commands in this process, the sandbox's registry over HTTP, moto's Glue, files."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from gata_assets.cli.exit_codes import DONE, FAILED, WRONG
from gata_assets.cli.schemas.group import LEVELS
from gata_assets.errors import SettingsError
from gata_assets.ingestion.schemas.avro_schema import avro_schema
from gata_assets.ingestion.schemas.compatibility import Level
from gata_assets.interactions.tables import TABLES
from gata_assets.sandbox.schema_registry.server import SchemaRegistryServer
from gata_assets.settings.model import parse_settings
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.command import ROOT, Ran, gata, gata_process
from gata_assets_tests.support.loopback import free_port

OWN = avro_schema(TABLES["interactions"])
# A version that lacks nothing that is needed now, and one whose timestamp was a text.
TEXT_TIME = {
    **OWN,
    "fields": [{**field, "type": "string"} if field["name"] == "timestamp" else field for field in OWN["fields"]],
}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[SchemaRegistryServer]:
    with SchemaRegistryServer(tmp_path / "registry") as server:
        yield server


def lines(ran: Ran) -> list[dict[str, object]]:
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_show_prints_the_schema(tmp_path: Path) -> None:
    assert json.loads(gata(tmp_path, "schemas", "show", "interactions").stdout) == OWN
    shown = gata(tmp_path, "schemas", "show", "interactions", "--json")
    assert lines(shown) == [{"event": "SCHEMA", "table": "interactions", "schema": OWN}]


@pytest.mark.parametrize("words", ["show visits", "check visits", "register visits"])
def test_an_unknown_table_is_refused_with_those_that_there_are(tmp_path: Path, words: str) -> None:
    ran = gata(tmp_path, "schemas", *words.split())
    assert (ran.returncode, ran.stdout) == (WRONG, "")
    assert "visits: there are interactions, items, tickets." in ran.stderr


@pytest.mark.server
def test_a_schema_is_registered_once(tmp_path: Path, registry: SchemaRegistryServer) -> None:
    for was_there in (False, True):
        ran = gata(tmp_path, "schemas", "register", "interactions", "--json", SCHEMA_REGISTRY_URL=registry.url)
        assert lines(ran) == [
            {
                "event": "SCHEMA_REGISTERED",
                "table": "interactions",
                "subject": "interactions-value",
                "registry": registry.url,
                "level": "BACKWARD",
                "version": 1,
                "id": "1",
                "was_there": was_there,
            }
        ]
    assert [one.schema for one in registry.schemas.versions("interactions-value")] == [OWN]


@pytest.mark.server
def test_a_schema_that_clashes_is_shown_and_not_registered(tmp_path: Path, registry: SchemaRegistryServer) -> None:
    registry.schemas.add("raw-value", TEXT_TIME)
    words = ("interactions", "--subject", "raw-value")
    message = "version 1, timestamp: version 1 has string, which long of the new schema does not read"
    checked = gata(tmp_path, "schemas", "check", *words, SCHEMA_REGISTRY_URL=registry.url)
    assert (checked.returncode, checked.stdout.splitlines()[1:]) == (FAILED, [f"  {message}"])
    as_json = gata(tmp_path, "schemas", "check", *words, "--json", SCHEMA_REGISTRY_URL=registry.url)
    (line,) = lines(as_json)
    clash = {"version": 1, "path": "timestamp", "message": message.removeprefix("version 1, timestamp: ")}
    assert (as_json.returncode, line["versions"], line["clashes"]) == (FAILED, 1, [clash])
    refused = gata(tmp_path, "schemas", "register", *words, SCHEMA_REGISTRY_URL=registry.url)
    assert (refused.returncode, refused.stdout) == (FAILED, "")
    assert message in refused.stderr
    assert "nothing was registered" in refused.stderr
    assert len(registry.schemas.versions("raw-value")) == 1


@pytest.mark.server
def test_the_level_of_the_option_is_that_of_the_check(tmp_path: Path, registry: SchemaRegistryServer) -> None:
    registry.schemas.add("interactions-value", TEXT_TIME)
    for level, code in (("none", DONE), ("backward", FAILED)):
        ran = gata(tmp_path, "schemas", "check", "interactions", "--level", level, SCHEMA_REGISTRY_URL=registry.url)
        assert ran.returncode == code


def test_all_tables_are_checked_with_those_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tables_of_schemas.py").write_text(
        "import pandera.polars as pa\n\n\n"
        "class Visits(pa.DataFrameModel):\n"
        '    who: str = pa.Field(description="Who.")\n\n'
        "    class Config:\n"
        '        metadata = {"table": "visits", "avro": {"name": "Visit"}}\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    ran = gata(tmp_path, "schemas", "check", "--files", "schemas", "--json", TABLE_SPECS="tables_of_schemas")
    assert {line["table"]: line["level"] for line in lines(ran)} == dict.fromkeys(
        ("interactions", "items", "tickets", "visits"), "BACKWARD_TRANSITIVE"
    )
    gata(tmp_path, "schemas", "register", "visits", "--files", "schemas", TABLE_SPECS="tables_of_schemas")
    assert json.loads((tmp_path / "schemas" / "visits-1.avsc").read_text()) == {
        "type": "record",
        "name": "Visit",
        "fields": [{"name": "who", "type": "string"}],
    }
    sys.modules.pop("tables_of_schemas")


def test_glue_is_the_registry_where_it_is_named(
    tmp_path: Path, moto_url: str, aws_credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
    boto3.client("glue").create_registry(RegistryName="by-command")
    ran = gata(tmp_path, "schemas", "register", "items", GLUE_SCHEMA_REGISTRY="by-command")
    assert "is now version 1 of items-value in Glue's registry by-command" in ran.stdout


def test_without_a_registry_the_settings_that_name_one_are_named(tmp_path: Path) -> None:
    ran = gata(tmp_path, "schemas", "check")
    assert ran.returncode == WRONG
    assert "set SCHEMA_REGISTRY_URL or GLUE_SCHEMA_REGISTRY, or name a directory of schemas by --files" in ran.stderr


def test_a_subject_is_of_one_table(tmp_path: Path) -> None:
    ran = gata(tmp_path, "schemas", "check", "items", "interactions", "--subject", "s", "--files", "f")
    assert (ran.returncode, "--subject is of one TABLE" in ran.stderr) == (WRONG, True)


@pytest.mark.server
@pytest.mark.slow
def test_a_registry_that_is_away_ends_the_command_without_the_password(tmp_path: Path) -> None:
    login = {"SCHEMA_REGISTRY_USER": "gata", "SCHEMA_REGISTRY_PASSWORD": canary("password")}
    ran = gata(tmp_path, "schemas", "check", SCHEMA_REGISTRY_URL=f"http://127.0.0.1:{free_port()}", **login)
    assert ran.returncode == FAILED
    assert "cannot be reached: ConnectError. Try again later." in ran.stderr
    assert canary("password") not in ran.stdout + ran.stderr
    assert canary("password") not in gata(tmp_path, "settings", **login).stdout


@pytest.mark.process
@pytest.mark.parametrize("package", ["avro", "fastavro"])
def test_a_package_that_is_missing_is_named_with_what_installs_it(tmp_path: Path, package: str) -> None:
    (tmp_path / f"{package}.py").write_text(f"raise ModuleNotFoundError('gone', name='{package}')\n")
    ran = gata_process(tmp_path, "schemas", "check", "--files", "f", PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert (ran.returncode, ran.stdout) == (FAILED, "")
    assert ran.stderr == f"Error: {package} is not installed: pip install 'gata-assets[kafka]'.\n"


def test_the_levels_of_the_option_are_all_levels() -> None:
    assert tuple(Level) == LEVELS


@pytest.mark.parametrize(
    ("variables", "fault"),
    [
        ({"SCHEMA_REGISTRY_URL": "registry:8081"}, "is not the URL of a registry"),
        ({"SCHEMA_REGISTRY_URL": f"https://me:{canary('password')}@registry:8081"}, "without a user's name"),
        ({"SCHEMA_REGISTRY_URL": "http://r", "GLUE_SCHEMA_REGISTRY": "g"}, "name two registries: leave one unset"),
        ({"SCHEMA_REGISTRY_USER": "me"}, "belong together: set both or none"),
        ({"SCHEMA_REGISTRY_PASSWORD": canary("password")}, "belong together: set both or none"),
        ({"GLUE_SCHEMA_REGISTRY": "a registry"}, "GLUE_SCHEMA_REGISTRY: 'a registry' String should match"),
    ],
)
def test_wrong_settings_of_the_registry_are_refused(variables: dict[str, str], fault: str) -> None:
    with pytest.raises(SettingsError, match=fault) as refused:
        parse_settings(variables)
    assert canary("password") not in str(refused.value)
