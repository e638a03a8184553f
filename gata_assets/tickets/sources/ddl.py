"""The ticket table's definition, and loaders that fill it with sample tickets.

SQLite and PostgreSQL have the same columns and indexes. In production, the PostgreSQL table also has a pgvector
embedding of the text: this project does not read it, and omitting it avoids the extension.
Reading tickets does not belong here, nor does generating them (`sandbox.sample_tickets`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

CHANNELS: tuple[str, ...] = (
    *("answer_bot", "any_channel", "api", "business_messaging", "chat", "chat_offline_message"),
    *("closed_ticket", "community_post", "email", "facebook", "facebook_messenger", "feedback_tab"),
    *("forum_topic", "group_change", "group_deletion", "help_center", "import", "instagram_direct", "line"),
    *("macro", "merge", "messaging", "mobile", "mobile_sdk", "mobile_sdk_messaging", "phone_call_inbound"),
    *("phone_call_outbound", "rule", "sample_ticket", "satisfaction_prediction", "side_conversation", "sms"),
    *("suspended_ticket", "system", "ticket_sharing", "twitter", "twitter_direct_message", "voice"),
    *("voicemail", "web", "web_form", "web_widget", "whatsapp"),
)
ROUTERS: tuple[str, ...] = ("external", "gata", "gata-mapped")

TICKET_COLUMNS: tuple[str, ...] = (
    *("id", "processed_data", "via_channel", "probability", "routed_by", "created"),
    *("initial_group_id", "initial_group_id_mapped", "closed", "closed_group_id", "closed_group_id_mapped"),
)


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _table(channel: str, router: str, group_id: str) -> str:
    """The table and its indexes, given the types in which the databases differ."""
    return f"""\
CREATE TABLE ticket (
    id integer PRIMARY KEY,
    processed_data text NOT NULL,
    via_channel {channel},
    probability real NOT NULL CHECK (probability BETWEEN 0 AND 1),
    routed_by {router},
    created integer NOT NULL,         -- epoch seconds
    initial_group_id {group_id},         -- 0 or null: not routed initially
    initial_group_id_mapped {group_id},
    closed integer DEFAULT 0,         -- epoch seconds, 0 while open
    closed_group_id {group_id},
    closed_group_id_mapped {group_id}    -- the label
);
CREATE INDEX ticket_via_channel_closed ON ticket (via_channel, closed);
CREATE INDEX ticket_via_channel_label_closed ON ticket (via_channel, closed_group_id_mapped, closed);
"""


SQLITE_DDL = _table(
    f"text NOT NULL CHECK (via_channel IN ({_listed(CHANNELS)}))",
    f"text NOT NULL CHECK (routed_by IN ({_listed(ROUTERS)}))",
    "integer",
)
POSTGRES_DDL = (
    f"CREATE TYPE channel AS ENUM ({_listed(CHANNELS)});\nCREATE TYPE router AS ENUM ({_listed(ROUTERS)});\n"
    + _table("channel NOT NULL", "router NOT NULL", "bigint")
)


def create_sqlite(path: Path, tickets: pd.DataFrame) -> int:
    """Write a SQLite file with the ticket table and these tickets.

    The file is written to a temporary directory next to `path` and renamed over it, so that readers see the old file or
    the complete new one. After an error, `path` is unchanged.

    Args:
        path: The file; missing parent directories are created.
        tickets: The columns `TICKET_COLUMNS`.

    Returns:
        The number of rows.

    Raises:
        KeyError: If a column is missing.
        sqlite3.IntegrityError: If rows violate the table's constraints.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A directory rather than a file, so that SQLite's journal is removed too if writing fails.
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as directory:
        temporary = Path(directory) / path.name
        placeholders = ", ".join("?" * len(TICKET_COLUMNS))
        insert = f"INSERT INTO ticket ({', '.join(TICKET_COLUMNS)}) VALUES ({placeholders})"
        with closing(sqlite3.connect(temporary)) as connection, connection:
            connection.executescript(SQLITE_DDL)
            connection.executemany(insert, _rows(tickets))
        temporary.replace(path)
    return len(tickets)


def insert_postgres(url: str, tickets: pd.DataFrame) -> int:
    """Insert tickets into the ticket table of a PostgreSQL database, in one transaction.

    Creates the table if the search path has none. After an error, the database is unchanged.

    Returns:
        The number of rows.

    Raises:
        ModuleNotFoundError: Without the extra `local`.
        KeyError: If a column is missing.
        psycopg.Error: If the database rejects a row, for example an id that exists already.
    """
    try:
        import psycopg
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "writing to PostgreSQL needs psycopg: pip install 'gata-assets[local]'", name=error.name
        ) from error

    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        table = cursor.execute("SELECT to_regclass('ticket')").fetchone()
        if table == (None,):
            cursor.execute(POSTGRES_DDL)
        with cursor.copy(f"COPY ticket ({', '.join(TICKET_COLUMNS)}) FROM STDIN") as copy:
            for row in _rows(tickets):
                copy.write_row(row)
    return len(tickets)


def _rows(tickets: pd.DataFrame) -> Iterator[tuple[object, ...]]:
    """The tickets as Python values: SQLite would store a NumPy integer as a blob."""
    # Nullable integers, because ids with nulls may arrive as floats, which COPY rejects for a bigint.
    typed = tickets.astype({name: "Int64" for name in TICKET_COLUMNS if "group_id" in name})
    columns = [[None if cell is pd.NA else cell for cell in typed[name].tolist()] for name in TICKET_COLUMNS]
    return zip(*columns, strict=True)
