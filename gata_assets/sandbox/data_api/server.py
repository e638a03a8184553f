"""A local RDS Data API for boto3's `rds-data` client, backed by a real PostgreSQL.

Requests, GetSecretValue for a single secret, faults on demand and the list of calls belong here; sockets,
JSON and errors (`http`), statements (`postgres`), SQL and values (`sql`) do not. Signatures are not checked;
transactions and batches are not supported.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from gata_assets.sandbox.data_api.http import ERROR_STATUS, Answer, HttpServer, parse_request
from gata_assets.sandbox.data_api.postgres import Postgres
from gata_assets.sandbox.data_api.sql import DataApiError, bad_request, bind, plain_parameters, translate

DEFAULT_CLUSTER_ARN = "arn:aws:rds:us-east-1:123456789012:cluster:gata-local"
DEFAULT_SECRET_ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:gata-local-A1b2C3"  # noqa: S105 - a name

_REFUSED_MEMBERS = ("transactionId", "resultSetOptions", "schema", "continueAfterTimeout")
_REFUSED_PATHS = ("/BatchExecute", "/BeginTransaction", "/CommitTransaction", "/RollbackTransaction", "/ExecuteSql")
_FAULT_MESSAGES = {
    "DatabaseResumingException": (
        "The Aurora DB instance is resuming after being auto-paused. Please wait a few seconds and try again."
    ),
    "ThrottlingException": "Rate exceeded",
    "StatementTimeoutException": "ERROR: canceling statement due to statement timeout; SQLState: 57014",
}


@dataclass(frozen=True)
class Call:
    """A completed Execute call: `seconds` until the response was ready, without a hang on demand."""

    number: int
    sql: str
    parameter_names: tuple[str, ...]
    error: str | None
    response_bytes: int
    seconds: float


class DataApiServer:
    """Serves the RDS Data API on `url`, backed by the PostgreSQL at `postgres_url`; use start() and stop(), or `with`.

    `statement_timeout_seconds` is PostgreSQL's statement_timeout; a statement over it is a StatementTimeoutException.
    `latency_seconds` are added to every Execute call. `before_execute(number, sql, parameters)` is called before each
    statement is run. `calls` has an element per Execute call.

    Args:
        postgres_url: The PostgreSQL server and its database.
        port: The port on loopback; 0 chooses a free one.

    Raises:
        ValueError: If `postgres_url` has no database.
    """

    resource_arn = DEFAULT_CLUSTER_ARN
    secret_arn = DEFAULT_SECRET_ARN

    def __init__(self, postgres_url: str, *, port: int = 0) -> None:
        self.database = str(conninfo_to_dict(postgres_url).get("dbname") or "")
        if not self.database:
            raise ValueError("postgres_url names no database")
        self.latency_seconds = 0.0
        self.statement_timeout_seconds = 45.0
        self.before_execute: Callable[[int, str, dict[str, Any]], None] | None = None
        self.calls: list[Call] = []
        self._postgres_url = postgres_url
        self._port = port
        self._lock = threading.Lock()
        self._number = 0
        self._errors: dict[int, str] = {}
        self._hangs: dict[int, float] = {}
        self._resuming_until = 0.0
        self._stopping = threading.Event()
        self._http: HttpServer | None = None
        self._postgres: Postgres | None = None

    @property
    def url(self) -> str:
        """The endpoint_url for boto3; raises RuntimeError while the server is not running."""
        if self._http is None:
            raise RuntimeError("the server is not running")
        return f"http://127.0.0.1:{self._http.server_port}"

    def start(self) -> DataApiServer:
        """Listen and serve in daemon threads; raises OSError if the port is taken."""
        if self._http is not None:
            raise RuntimeError("the server is already running")
        http = HttpServer(("127.0.0.1", self._port), self.answer)
        self._stopping.clear()
        self._postgres = Postgres(self._postgres_url)
        self._http = http
        threading.Thread(target=http.serve_forever, args=(0.05,), name="data-api", daemon=True).start()
        return self

    def stop(self) -> None:
        """Close all connections of clients and of PostgreSQL, canceling running statements."""
        if self._http is None or self._postgres is None:
            return
        http, postgres = self._http, self._postgres
        self._http = self._postgres = None
        self._stopping.set()
        http.shutdown()
        http.server_close()
        postgres.close()
        http.close_clients()

    def __enter__(self) -> DataApiServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def resume_for(self, seconds: float) -> None:
        """Fail every Execute call in the next `seconds` with DatabaseResumingException."""
        with self._lock:
            self._resuming_until = time.monotonic() + seconds

    def fail_next(self, error: str, *, times: int = 1, skip: int = 0) -> None:
        """Skip `skip` Execute calls, then fail the next `times` without running their statements.

        Calls that are already scheduled to fail are not counted, so that failures queue up.

        Raises:
            ValueError: If the error is not one of the Data API.
        """
        if error not in ERROR_STATUS:
            raise ValueError(f"not an error of the Data API: {error}")
        with self._lock:
            numbers = _next_free(self._errors, self._number + skip, times)
            self._errors.update(dict.fromkeys(numbers, error))

    def hang_next(self, seconds: float, *, times: int = 1) -> None:
        """Run the next `times` statements but respond `seconds` late, as if only the response was lost."""
        with self._lock:
            numbers = _next_free(self._hangs, self._number, times)
            self._hangs.update(dict.fromkeys(numbers, seconds))

    def answer(self, path: str, target: str | None, body: bytes) -> Answer:
        """Compute the response to a POST request; called by the HTTP handler."""
        if path == "/Execute":
            return self._execute(body)
        try:
            if path == "/" and target is not None:
                return self._secret(target, body)
            if path in _REFUSED_PATHS:
                raise bad_request(f"{path[1:]} is not supported here")
            raise DataApiError("NotFoundException", f"No such operation: {path}")
        except DataApiError as error:
            return Answer.of_error(error)

    def _execute(self, body: bytes) -> Answer:
        started = time.perf_counter()
        with self._lock:
            self._number += 1
            number = self._number
            fault = self._errors.pop(number, None)
            hang = self._hangs.pop(number, 0.0)
            if time.monotonic() < self._resuming_until:
                fault = "DatabaseResumingException"
        self._stopping.wait(self.latency_seconds)
        request: dict[str, Any] = {}
        try:
            request = parse_request(body)
            if fault is not None:
                raise DataApiError(fault, _FAULT_MESSAGES.get(fault, "Failed on demand"))
            answer = Answer(200, self._run(number, request))
        except DataApiError as error:
            answer = Answer.of_error(error)
        parameters = request.get("parameters")
        given = parameters if isinstance(parameters, list) else []
        sql, names = str(request.get("sql", "")), tuple(str(p.get("name")) for p in given if isinstance(p, dict))
        seconds = time.perf_counter() - started
        self.calls.append(Call(number, sql, names, answer.error, len(answer.body), seconds))
        self._stopping.wait(hang)
        return answer

    def _run(self, number: int, request: dict[str, Any]) -> bytes:
        if request.get("resourceArn") != self.resource_arn:
            raise bad_request(f"HttpEndpoint is not enabled for resource {request.get('resourceArn')}")
        if request.get("secretArn") != self.secret_arn:
            raise bad_request(f"Secrets Manager can't find the specified secret: {request.get('secretArn')}")
        for member in _REFUSED_MEMBERS:
            if request.get(member):
                raise bad_request(f"{member} is not supported here")
        sql, database = request.get("sql"), request.get("database", self.database)
        if not isinstance(sql, str) or not isinstance(database, str):
            raise bad_request("sql and database must be strings")
        form = request.get("formatRecordsAs", "NONE")
        if form not in ("JSON", "NONE"):
            raise bad_request(f"formatRecordsAs must be JSON or NONE: {form}")
        given = request.get("parameters", [])
        statement, names = translate(sql)
        bound = bind(names, given)
        if self.before_execute is not None:
            self.before_execute(number, sql, plain_parameters(given))
        postgres = self._postgres
        if postgres is None:
            raise DataApiError("ServiceUnavailableError", "The server is stopping")
        outcome = postgres.run(
            database, statement, bound, as_json=form == "JSON", timeout_seconds=self.statement_timeout_seconds
        )
        return outcome.as_body(as_json=form == "JSON", with_metadata=request.get("includeResultMetadata") is True)

    def _secret(self, target: str, body: bytes) -> Answer:
        if target != "secretsmanager.GetSecretValue":
            return Answer.of_secret(400, {"__type": "UnknownOperationException", "message": "Not supported here"})
        if parse_request(body).get("SecretId") != self.secret_arn:
            message = "Secrets Manager can't find the specified secret."
            return Answer.of_secret(400, {"__type": "ResourceNotFoundException", "message": message})
        # libpq's defaults, such as PGUSER and PGPASSWORD, for what the URL lacks.
        login = {o.keyword.decode(): o.val.decode() for o in pq.Conninfo.get_defaults() if o.val is not None}
        login |= {k: str(v) for k, v in conninfo_to_dict(self._postgres_url).items() if v is not None}
        secret = {"dbname": self.database, "username": login["user"], "password": login.get("password", "")}
        members = {
            "ARN": self.secret_arn,
            "Name": self.secret_arn.rpartition(":")[2],
            "SecretString": json.dumps(secret),
            "VersionStages": ["AWSCURRENT"],
        }
        return Answer.of_secret(200, members)


def serve(postgres_url: str, *, port: int, on_ready: Callable[[DataApiServer], None]) -> None:
    """Run a server until KeyboardInterrupt; `on_ready` receives it once it listens. Raises OSError for a used port."""
    with DataApiServer(postgres_url, port=port) as server, contextlib.suppress(KeyboardInterrupt):
        on_ready(server)
        threading.Event().wait()


def _next_free(taken: Collection[int], after: int, times: int) -> list[int]:
    return list(itertools.islice((n for n in itertools.count(after + 1) if n not in taken), times))
