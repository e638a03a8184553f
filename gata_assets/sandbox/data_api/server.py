"""A local RDS Data API: boto3's `rds-data` client talks HTTP to it, a real PostgreSQL answers.

Here: the requests it takes, GetSecretValue for its one secret, faults on demand and the record of calls.
Not here: sockets (data_api_http), running statements (data_api_postgres), SQL and values (data_api_sql).
Signatures are not checked; transactions and batches are refused.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from json.encoder import encode_basestring
from types import TracebackType
from typing import Any

from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from gata_assets.sandbox.data_api.http import Answer, HttpServer
from gata_assets.sandbox.data_api.postgres import Outcome, Postgres
from gata_assets.sandbox.data_api.sql import DataApiError, bad_request, bind, plain_parameters, translate

DEFAULT_CLUSTER_ARN = "arn:aws:rds:us-east-1:123456789012:cluster:gata-local"
DEFAULT_SECRET_ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:gata-local-A1b2C3"  # noqa: S105 - a name

# HTTP status of every error: those of botocore's rds-data model, and two that any AWS service can answer.
ERROR_STATUS = {
    "AccessDeniedException": 403,
    "BadRequestException": 400,
    "DatabaseErrorException": 400,
    "DatabaseNotFoundException": 404,
    "DatabaseResumingException": 400,
    "DatabaseUnavailableException": 504,
    "ForbiddenException": 403,
    "HttpEndpointNotEnabledException": 400,
    "InternalServerErrorException": 500,
    "InvalidResourceStateException": 400,
    "InvalidSecretException": 400,
    "NotFoundException": 404,
    "SecretsErrorException": 400,
    "ServiceUnavailableError": 503,
    "StatementTimeoutException": 400,
    "TransactionNotFoundException": 404,
    "UnsupportedResultException": 400,
    "ExpiredTokenException": 403,
    "ThrottlingException": 400,
}
_FAULT_MESSAGES = {
    "DatabaseResumingException": (
        "The Aurora DB instance is resuming after being auto-paused. Please wait a few seconds and try again."
    ),
    "ThrottlingException": "Rate exceeded",
    "StatementTimeoutException": "ERROR: canceling statement due to statement timeout; SQLState: 57014",
}

# The documented limit of a request.
_REQUEST_LIMIT_BYTES = 4 * 1024 * 1024
_REFUSED_MEMBERS = ("transactionId", "resultSetOptions", "schema", "continueAfterTimeout")
_REFUSED_PATHS = (
    "/BatchExecute",
    "/BeginTransaction",
    "/CommitTransaction",
    "/RollbackTransaction",
    "/ExecuteSql",
)


@dataclass(frozen=True)
class Call:
    """One Execute call that was answered: `seconds` until the answer was ready, without a hang on demand."""

    number: int
    sql: str
    parameter_names: tuple[str, ...]
    error: str | None
    response_bytes: int
    seconds: float


class DataApiServer:
    """Answers the RDS Data API on `url` from the PostgreSQL at `postgres_url`; start() and stop(), or `with`.

    `database` is the one named in postgres_url unless given; ValueError if there is neither. Port 0 takes a
    free one. `latency_seconds` is added to every Execute call. `statement_timeout_seconds` is PostgreSQL's
    statement_timeout; a statement over it is a StatementTimeoutException. `before_execute(number, sql,
    parameters)` is called before each statement that is really run. `calls` grows by one per Execute call.
    """

    def __init__(
        self,
        postgres_url: str,
        *,
        database: str | None = None,
        resource_arn: str = DEFAULT_CLUSTER_ARN,
        secret_arn: str = DEFAULT_SECRET_ARN,
        host: str = "127.0.0.1",
        port: int = 0,
        latency_seconds: float = 0.0,
    ) -> None:
        named = database or conninfo_to_dict(postgres_url).get("dbname")
        if not named:
            raise ValueError("neither postgres_url nor database names a database")
        self.database = str(named)
        self.resource_arn = resource_arn
        self.secret_arn = secret_arn
        self.latency_seconds = latency_seconds
        self.statement_timeout_seconds = 45.0
        self.before_execute: Callable[[int, str, dict[str, Any]], None] | None = None
        self.calls: list[Call] = []
        self._postgres_url = postgres_url
        self._address = (host, port)
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
        """The endpoint_url for boto3; RuntimeError while the server is not running."""
        if self._http is None:
            raise RuntimeError("the server is not running")
        host, port = self._http.server_address[:2]
        return f"http://{host if isinstance(host, str) else host.decode()}:{port}"

    def start(self) -> DataApiServer:
        """Listen and answer in daemon threads; OSError if the port is taken."""
        if self._http is not None:
            raise RuntimeError("the server is already running")
        http = HttpServer(self._address, self.answer)
        self._stopping.clear()
        self._postgres = Postgres(self._postgres_url)
        self._http = http
        threading.Thread(target=http.serve_forever, args=(0.05,), name="data-api", daemon=True).start()
        return self

    def stop(self) -> None:
        """Close every connection of clients and of PostgreSQL, cancelling the statements still running."""
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def resume_for(self, seconds: float) -> None:
        """Answer every Execute call of the next `seconds` with DatabaseResumingException."""
        with self._lock:
            self._resuming_until = time.monotonic() + seconds

    def fail_next(self, error: str, *, times: int = 1, skip: int = 0) -> None:
        """After `skip` further Execute calls fail `times` of them, statement not run; ValueError if unknown.

        Calls that are already to fail stay as they are, so two of these fail one after the other.
        """
        if error not in ERROR_STATUS:
            raise ValueError(f"not an error of the Data API: {error}")
        with self._lock:
            numbers = _next_free(self._errors, self._number + skip, times)
            self._errors.update(dict.fromkeys(numbers, error))

    def hang_next(self, seconds: float, *, times: int = 1) -> None:
        """Run the next `times` statements but answer `seconds` late, as when only the answer is lost."""
        with self._lock:
            numbers = _next_free(self._hangs, self._number, times)
            self._hangs.update(dict.fromkeys(numbers, seconds))

    def answer(self, path: str, target: str | None, body: bytes) -> Answer:
        """The answer to one POST; for the HTTP handler, which has nothing else to decide."""
        if path == "/Execute":
            return self._execute(body)
        try:
            if path == "/" and target is not None:
                return self._secret(target, body)
            if path in _REFUSED_PATHS:
                raise bad_request(f"{path[1:]} is not supported here")
            raise DataApiError("NotFoundException", f"No such operation: {path}")
        except DataApiError as error:
            return _error_answer(error)

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
            request = _json_object(body)
            if fault is not None:
                raise DataApiError(fault, _FAULT_MESSAGES.get(fault, "Failed on demand"))
            answer = Answer(200, self._run(number, request))
        except DataApiError as error:
            answer = _error_answer(error)
        sql, names = str(request.get("sql", "")), _names(request.get("parameters"))
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
        return _response(outcome, form == "JSON", request.get("includeResultMetadata") is True)

    def _secret(self, target: str, body: bytes) -> Answer:
        if target != "secretsmanager.GetSecretValue":
            return _secret_answer(400, {"__type": "UnknownOperationException", "message": "Not supported here"})
        if _json_object(body).get("SecretId") != self.secret_arn:
            message = "Secrets Manager can't find the specified secret."
            return _secret_answer(400, {"__type": "ResourceNotFoundException", "message": message})
        # libpq's own defaults, PGUSER and PGPASSWORD among them, where the URL says nothing.
        login = {o.keyword.decode(): o.val.decode() for o in pq.Conninfo.get_defaults() if o.val is not None}
        login |= {k: str(v) for k, v in conninfo_to_dict(self._postgres_url).items() if v is not None}
        secret = {
            "dbname": self.database,
            "username": login["user"],
            "password": login.get("password", ""),
        }
        members = {
            "ARN": self.secret_arn,
            "Name": self.secret_arn.rpartition(":")[2],
            "SecretString": json.dumps(secret),
            "VersionStages": ["AWSCURRENT"],
        }
        return _secret_answer(200, members)


def serve(
    postgres_url: str,
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    database: str | None = None,
    resource_arn: str = DEFAULT_CLUSTER_ARN,
    secret_arn: str = DEFAULT_SECRET_ARN,
    latency_seconds: float = 0.0,
    on_ready: Callable[[DataApiServer], None] | None = None,
) -> None:
    """Run a server until KeyboardInterrupt; `on_ready` gets it when it listens. OSError: port taken."""
    server = DataApiServer(
        postgres_url,
        database=database,
        resource_arn=resource_arn,
        secret_arn=secret_arn,
        host=host,
        port=port,
        latency_seconds=latency_seconds,
    )
    with server, contextlib.suppress(KeyboardInterrupt):
        if on_ready is not None:
            on_ready(server)
        threading.Event().wait()


def _next_free(taken: Collection[int], after: int, times: int) -> list[int]:
    return list(itertools.islice((n for n in itertools.count(after + 1) if n not in taken), times))


def _names(parameters: Any) -> tuple[str, ...]:
    if not isinstance(parameters, list):
        return ()
    return tuple(str(p.get("name")) for p in parameters if isinstance(p, dict))


def _json_object(body: bytes) -> dict[str, Any]:
    if len(body) > _REQUEST_LIMIT_BYTES:
        raise bad_request("The request is larger than 4 MiB")
    try:
        content = json.loads(body)
    except ValueError as error:
        raise bad_request("The request is not JSON") from error
    if not isinstance(content, dict):
        raise bad_request("The request is not a JSON object")
    return content


def _response(outcome: Outcome, as_json: bool, with_metadata: bool) -> bytes:
    # By hand, because the rows are JSON text already and may be a mebibyte.
    members = ['"generatedFields":[]', f'"numberOfRecordsUpdated":{outcome.updated}']
    if outcome.columns is not None and as_json:
        members.append(f'"formattedRecords":{encode_basestring(outcome.rows_json)}')
    elif outcome.columns is not None:
        members.append(f'"records":{outcome.rows_json}')
        if with_metadata:
            members.append(f'"columnMetadata":{json.dumps([c.metadata() for c in outcome.columns])}')
    return ("{" + ",".join(members) + "}").encode()


def _error_answer(error: DataApiError) -> Answer:
    body = json.dumps({"message": error.message, **error.extra}).encode()
    return Answer(ERROR_STATUS[error.name], body, error=error.name)


def _secret_answer(status: int, members: dict[str, Any]) -> Answer:
    return Answer(status, json.dumps(members).encode(), "application/x-amz-json-1.1", members.get("__type"))
