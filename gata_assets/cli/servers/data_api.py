"""`gata data-api`: the local RDS Data API over a PostgreSQL, until it is interrupted."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import psycopg

from gata_assets.cli.terminal import text_console
from gata_assets.errors import SourceError
from gata_assets.sandbox.data_api.server import DataApiServer, is_loopback, serve
from gata_assets.sandbox.sample_tickets import generate_tickets
from gata_assets.tickets.sources.ddl import insert_postgres

__all__ = ["is_loopback", "run"]

_SAMPLE_SINCE = date(2025, 1, 1)


_CONNECT_SECONDS = 5
# A superuser, and the roles that give some of its rights: beyond the database, on its machine.
_RIGHTS_ON_THE_MACHINE = """
    SELECT rolname FROM pg_roles WHERE rolname = current_user AND rolsuper
    UNION ALL
    SELECT rolname FROM pg_roles
    WHERE rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')
      AND pg_has_role(current_user, oid, 'MEMBER')
    LIMIT 1
"""


def run(
    postgres_url: str,
    port: int,
    *,
    with_sample: bool,
    host: str,
    secret_key: str | None,
    allow_remote: bool,
    as_json: bool = False,
) -> None:
    """Serve, on loopback unless `allow_remote`; with `with_sample`, fill the table first.

    With `as_json`, stdout gets one line of JSON once the server listens, and stderr what is for people.
    """
    console = text_console(stderr=as_json)
    try:
        with psycopg.connect(postgres_url, connect_timeout=_CONNECT_SECONDS) as connection:
            is_powerful = connection.execute(_RIGHTS_ON_THE_MACHINE).fetchone() is not None
        if with_sample:
            rows = insert_postgres(postgres_url, generate_tickets(_SAMPLE_SINCE, datetime.now(UTC).date()))
            console.print(f"{rows:,} sample tickets inserted.")
        server = DataApiServer(postgres_url, port=port, host=host, secret_key=secret_key, allow_remote=allow_remote)
    except psycopg.errors.UniqueViolation:
        raise SourceError("The table has sample tickets already; leave out --sample.") from None
    except psycopg.Error as error:
        raise SourceError(f"The database of --postgres cannot be used: {type(error).__name__}.") from None
    except ValueError as error:
        raise SourceError(f"The database of --postgres cannot be used: {error}.") from None
    if is_powerful:
        console.print(
            "Warning: the user of --postgres is a superuser or may use files and programs of the database's machine. "
            "Whoever has the secret key below may too: name a user that can read the ticket table only."
        )

    def show(server: DataApiServer) -> None:
        if as_json:
            print(json.dumps({"event": "DATA_API_READY", "variables": server.variables}), flush=True)
            return
        console.print("The RDS Data API and its secret are answered now, to clients with these keys. Point gata at it:")
        for name, value in server.variables.items():
            console.print(f"  export {name}={value}", markup=False, soft_wrap=True)

    try:
        serve(server, on_ready=show)
    except OSError as error:
        raise SourceError(f"Port {port} of {host} cannot be listened on: {error.strerror}. Choose another.") from None
