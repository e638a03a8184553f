"""`gata data-api`: the local RDS Data API over a PostgreSQL, until it is interrupted."""

from __future__ import annotations

from datetime import UTC, date, datetime

import psycopg

from gata_assets.cli.terminal import text_console
from gata_assets.errors import SourceError
from gata_assets.sandbox.data_api.server import DataApiServer, serve
from gata_assets.sandbox.sample_tickets import generate_tickets
from gata_assets.tickets.sources.ddl import insert_postgres

_SAMPLE_SINCE = date(2025, 1, 1)


def run(postgres_url: str, port: int, *, with_sample: bool) -> None:
    """Serve on 127.0.0.1; with `with_sample`, fill the table first."""
    console = text_console()
    try:
        psycopg.connect(postgres_url, connect_timeout=5).close()
        if with_sample:
            rows = insert_postgres(postgres_url, generate_tickets(_SAMPLE_SINCE, datetime.now(UTC).date()))
            console.print(f"{rows:,} sample tickets inserted.")
    except psycopg.errors.UniqueViolation:
        raise SourceError("The table has sample tickets already; leave out --sample.") from None
    except psycopg.Error as error:
        raise SourceError(f"The database of --postgres cannot be used: {type(error).__name__}.") from None

    def show(server: DataApiServer) -> None:
        console.print("The RDS Data API and its secret are answered now. Point gata at them with")
        for name, value in (
            ("AWS_ENDPOINT_URL_RDS_DATA", server.url),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", server.url),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("DB_ARN", server.resource_arn),
            ("DB_SECRET_ARN", server.secret_arn),
        ):
            console.print(f"  export {name}={value}", markup=False)

    serve(postgres_url, port=port, on_ready=show)
