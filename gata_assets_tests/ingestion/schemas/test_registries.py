"""One contract for all registries: Confluent's REST API, AWS Glue, and a directory of files.

Real: Confluent's client against the sandbox's registry over HTTP, boto3 against moto over HTTP, files. Moto enforces no
compatibility, and takes what Glue would refuse: so our check comes first. Faked: servers that fail, and Glue's waits.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import boto3
import pytest

from gata_assets.errors import IncompatibleSchemaError, RegistryError, SchemaError
from gata_assets.ingestion.schemas.compatibility import Level
from gata_assets.ingestion.schemas.confluent import ConfluentRegistry
from gata_assets.ingestion.schemas.glue import GlueRegistry, open_glue
from gata_assets.ingestion.schemas.published import PublishedSchemas
from gata_assets.ingestion.schemas.registry import SchemaRegistry, check, register
from gata_assets.sandbox.schema_registry.server import SchemaRegistryServer
from gata_assets_tests.conftest import REGION
from gata_assets_tests.ingestion.schemas.cases import record
from gata_assets_tests.support.canaries import canary
from gata_assets_tests.support.loopback import free_port, silent_server

GLUE = "gata-schemas"
SUBJECT = "interactions-raw-value"
A = record(("a", "int"))
A_B = record(("a", "int"), ("b", "int", {"default": 0}))
A_B_C = record(("a", "int"), ("b", "int", {"default": 0}), ("c", "string", {"default": "é"}))
A_NEEDS_B = record(("a", "int"), ("b", "int"))
OTHER = record(("a", "string"))


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The sandbox's registry, on a free port; tests have subjects of their own."""
    with SchemaRegistryServer(tmp_path_factory.mktemp("schemas")) as server:
        yield server.url


@pytest.fixture
def subject() -> str:
    return f"{SUBJECT}-{uuid4().hex}"


@pytest.fixture(params=["files", *(pytest.param(kind, marks=pytest.mark.server) for kind in ("confluent", "glue"))])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> SchemaRegistry:
    """Each kind of registry in turn, without the subject."""
    if request.param == "files":
        return PublishedSchemas(tmp_path / "schemas", Level.BACKWARD)
    if request.param == "confluent":
        return ConfluentRegistry(request.getfixturevalue("server_url"))
    return request.getfixturevalue("glue")  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def glue_client(moto_url: str) -> Any:
    keys = {"aws_access_key_id": "none", "aws_secret_access_key": canary("key")}
    client = boto3.client("glue", REGION, endpoint_url=moto_url, **keys)
    # Glue has few registries: the tests share one, and have subjects of their own.
    client.create_registry(RegistryName=GLUE)
    return client


@pytest.fixture
def glue(glue_client: Any) -> GlueRegistry:
    return GlueRegistry(glue_client, GLUE)


def versions(registry: SchemaRegistry, subject: str) -> list[tuple[int, Any]]:
    return [(one.version, one.schema) for one in registry.versions(subject)]


def test_versions_follow_one_another_and_are_found_by_their_ids(registry: SchemaRegistry, subject: str) -> None:
    assert registry.versions(subject) == ()
    added = [register(registry, subject, schema) for schema in (A, A_B, A_B_C)]
    assert [(one.registered.version, one.is_new) for one in added] == [(1, True), (2, True), (3, True)]
    assert versions(registry, subject) == [(1, A), (2, A_B), (3, A_B_C)]
    assert registry.versions(subject) == tuple(one.registered for one in added)
    if not isinstance(registry, PublishedSchemas):
        assert [registry.schema_by_id(one.registered.schema_id) for one in added] == [A, A_B, A_B_C]


@pytest.mark.parametrize("schema_id", [2_000_000_000, UUID(int=5)])
def test_an_id_that_was_not_given_has_no_schema(registry: SchemaRegistry, schema_id: int | UUID) -> None:
    assert registry.schema_by_id(schema_id) is None


def test_the_same_schema_registered_again_changes_nothing(registry: SchemaRegistry, subject: str) -> None:
    first, second = register(registry, subject, A), register(registry, subject, A_B)
    for schema, version in ((A, first), (A_B, second)):
        again = register(registry, subject, schema)
        assert (again.registered, again.is_new) == (version.registered, False)
    assert versions(registry, subject) == [(1, A), (2, A_B)]


def test_a_schema_that_clashes_is_not_registered_and_each_field_is_named(
    registry: SchemaRegistry, subject: str
) -> None:
    register(registry, subject, A)
    with pytest.raises(IncompatibleSchemaError) as refused:
        register(registry, subject, A_NEEDS_B)
    assert f"clashes with {subject} in {registry.place} at level BACKWARD; nothing was registered:\n" in str(
        refused.value
    )
    assert "version 1, b: it is new since version 1 and has no default: give it one" in str(refused.value)
    assert versions(registry, subject) == [(1, A)]


def test_a_given_level_is_checked_in_place_of_the_subjects(registry: SchemaRegistry, subject: str) -> None:
    register(registry, subject, A)
    register(registry, subject, A_B)
    # Version 2 has a default for what version 1 lacks.
    assert check(registry, subject, A_NEEDS_B).clashes == ()
    found = check(registry, subject, A_NEEDS_B, Level.BACKWARD_TRANSITIVE)
    assert [(clash.version, clash.path) for clash in found.clashes] == [(1, "b")]
    assert check(registry, subject, OTHER, Level.NONE).clashes == ()
    assert versions(registry, subject) == [(1, A), (2, A_B)]


def test_what_is_no_schema_is_refused_before_it_is_sent(registry: SchemaRegistry, subject: str) -> None:
    with pytest.raises(SchemaError, match="not valid Avro"):
        register(registry, subject, record(("a", "int", {"default": "x"})))
    assert registry.versions(subject) == ()


@pytest.mark.server
def test_the_level_is_the_subjects_or_that_of_all(server_url: str, subject: str) -> None:
    registry = ConfluentRegistry(server_url)
    assert registry.level(subject) is Level.BACKWARD
    registry._client.set_compatibility(subject, "FULL_TRANSITIVE")
    assert registry.level(subject) is Level.FULL_TRANSITIVE
    register(registry, subject, A)
    with pytest.raises(IncompatibleSchemaError, match="at level FULL_TRANSITIVE"):
        register(registry, subject, OTHER)


@pytest.mark.server
def test_what_the_registry_itself_refuses_is_told_apart(server_url: str, subject: str) -> None:
    registry = ConfluentRegistry(server_url)
    register(registry, subject, A)
    with pytest.raises(
        IncompatibleSchemaError, match=r"as incompatible \(409\), though it clashes with no version here"
    ):
        register(registry, subject, OTHER, Level.NONE)
    assert versions(registry, subject) == [(1, A)]


def test_glue_keeps_the_level_that_a_subject_was_created_with(glue: GlueRegistry, subject: str) -> None:
    for level in Level:
        assert register(glue, f"{subject}-{level}", A, level).is_new
        assert glue.level(f"{subject}-{level}") is level


def test_a_subject_of_glue_that_takes_no_versions_stays_as_it_is(
    glue: GlueRegistry, glue_client: Any, subject: str
) -> None:
    glue_client.create_schema(
        RegistryId={"RegistryName": GLUE},
        SchemaName=subject,
        DataFormat="AVRO",
        Compatibility="DISABLED",
        SchemaDefinition=json.dumps(A),
    )
    with pytest.raises(IncompatibleSchemaError, match="takes no versions: its compatibility is DISABLED"):
        register(glue, subject, A_B)
    assert versions(glue, subject) == [(1, A)]


def test_a_subject_of_glue_that_is_no_avro_is_refused(glue: GlueRegistry, glue_client: Any, subject: str) -> None:
    glue_client.create_schema(
        RegistryId={"RegistryName": GLUE},
        SchemaName=subject,
        DataFormat="JSON",
        Compatibility="NONE",
        SchemaDefinition='{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}',
    )
    with pytest.raises(SchemaError, match="is JSON, not Avro"):
        register(glue, subject, A)


def test_a_registry_that_glue_does_not_have_is_named(
    moto_url: str, aws_credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
    with pytest.raises(
        RegistryError, match="There is no registry elsewhere in Glue: create it, or correct GLUE_SCHEMA"
    ):
        register(open_glue("elsewhere", REGION), "s", A)


class Glue:
    """Answers of Glue that moto does not give: a version that is being checked for some time, and then has a state."""

    def __init__(self, *states: str) -> None:
        self.states = [*states]
        self.waits: list[float] = []

    def get_schema(self, **_: Any) -> dict[str, Any]:
        return {"LatestSchemaVersion": 0, "Compatibility": "NONE", "DataFormat": "AVRO"}

    def register_schema_version(self, **_: Any) -> dict[str, Any]:
        return {"SchemaVersionId": str(UUID(int=7)), "VersionNumber": 2, "Status": "PENDING"}

    def get_schema_version(self, **_: Any) -> dict[str, Any]:
        return {"Status": self.states.pop(0) if self.states else "PENDING"}


@pytest.mark.parametrize(
    ("states", "error"),
    [
        (["PENDING", "PENDING", "AVAILABLE"], None),
        (["PENDING", "FAILURE"], IncompatibleSchemaError),
        ([], RegistryError),
    ],
)
def test_glues_own_check_is_waited_for(states: list[str], error: type[Exception] | None) -> None:
    client = Glue(*states)
    registry = GlueRegistry(client, "schemas", sleep=client.waits.append)  # type: ignore[arg-type]
    if error is None:
        assert register(registry, "s", A).registered.version == 2
        assert len(client.waits) == len(states)
        return
    with pytest.raises(error, match="version 2"):
        register(registry, "s", A)


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A server that gives the same answer to every request."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def quick(url: str, **named: Any) -> ConfluentRegistry:
    return ConfluentRegistry(url, timeout_seconds=0.3, retries=1, wait_seconds=0.01, **named)


ASKED: tuple[Callable[[SchemaRegistry], Any], ...] = (
    lambda registry: registry.schema_by_id(1),
    lambda registry: registry.versions("s"),
    lambda registry: registry.level("s"),
)


@pytest.mark.server
@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (500, b'{"error_code": 50001, "message": "x"}', r"responds 500 \(50001\)"),
        (503, b"<html>", r"responds 503 \(-1\)"),
        (429, b"{}", "responds 429"),
        (401, b'{"error_code": 401, "message": "x"}', "check SCHEMA_REGISTRY_USER and SCHEMA_REGISTRY_PASSWORD"),
        # A proxy's, or that of another server: nothing is known about the schema.
        (404, b"<html>", "responds 404"),
        (404, b'{"error_code": 404, "message": "HTTP 404 Not Found"}', r"responds 404 \(404\)"),
        (200, b"<html>", "does not respond as a schema registry does"),
        (200, b"[[]]", "does not respond as a schema registry does"),
    ],
)
def test_an_answer_that_says_nothing_about_a_schema_is_a_fault_of_the_registry(
    status: int, body: bytes, said: str
) -> None:
    with answering(status, body) as url:
        for ask in ASKED:
            with pytest.raises(RegistryError, match=said):
                ask(quick(url))


@pytest.mark.server
def test_a_registry_that_is_away_or_silent_is_a_fault_of_the_registry() -> None:
    with pytest.raises(RegistryError, match="cannot be reached: ConnectError"):
        quick(f"http://127.0.0.1:{free_port()}").schema_by_id(1)
    with silent_server() as port, pytest.raises(RegistryError, match="cannot be reached: ReadTimeout"):
        quick(f"http://127.0.0.1:{port}").schema_by_id(1)


@pytest.mark.server
def test_no_error_has_the_password() -> None:
    registry = quick(f"http://127.0.0.1:{free_port()}", user="gata", password=canary("password"))
    with pytest.raises(RegistryError) as failed:
        registry.level("s")
    assert canary("password") not in f"{failed.value}{registry.place}"


@pytest.mark.server
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"schema": "message A {}", "schemaType": "PROTOBUF"}, "The schema is PROTOBUF, not Avro"),
        ({"schema": '"A"', "references": [{"name": "A", "subject": "a", "version": 1}]}, "refers to other subjects"),
        ({"schema": "{"}, "no JSON"),
    ],
)
def test_a_schema_that_is_not_used_here_is_no_fault_of_the_registry(answer: dict[str, Any], said: str) -> None:
    with answering(200, json.dumps(answer).encode()) as url, pytest.raises(SchemaError, match=said):
        quick(url).schema_by_id(1)


def test_two_who_publish_at_once_overwrite_nothing(tmp_path: Path) -> None:
    registry = PublishedSchemas(tmp_path)
    register(registry, "t", A)
    (tmp_path / "t-2.avsc").mkdir()
    with pytest.raises(RegistryError, match=r"cannot be read: IsADirectoryError"):
        register(registry, "t", A_B)
    assert json.loads((tmp_path / "t-1.avsc").read_text()) == A


def test_files_of_other_tables_are_not_versions_of_a_table(tmp_path: Path) -> None:
    registry = PublishedSchemas(tmp_path)
    for name in ("items-1", "items-2", "items-10", "my-items-1", "items-01", "items-x"):
        (tmp_path / f"{name}.avsc").write_text(json.dumps(A))
    assert [one.version for one in registry.versions("items")] == [1, 2, 10]
    assert [one.version for one in registry.versions("my-items")] == [1]
