"""A local RDS Data API for boto3's `rds-data` client, backed by a real PostgreSQL.

Requests and GetSecretValue for a single secret belong here; signatures (`access`), sockets, JSON and errors (`http`),
statements (`postgres`), SQL and values (`sql`) do not. Transactions and batches are not supported.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Self

from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from gata_assets.sandbox.data_api.access import ACCESS_KEY_ID, Access, loopback_hosts, new_secret_key
from gata_assets.sandbox.data_api.http import Answer, HttpServer, parse_request
from gata_assets.sandbox.data_api.postgres import Postgres
from gata_assets.sandbox.data_api.sql import DataApiError, bad_request, bind, translate

DEFAULT_CLUSTER_ARN = "arn:aws:rds:us-east-1:123456789012:cluster:gata-local"
DEFAULT_SECRET_ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:gata-local-A1b2C3"  # noqa: S105 - a name

_ALL_ADDRESSES = ("0.0.0.0", "::")  # noqa: S104 - compared, not listened on
_REFUSED_MEMBERS = ("transactionId", "resultSetOptions", "schema", "continueAfterTimeout")
_REFUSED_PATHS = ("/BatchExecute", "/BeginTransaction", "/CommitTransaction", "/RollbackTransaction", "/ExecuteSql")


class DataApiServer:
    """Serves the RDS Data API on `url`, backed by the PostgreSQL at `postgres_url`; use start() and stop(), or `with`.

    `statement_timeout_seconds` is PostgreSQL's statement_timeout; a statement over it is a StatementTimeoutException.
    `hosts` are further addresses, as `host:port`, by which a proxy of this machine passes requests on.

    Args:
        postgres_url: The PostgreSQL server and its database.
        port: The port; 0 chooses a free one.
        host: The address to listen on.
        secret_key: What clients sign with, AWS_SECRET_ACCESS_KEY; a random one by default.
        allow_remote: Whether `host` may be another than loopback; then any Host header is answered.

    Raises:
        ValueError: If `postgres_url` has no database, or `host` is not loopback and `allow_remote` is false.
    """

    resource_arn = DEFAULT_CLUSTER_ARN
    secret_arn = DEFAULT_SECRET_ARN

    def __init__(
        self,
        postgres_url: str,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        secret_key: str | None = None,
        allow_remote: bool = False,
    ) -> None:
        self.database = str(conninfo_to_dict(postgres_url).get("dbname") or "")
        if not self.database:
            raise ValueError("postgres_url names no database")
        if not (allow_remote or is_loopback(host)):
            raise ValueError(f"{host} can be reached from other machines, which is to be allowed explicitly")
        self.statement_timeout_seconds = 45.0
        self.secret_key = secret_key or new_secret_key()
        self.hosts: set[str] = set()
        self._host = host
        self._postgres_url = postgres_url
        self._port = port
        self._http: HttpServer | None = None
        self._postgres: Postgres | None = None

    @property
    def url(self) -> str:
        """The endpoint_url for boto3; raises RuntimeError while the server is not running."""
        if self._http is None:
            raise RuntimeError("the server is not running")
        host = "127.0.0.1" if self._host in _ALL_ADDRESSES else self._host
        return f"http://[{host}]:{self._http.server_port}" if ":" in host else f"http://{host}:{self._http.server_port}"

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that point boto3's clients and `gata` at the running server."""
        return {
            "AWS_ENDPOINT_URL_RDS_DATA": self.url,
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "DB_ARN": self.resource_arn,
            "DB_SECRET_ARN": self.secret_arn,
        }

    def start(self) -> Self:
        """Listen and serve in daemon threads; raises OSError if the port is taken."""
        if self._http is not None:
            raise RuntimeError("the server is already running")
        http = HttpServer((self._host, self._port), self.answer)
        self.hosts |= loopback_hosts(http.server_port)
        http.access = Access(self.secret_key, self.hosts if is_loopback(self._host) else None)
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
        http.shutdown()
        http.server_close()
        postgres.close()
        http.close_clients()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def answer(self, path: str, target: str | None, body: bytes) -> Answer:
        """Compute the response to a POST request; called by the HTTP handler."""
        try:
            if path == "/Execute":
                return Answer(200, self._run(parse_request(body)))
            if path == "/" and target is not None:
                return self._secret(target, body)
            if path in _REFUSED_PATHS:
                raise bad_request(f"{path[1:]} is not supported here")
            raise DataApiError("NotFoundException", f"No such operation: {path}")
        except DataApiError as error:
            return Answer.of_error(error)

    def _run(self, request: dict[str, Any]) -> bytes:
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
        statement, names = translate(sql)
        bound = bind(names, request.get("parameters", []))
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


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine only."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def serve(server: DataApiServer, *, on_ready: Callable[[DataApiServer], None]) -> None:
    """Run a server until KeyboardInterrupt; `on_ready` receives it once it listens. Raises OSError for a used port."""
    with server, contextlib.suppress(KeyboardInterrupt):
        on_ready(server)
        threading.Event().wait()
