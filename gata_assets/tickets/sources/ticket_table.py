"""The ticket table, declared once: its columns in each database, what they mean, and which of them are read.

From this are derived the table that is created (`ddl`), what a foreign table or query must give (`table_layout`), and
docs/reference/ticket-table.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import TextWrapper

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

# What a column that is read must contain.
NUMBER, TEXT, LABEL = "a whole number", "a text", "a whole number, or a name"
# The types that are read, by the names that PostgreSQL gives them, an enum's being `enum`; SQLite's are among them.
_NUMBERS = frozenset({"smallint", "integer", "bigint"})
_TEXTS = frozenset({"text", "character varying", "character", "name", "citext", "enum"})
TYPES: Mapping[str, frozenset[str]] = {NUMBER: _NUMBERS, TEXT: _TEXTS, LABEL: _NUMBERS | _TEXTS}


@dataclass(frozen=True)
class TicketColumn:
    """A column: its types in PostgreSQL and SQLite, its constraint, and its meaning.

    `needs` is what a foreign table or query must give in it, None if it is not read. `allowed` values are an enum in
    PostgreSQL and a constraint in SQLite. `without` says what holds for a query that does not give the column; where it
    is empty, the column is required.
    """

    name: str
    postgres: str
    sqlite: str
    constraint: str
    meaning: str
    needs: str | None = None
    allowed: tuple[str, ...] = ()
    without: str = ""


_GROUP = ("bigint", "integer", "")
TICKET_TABLE: tuple[TicketColumn, ...] = (
    TicketColumn("id", "integer", "integer", "PRIMARY KEY", "The ticket's number, unique.", NUMBER),
    TicketColumn(
        "processed_data", "text", "text", "NOT NULL", "Subject and body: the text that trains, in `[a-z0-9?.! ]`.", TEXT
    ),
    TicketColumn(
        *("via_channel", "channel", "text", "NOT NULL"),
        "How the ticket came in. `api` with an `initial_group_id`: whoever created it has routed it, so it does not "
        "train.",
        needs=TEXT,
        allowed=CHANNELS,
        without="no ticket is excluded as routed_by_api",
    ),
    TicketColumn(
        "probability", "real", "real", "NOT NULL CHECK (probability BETWEEN 0 AND 1)", "How sure the router was."
    ),
    TicketColumn(
        *("routed_by", "router", "text", "NOT NULL"),
        "What routed the ticket. `gata-mapped`: the router did so by a mapping, so it does not train.",
        needs=TEXT,
        allowed=ROUTERS,
        without="no ticket is excluded as routed_by_mapping",
    ),
    TicketColumn("created", "integer", "integer", "NOT NULL", "When it was created, in epoch seconds."),
    TicketColumn(
        *("initial_group_id", *_GROUP),
        "The group that the ticket was first given; 0 or null: none.",
        needs=NUMBER,
        without="no ticket is excluded as routed_by_api",
    ),
    TicketColumn("initial_group_id_mapped", *_GROUP, "That group, after the operator's mapping."),
    TicketColumn(
        *("closed", "integer", "integer", "DEFAULT 0"),
        "When it was closed, in epoch **seconds** (UTC); 0 or null while it is open.",
        needs=NUMBER,
    ),
    TicketColumn("closed_group_id", *_GROUP, "The group that the ticket was closed in."),
    TicketColumn(
        *("closed_group_id_mapped", *_GROUP),
        "That group, after the operator's mapping: the label. A number, or a name in a column of texts.",
        needs=LABEL,
    ),
)
TICKET_COLUMNS: tuple[str, ...] = tuple(column.name for column in TICKET_TABLE)
# The columns that are read, with what they must contain.
COLUMNS: Mapping[str, str] = {column.name: column.needs for column in TICKET_TABLE if column.needs}
# What holds for a query without a column; all others are required.
OPTIONAL: Mapping[str, str] = {column.name: column.without for column in TICKET_TABLE if column.without}

INDEXES: Mapping[str, tuple[str, ...]] = {
    "ticket_via_channel_closed": ("via_channel", "closed"),
    "ticket_via_channel_label_closed": ("via_channel", "closed_group_id_mapped", "closed"),
}


def sqlite_ddl() -> str:
    """The statements that create the table in SQLite."""

    def definition(column: TicketColumn) -> str:
        listed = f"CHECK ({column.name} IN ({_listed(column.allowed)}))" if column.allowed else ""
        return " ".join(filter(None, (column.name, column.sqlite, column.constraint, listed)))

    return _table([definition(column) for column in TICKET_TABLE])


def postgres_ddl() -> str:
    """The statements that create the table and its enums in PostgreSQL."""
    enums = [
        f"CREATE TYPE {column.postgres} AS ENUM ({_listed(column.allowed)});\n"
        for column in TICKET_TABLE
        if column.allowed
    ]
    definitions = [" ".join(filter(None, (column.name, column.postgres, column.constraint))) for column in TICKET_TABLE]
    return "".join(enums) + _table(definitions)


def _table(definitions: list[str]) -> str:
    columns = ",\n".join(f"    {definition}" for definition in definitions)
    indexes = "".join(f"CREATE INDEX {name} ON ticket ({', '.join(keys)});\n" for name, keys in INDEXES.items())
    return f"CREATE TABLE ticket (\n{columns}\n);\n{indexes}"


def _listed(values: tuple[str, ...]) -> str:
    listed = ", ".join(f"'{value}'" for value in values)
    return listed if len(listed) < _LONGEST_LINE else f"\n{_LINES.fill(listed)}\n    "


_LONGEST_LINE = 110
_LINES = TextWrapper(_LONGEST_LINE, initial_indent=" " * 8, subsequent_indent=" " * 8)
