"""A local schema registry that speaks as much of Confluent's REST API as their client needs; no product.

Subjects, versions, schemas by id, compatibility and levels belong here; what is stored is in `stored`. It listens on
loopback alone, answers no page of a browser (by the Host header and the type of bodies), and knows no login.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from gata_assets.errors import ConflictError, SchemaError, StoreError
from gata_assets.ingestion.schemas.compatibility import Level, clashes
from gata_assets.ingestion.schemas.parsing import MAX_SCHEMA_BYTES, read_schema
from gata_assets.sandbox.data_api.access import loopback_hosts
from gata_assets.sandbox.schema_registry.stored import StoredSchemas, StoredVersion

_MOST_BYTES = 2 * MAX_SCHEMA_BYTES
_JSON = "application/vnd.schemaregistry.v1+json"
_REQUEST_SECONDS = 30.0


class RestError(Exception):
    """An answer other than success: Confluent's error code, whose first three digits are the status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = int(str(code)[:3])


class SchemaRegistryServer:
    """Serves a registry on `url` from a directory; use it with `with`. A `port` of 0 chooses a free one."""

    def __init__(self, directory: Path, *, port: int = 0) -> None:
        self.schemas = StoredSchemas(directory)
        self._http = _Http(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), name="schemas", daemon=True)
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def answer(self, method: str, target: str, body: bytes) -> Any:
        """The answer to a request as a value of JSON; raises RestError."""
        url = urlsplit(target)
        verbose = parse_qs(url.query).get("verbose") == ["true"]
        for allowed, pattern, respond in _ROUTES:
            found = re.fullmatch(pattern, url.path)
            if found and allowed == method:
                try:
                    with self._lock:
                        return respond(self, *map(unquote, found.groups()), _Request(body, verbose=verbose))
                except SchemaError as error:
                    raise RestError(42201, str(error)) from None
                except ConflictError:
                    raise RestError(50001, "Another writer registered a version meanwhile: try again") from None
                except StoreError:
                    raise RestError(50001, "The directory of the schemas cannot be used") from None
        raise RestError(404, f"{method} of this path is not answered here")

    def list_subjects(self, _: _Request) -> Any:
        """GET /subjects."""
        return self.schemas.subjects()

    def list_versions(self, subject: str, _: _Request) -> Any:
        """GET /subjects/{subject}/versions."""
        return [one.version for one in self._versions(subject)]

    def show_version(self, subject: str, version: str, _: _Request) -> Any:
        """GET /subjects/{subject}/versions/{version}."""
        return _shown(self._version(subject, version))

    def show_schema(self, schema_id: str, _: _Request) -> Any:
        """GET /schemas/ids/{id}."""
        schema = self.schemas.schema(int(schema_id))
        if schema is None:
            raise RestError(40403, f"Schema {schema_id} not found")
        return {"schema": json.dumps(schema)}

    def list_types(self, _: _Request) -> Any:
        """GET /schemas/types."""
        return ["AVRO"]

    def find(self, subject: str, request: _Request) -> Any:
        """POST /subjects/{subject}: the version that a schema is."""
        schema = request.schema()
        for one in reversed(self._versions(subject)):
            if one.schema == schema:
                return _shown(one)
        raise RestError(40403, "Schema not found")

    def register(self, subject: str, request: _Request) -> Any:
        """POST /subjects/{subject}/versions; a schema that is a version already stays it."""
        schema = request.schema()
        found = next((one for one in reversed(self.schemas.versions(subject)) if one.schema == schema), None)
        if found is None:
            if clashing := self.schemas.clashes(subject, schema):
                raise RestError(409, f"Schema is incompatible: {'; '.join(map(str, clashing))}")
            found = self.schemas.add(subject, schema)
        return {"id": found.schema_id}

    def test_version(self, subject: str, version: str, request: _Request) -> Any:
        """POST /compatibility/subjects/{subject}/versions/{version}: with that version alone."""
        one = self._version(subject, version)
        level = self.schemas.level(subject) or self.schemas.level(None) or Level.NONE
        return _tested(request, [str(clash) for clash in clashes(request.schema(), [(1, one.schema)], level)])

    def test_all(self, subject: str, request: _Request) -> Any:
        """POST /compatibility/subjects/{subject}/versions: as when it is registered."""
        return _tested(request, [str(clash) for clash in self.schemas.clashes(subject, request.schema())])

    def show_level(self, request: _Request) -> Any:
        """GET /config."""
        return self.show_own_level(None, request)

    def show_own_level(self, subject: str | None, _: _Request) -> Any:
        """GET /config/{subject}."""
        level = self.schemas.level(subject)
        if level is None:
            raise RestError(40408, f"Subject {subject} has no level of its own")
        return {"compatibilityLevel": level}

    def set_level(self, request: _Request) -> Any:
        """PUT /config."""
        return self.set_own_level(None, request)

    def set_own_level(self, subject: str | None, request: _Request) -> Any:
        """PUT /config/{subject}."""
        level = request.value("compatibility")
        if level not in {*Level}:
            raise RestError(42203, f"Compatibility is one of {', '.join(Level)}")
        self.schemas.set_level(subject, Level(level))
        return {"compatibility": level}

    def _versions(self, subject: str) -> list[StoredVersion]:
        found = self.schemas.versions(subject)
        if not found:
            raise RestError(40401, f"Subject {subject} not found")
        return found

    def _version(self, subject: str, version: str) -> StoredVersion:
        versions = self._versions(subject)
        for one in versions[-1:] if version in ("latest", "-1") else versions:
            if version in ("latest", "-1", str(one.version)):
                return one
        raise RestError(40402, f"Version {version} not found")


class _Request:
    """The body of a request, and whether its sender wants reasons."""

    def __init__(self, body: bytes, *, verbose: bool) -> None:
        self._body = body
        self.verbose = verbose

    def value(self, name: str) -> Any:
        """A value of the body's object, None if it has none; raises RestError."""
        try:
            found = json.loads(self._body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise RestError(422, "The request is no JSON object")
        return found.get(name)

    def schema(self) -> Any:
        """The schema that was sent; raises RestError or SchemaError."""
        if self.value("schemaType") not in (None, "AVRO") or self.value("references"):
            raise RestError(42201, "Schemas here are Avro, without references")
        text = self.value("schema")
        if not isinstance(text, str):
            raise RestError(42201, "The request has no schema")
        return read_schema(text)


def _shown(one: StoredVersion) -> dict[str, Any]:
    named = {"subject": one.subject, "version": one.version, "id": one.schema_id}
    return {**named, "schema": json.dumps(one.schema)}


def _tested(request: _Request, messages: list[str]) -> dict[str, Any]:
    return {"is_compatible": not messages, **({"messages": messages} if request.verbose else {})}


_ROUTES: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("GET", "/subjects", SchemaRegistryServer.list_subjects),
    ("GET", "/subjects/([^/]+)/versions", SchemaRegistryServer.list_versions),
    ("GET", "/subjects/([^/]+)/versions/(latest|-1|[0-9]{1,9})", SchemaRegistryServer.show_version),
    ("GET", "/schemas/ids/([0-9]{1,10})", SchemaRegistryServer.show_schema),
    ("GET", "/schemas/types", SchemaRegistryServer.list_types),
    ("POST", "/subjects/([^/]+)", SchemaRegistryServer.find),
    ("POST", "/subjects/([^/]+)/versions", SchemaRegistryServer.register),
    ("POST", "/compatibility/subjects/([^/]+)/versions/(latest|-1|[0-9]{1,9})", SchemaRegistryServer.test_version),
    ("POST", "/compatibility/subjects/([^/]+)/versions", SchemaRegistryServer.test_all),
    ("GET", "/config", SchemaRegistryServer.show_level),
    ("GET", "/config/([^/]+)", SchemaRegistryServer.show_own_level),
    ("PUT", "/config", SchemaRegistryServer.set_level),
    ("PUT", "/config/([^/]+)", SchemaRegistryServer.set_own_level),
)


class _Http(ThreadingHTTPServer):
    def __init__(self, address: tuple[str, int], registry: SchemaRegistryServer) -> None:
        self.registry = registry
        super().__init__(address, _Handler)
        self.hosts = loopback_hosts(self.server_port)


class _Handler(BaseHTTPRequestHandler):
    server: _Http
    timeout = _REQUEST_SECONDS

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def do_PUT(self) -> None:
        self._respond()

    def log_message(self, *_: object) -> None:
        """Nothing: the commands that call it say what happened."""

    def _respond(self) -> None:
        try:
            status, answer = 200, self.server.registry.answer(self.command, self.path, self._body())
        except RestError as fault:
            status, answer = fault.status, {"error_code": fault.code, "message": str(fault)}
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", _JSON)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Host", "") not in self.server.hosts:
            raise RestError(403, "This host is not answered")
        if self.command == "GET":
            return b""
        if "json" not in self.headers.get("Content-Type", ""):
            raise RestError(415, "Bodies are JSON")
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,9}", length) or int(length) > _MOST_BYTES:
            raise RestError(413, f"A request has at most {_MOST_BYTES:,} bytes, and says how many")
        return self.rfile.read(int(length))
