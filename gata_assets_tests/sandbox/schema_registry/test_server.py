"""The sandbox's schema registry. Real: Confluent's own client over HTTP, a directory. Nothing is faked."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from gata_assets.errors import ConflictError
from gata_assets.ingestion.schemas.compatibility import Level
from gata_assets.sandbox.schema_registry.server import SchemaRegistryServer
from gata_assets.sandbox.schema_registry.stored import StoredSchemas
from gata_assets_tests.ingestion.schemas.cases import record

pytestmark = pytest.mark.server
A = record(("a", "int"))
A_B = record(("a", "int"), ("b", "int", {"default": 0}))
A_NEEDS_B = record(("a", "int"), ("b", "int"))
OTHER = record(("a", "string"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SchemaRegistryServer]:
    with SchemaRegistryServer(tmp_path / "schemas") as server:
        yield server


@pytest.fixture
def client(server: SchemaRegistryServer) -> SchemaRegistryClient:
    return client_of(server)


def client_of(server: SchemaRegistryServer) -> SchemaRegistryClient:
    return SchemaRegistryClient({"url": server.url, "timeout": 5, "max.retries": 0})


def avro(schema: Any) -> Schema:
    return Schema(json.dumps(schema), "AVRO")


def refused(ask: Any) -> tuple[int, int]:
    with pytest.raises(SchemaRegistryError) as error:
        ask()
    return error.value.http_status_code, error.value.error_code


def test_confluents_client_registers_and_finds_versions(client: SchemaRegistryClient) -> None:
    ids = [client.register_schema("t-value", avro(schema)) for schema in (A, A_B, A)]
    assert ids == [1, 2, 1]
    assert client.register_schema("other-value", avro(A_B)) == 2
    assert client.get_subjects() == ["other-value", "t-value"]
    assert client.get_versions("t-value") == [1, 2]
    latest = client.get_latest_version("t-value")
    assert (latest.version, latest.schema_id, json.loads(latest.schema.schema_str or "")) == (2, 2, A_B)
    assert client.get_version("t-value", 1).schema_id == 1
    assert client.lookup_schema("t-value", avro(A)).version == 1
    assert client.get_schema_types() == ["AVRO"]
    client.clear_caches()
    assert json.loads(client.get_schema(2).schema_str or "") == A_B


def test_what_is_not_there_is_answered_with_confluents_codes(client: SchemaRegistryClient) -> None:
    client.register_schema("t-value", avro(A))
    assert refused(lambda: client.get_versions("nothing")) == (404, 40401)
    assert refused(lambda: client.get_version("t-value", 9)) == (404, 40402)
    assert refused(lambda: client.get_schema(99)) == (404, 40403)
    assert refused(lambda: client.lookup_schema("t-value", avro(A_B))) == (404, 40403)
    assert refused(lambda: client.get_compatibility("t-value")) == (404, 40408)
    assert refused(lambda: client.get_mode("t-value")) == (404, 404)


@pytest.mark.parametrize("schema", ["{", '"nothing"', json.dumps(record(("a", "int", {"default": "x"})))])
def test_what_is_no_schema_is_refused(client: SchemaRegistryClient, schema: str) -> None:
    assert refused(lambda: client.register_schema("t-value", Schema(schema, "AVRO"))) == (422, 42201)
    assert refused(lambda: client.register_schema("t-value", Schema("{}", "JSON"))) == (422, 42201)
    assert client.get_subjects() == []


# By level, what of the three may follow version 1 (A) and version 2 (A_B).
FOLLOW = {
    "NONE": {"needs", "other", "first"},
    "BACKWARD": {"needs", "first"},
    "BACKWARD_TRANSITIVE": {"first"},
    "FORWARD": {"needs"},
    "FORWARD_TRANSITIVE": {"needs"},
    "FULL": {"needs"},
    "FULL_TRANSITIVE": set(),
}


@pytest.mark.parametrize("level", Level)
def test_each_level_is_enforced_when_a_schema_is_registered_and_when_it_is_tested(
    client: SchemaRegistryClient, level: Level
) -> None:
    client.register_schema("t-value", avro(A))
    client.register_schema("t-value", avro(A_B))
    assert client.set_compatibility("t-value", level) == {"compatibility": level}
    assert client.get_compatibility("t-value") == level
    for name, schema in {"needs": A_NEEDS_B, "other": OTHER, "first": record()}.items():
        is_allowed = name in FOLLOW[level]
        assert client.test_compatibility_all_versions("t-value", avro(schema)) == is_allowed, name
        if not is_allowed:
            assert refused(lambda schema=schema: client.register_schema("t-value", avro(schema))) == (409, 409)
            assert client.get_versions("t-value") == [1, 2]


def test_the_level_of_all_is_that_of_a_subject_without_one(client: SchemaRegistryClient) -> None:
    assert client.get_compatibility() == "BACKWARD"
    client.set_compatibility(level="NONE")
    client.register_schema("t-value", avro(A))
    client.register_schema("t-value", avro(OTHER))
    assert refused(lambda: client.set_compatibility("t-value", "ALMOST")) == (422, 42203)
    assert client.test_compatibility("t-value", avro(A), "latest")


def test_a_test_with_one_version_is_with_that_one_alone(client: SchemaRegistryClient) -> None:
    client.register_schema("t-value", avro(A))
    client.register_schema("t-value", avro(A_B))
    assert client.test_compatibility("t-value", avro(A_NEEDS_B), 2)
    assert not client.test_compatibility("t-value", avro(A_NEEDS_B), 1)


def test_another_server_over_the_directory_goes_on_where_one_ended(tmp_path: Path) -> None:
    for number, schema in enumerate((A, A_B), 1):
        with SchemaRegistryServer(tmp_path) as server:
            assert client_of(server).register_schema("t-value", avro(schema)) == number
    with SchemaRegistryServer(tmp_path) as server:
        assert client_of(server).get_versions("t-value") == [1, 2]


@pytest.mark.parametrize("subject", ["a/b", "...", "ü %", ":.ctx:t-value"])
def test_a_subject_has_any_name(client: SchemaRegistryClient, subject: str, tmp_path: Path) -> None:
    client.register_schema(subject, avro(A))
    assert client.get_subjects() == [subject]
    assert {path.name for path in tmp_path.iterdir()} == {"schemas"}


@pytest.mark.parametrize("subject", [".", "..", "../level"])
def test_no_name_of_a_subject_leads_out_of_its_folder(subject: str, tmp_path: Path) -> None:
    stored = StoredSchemas(tmp_path / "schemas")
    stored.add(subject, A)
    stored.set_level(subject, Level.NONE)
    assert (stored.subjects(), stored.level(None)) == ([subject], Level.BACKWARD)
    assert {path.name for path in tmp_path.iterdir()} == {"schemas"}
    assert {path.name for path in (tmp_path / "schemas").iterdir() if path.is_dir()} >= {"ids", "levels", "subjects"}


def test_writers_at_once_give_each_id_and_version_once(tmp_path: Path) -> None:
    schemas = [record((f"f{number}", "int", {"default": 0})) for number in range(6)]
    found: list[tuple[str, int, int]] = []
    start = Barrier(len(schemas))

    def add(schema: Any) -> None:
        stored = StoredSchemas(tmp_path)
        start.wait()
        while True:
            try:
                one = stored.add("t", schema)
            except ConflictError:
                continue
            found.append((json.dumps(schema), one.version, one.schema_id))
            return

    threads = [Thread(target=add, args=(schema,)) for schema in schemas]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(version for _, version, _ in found) == [1, 2, 3, 4, 5, 6]
    assert len({schema_id for *_, schema_id in found}) == 6
    assert {(json.dumps(one.schema), one.version, one.schema_id) for one in StoredSchemas(tmp_path).versions("t")} == {
        *found
    }


def asked(server: SchemaRegistryServer, method: str, path: str, body: bytes = b"", **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]), timeout=5)
    try:
        connection.request(
            method, path, body or None, {name.replace("_", "-"): value for name, value in headers.items()}
        )
        return connection.getresponse().status
    finally:
        connection.close()


def test_no_page_of_a_browser_is_answered(server: SchemaRegistryServer) -> None:
    body = json.dumps({"schema": json.dumps(A)}).encode()
    assert asked(server, "GET", "/subjects") == 200
    assert asked(server, "GET", "/subjects", Host="schemas.example") == 403
    assert asked(server, "POST", "/subjects/t/versions", body, Content_Type="text/plain") == 415
    assert asked(server, "POST", "/subjects/t/versions", body, Content_Type="application/json") == 200


def test_a_request_of_any_length_is_refused_before_it_is_read(server: SchemaRegistryServer) -> None:
    for length in ("999999999", "-1", "x"):
        headers = {"Content_Type": "application/json", "Content_Length": length}
        assert asked(server, "POST", "/subjects/t/versions", b"{}", **headers) == 413


def test_it_listens_on_loopback_alone(server: SchemaRegistryServer) -> None:
    assert server._http.server_address[0] == "127.0.0.1"
