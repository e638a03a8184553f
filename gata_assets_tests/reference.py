"""The reference pages, docs/reference/*.md, from what the program itself says, and each tables.json.

`python -m gata_assets_tests.reference` writes them: commands from click, settings from the pydantic model, the ticket
table from its declaration, tables from the pandera models, checks from the modules of check names.
`docs/test_reference.py` fails while a page is out of date.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import click
import polars as pl
from msgspec import json
from pydantic.fields import FieldInfo

from gata_assets.cli.exit_codes import HasExitCodes
from gata_assets.cli.main import main
from gata_assets.curation.curated.check_names import FRESHNESS_CHECK, check_descriptions
from gata_assets.governance.privacy.requests import job as erasing_job
from gata_assets.interactions import check_names as interaction_checks
from gata_assets.interactions import schema as interaction_tables
from gata_assets.interactions.tables import TABLES
from gata_assets.lake import schema as lake_tables
from gata_assets.lake.check_names import OFFLINE_CHECKS, ONLINE_CHECKS
from gata_assets.lake.tables import RAW_TICKETS, TICKETS
from gata_assets.orchestration.alerting import overdue_check
from gata_assets.settings.model import Settings, describe_settings
from gata_assets.shop import checks as shop_checks
from gata_assets.shop import prod_checks
from gata_assets.shop.prod.tables import TABLES as PROD_TABLES
from gata_assets.shop.schema import MODELS
from gata_assets.tables.declaration import check_of, read_model, spec_of, tables_by_name
from gata_assets.tables.description import describe_checks, describe_table
from gata_assets.tables.spec import TableSpec
from gata_assets.tickets import schema as ticket_tables
from gata_assets.tickets.assets import check_names as ticket_checks
from gata_assets.tickets.raw_files.raw_tickets import raw_ticket_table
from gata_assets.tickets.sources.ticket_table import TICKET_TABLE, TYPES, TicketColumn, postgres_ddl, sqlite_ddl

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
TABLES_FILE = Path(interaction_tables.__file__).with_name("tables.json")
LAKE_TABLES_FILE = Path(lake_tables.__file__).with_name("tables.json")
_OF_STORE = "tickets of a SQLite file"
COMMAND = "python -m gata_assets_tests.reference"


def commands_page() -> str:
    """Every command: usage, description, arguments and options."""
    sections = []
    for name, command in all_commands().items():
        context = click.Context(command, info_name=f"gata {name}")
        usage = " ".join(command.get_usage(context).removeprefix("Usage: ").split())
        rows = [_option(option, context) for option in command.params if isinstance(option, click.Option)]
        options = _table(("option", "default", "meaning"), rows)
        codes = _table(
            ("exit code", "meaning"), [(str(code), meaning) for code, meaning in exit_codes(command).items()]
        )
        text = f"```text\n{usage}\n```\n\n{_prose(command.help)}\n\n{options}\n{codes}"
        sections.append((f"gata {name}", text))
    intro = "# Commands\n\n`gata COMMAND --help` shows the same. [Outputs](outputs.md) shows what each prints.\n"
    return _page(intro, sections)


def exit_codes(command: click.Command) -> Mapping[int, str]:
    """A command's exit codes with what they mean."""
    assert isinstance(command, HasExitCodes), command.name
    return command.exit_codes


def all_commands() -> dict[str, click.Command]:
    """Every command by its name after `gata`: `tickets check`."""
    return dict(_commands(main))


def _commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield f"{prefix}{name}", command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{prefix}{name} ")


def settings_page() -> str:
    """Every setting: variable, default, allowed values, meaning with an example."""
    intro = (
        "# Settings\n\nEvery setting is an environment variable. `local.env`, or the file named by `--env-file` or "
        "`GATA_ENV_FILE`, gives\nthose that the environment does not; an empty value counts as unset. "
        "[`example.env`](../../example.env) is a file to copy.\n"
    )
    titles = ("variable", "default", "allowed", "meaning")
    return _page(intro, ((title, _table(titles, rows)) for title, rows in settings_by_group().items()))


def settings_by_group() -> dict[str, list[Sequence[str]]]:
    """The settings as rows of a table, by group: all that this module knows of how the settings are organized."""
    models = [group.annotation for group in Settings.model_fields.values()]
    fields = {field.alias: field for model in models for field in getattr(model, "model_fields", {}).values()}
    groups: dict[str, list[Sequence[str]]] = {}
    for setting in describe_settings():
        default = "" if setting.default is None else f"`{setting.default}`"
        has_example = setting.example and setting.example != setting.default
        example = f" Example: `{setting.example}`" if has_example else ""
        row = (f"`{setting.variable}`", default, _allowed(fields[setting.variable]), setting.description + example)
        groups.setdefault(setting.group.rstrip("."), []).append(row)
    return groups


def tables_page() -> str:
    """Every table that is written: its columns with types, rules and descriptions."""
    intro = "# Tables\n\nThe schemas that every table is checked against before it is written. Instants are UTC.\n"
    found = (*models(ticket_tables), *models(interaction_tables))
    sections = ((str(model.to_schema().name), f"{_prose(model.__doc__)}\n\n{columns_table(model)}") for model in found)
    return _page(intro, sections)


def raw_files_page() -> str:
    """Every table that raw files are of: what they may have, and the rules by which their rows are validated."""
    intro = (
        "# Raw files\n\nWhat raw files of each table may have, and the rules by their names in quarantine. Of tables "
        "that you declare (TABLE_SPECS), `gata tables NAME` prints the same.\n"
    )
    shop = tables_by_name(map(spec_of, MODELS)).values()
    pages = [describe_table(spec, level=2) for spec in (*TABLES.values(), RAW_TICKETS)]
    # The same name, for the SQLite file of TICKETS_URL.
    pages.append(describe_table(raw_ticket_table(), level=2).replace("## tickets\n", f"## {_OF_STORE}\n", 1))
    pages += [describe_table(spec, level=2) for spec in shop]
    return _page("\n".join([intro, *pages]), ())


def _tables_as_json(tables: Mapping[str, TableSpec]) -> bytes:

    def encode(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: encode(item) for key, item in value.items() if item is not None}
        if isinstance(value, tuple | list):
            return [encode(item) for item in value]
        if isinstance(value, pl.DataType):
            return {"type": type(value).__name__, **encode(vars(value))}
        if isinstance(value, type):
            return f"{value.__module__}:{value.__qualname__}"
        if is_dataclass(value):
            kept = [key.name for key in fields(value) if key.compare and getattr(value, key.name) != key.default]
            return encode({name: getattr(value, name) for name in kept})
        return value

    return json.format(json.encode(encode(tables)))


def columns_table(model: Any) -> str:
    """A model's columns as a table in Markdown."""
    rows = [
        (
            f"`{name}`",
            f"`{column.dtype}`",
            "yes" if column.nullable else "no",
            "; ".join(describe_checks(map(check_of, column.checks), unique=column.unique)),
            column.description or "",
        )
        for name, column in model.to_schema().columns.items()
    ]
    return _table(("column", "type", "null", "rules", "description"), rows)


def models(module: ModuleType) -> list[Any]:
    """The pandera models that a module declares, in its order."""
    declared = [
        value for value in vars(module).values() if inspect.isclass(value) and value.__module__ == module.__name__
    ]
    return [value for value in declared if hasattr(value, "to_schema") and not value.__name__.startswith("_")]


def ticket_table_page() -> str:
    """The ticket table: what is read of it, which types will do, and the statements that create it."""
    intro = (
        "# The ticket table\n\nWhat a table or view `ticket`, or `TICKETS_QUERY`, gives "
        "([Your own tickets](../own-tickets.md) says how). Other columns are ignored.\n"
    )
    read = [column for column in TICKET_TABLE if column.needs]
    titles = ("column", "PostgreSQL", "SQLite", "contains", "in a query", "meaning")
    types = [(needs, ", ".join(f"`{name}`" for name in sorted(accepted))) for needs, accepted in TYPES.items()]
    others = [
        (f"`{column.name}`", f"`{column.postgres}`", column.meaning) for column in TICKET_TABLE if not column.needs
    ]
    sections = (
        ("Columns that are read", f"{_table(titles, [_ticket_column(column) for column in read])}\n{_ANY_NULL}\n"),
        (
            "Types",
            f"By the names of PostgreSQL; a domain counts as its base type.\n\n{_table(('contains', 'types'), types)}",
        ),
        ("Other columns", _table(("column", "PostgreSQL", "meaning"), others)),
        ("The table in PostgreSQL", f"```sql\n{postgres_ddl()}```\n"),
        ("The table in SQLite", f"```sql\n{sqlite_ddl()}```\n"),
    )
    return _page(intro, sections)


_ANY_NULL = (
    "The enums `channel` and `router` are below; plain texts are read too, whatever their values. In a foreign table "
    "each column but\n`id` may be null, and a missing value excludes no ticket. In SQLite an empty text where a number "
    "belongs is a missing number."
)


def _ticket_column(column: TicketColumn) -> Sequence[str]:
    in_query = f"optional; without it {column.without}" if column.without else "required"
    types = (f"`{kind} {column.constraint}`".replace(" `", "`") for kind in (column.postgres, column.sqlite))
    return (f"`{column.name}`", *types, str(column.needs), in_query, column.meaning)


def checks_page() -> str:
    """Every asset check and what it says."""
    groups = {
        title: [(f"`{name}`", description) for name, description in descriptions.items()]
        for title, descriptions in checks_by_group().items()
    }
    intro = "# Checks\n\nThe asset checks, as Dagster's UI names them.\n"
    return _page(intro, ((title, _table(("check", "what it says"), rows)) for title, rows in groups.items()))


def checks_by_group() -> dict[str, Mapping[str, str]]:
    """The checks with their descriptions, by group."""
    overdue = {
        overdue_check.NEWEST_BATCH_IS_NOT_OVERDUE: "The newest prepared batch is not older than OVERDUE_AFTER_HOURS."
    }
    return {
        "Tickets": ticket_checks.DESCRIPTIONS,
        **{f"Curated {table}": check_descriptions(spec) for table, spec in reversed(TABLES.items())},
        "Bronze and offline tickets": {**check_descriptions(RAW_TICKETS), **FRESHNESS_CHECK, **OFFLINE_CHECKS},
        "Published tickets": ONLINE_CHECKS,
        "Interactions": interaction_checks.DESCRIPTIONS,
        "Curated tables of a shop": shop_checks.descriptions(),
        **{f"Shop: {table.name}": prod_checks.descriptions(table) for table in PROD_TABLES},
        "Automation": overdue,
        "Privacy": erasing_job.CHECK_DESCRIPTIONS,
    }


def tables_file() -> bytes:
    """The tables of interactions as JSON, from their pandera models."""
    tables_by_name(map(spec_of, (interaction_tables.CuratedInteractions, interaction_tables.CuratedItems)))
    return _tables_as_json({spec.name: spec for spec in map(read_model, models(interaction_tables))})


def lake_tables_file() -> bytes:
    """The table of raw tickets as JSON, from its pandera model."""
    return _tables_as_json({TICKETS: spec_of(lake_tables.RawTickets)})


PAGES = {
    "commands.md": commands_page,
    "settings.md": settings_page,
    "ticket-table.md": ticket_table_page,
    "tables.md": tables_page,
    "raw-files.md": raw_files_page,
    "checks.md": checks_page,
}


def _page(intro: str, sections: Iterable[tuple[str, str]]) -> str:
    head = f"<!-- Generated by {COMMAND}; do not edit. -->\n\n"
    return head + "\n".join([intro, *(f"## {title}\n\n{text}" for title, text in sections)])


def _option(option: click.Option, context: click.Context) -> Sequence[str]:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    metavar = "" if option.is_flag else option.make_metavar(context)
    help_text, _, noted = (option.help or "").partition(" [default: ")
    default = noted.rstrip("]") or ("" if option.default is None or option.is_flag else f"`{option.default}`")
    return (f"{names} `{metavar}`" if metavar else names), _plain_default(default, option), help_text


def _plain_default(default: str, option: click.Option) -> str:
    if option.required:
        return "required"
    return "" if "Sentinel" in default or "UNSET" in default else default


def _allowed(field: FieldInfo) -> str:
    values = ["yes", "no"] if field.annotation is bool else list(_enum_values(field.annotation))
    if values:
        return ", ".join(f"`{value}`" for value in values)
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [
        f"{sign} {_number(getattr(constraint, name))}"
        for constraint in field.metadata
        for name, sign in signs.items()
        if getattr(constraint, name, None) is not None
    ]
    return ", ".join(bounds)


def _enum_values(annotation: Any) -> Iterator[str]:
    if inspect.isclass(annotation) and issubclass(annotation, Enum):
        yield from (str(member.value) for member in annotation)
    for argument in get_args(annotation):
        if isinstance(argument, str):
            yield argument
        elif argument is not Ellipsis:
            yield from _enum_values(argument)


def _number(value: Any) -> str:
    return "2^63" if value == 2**63 else f"{value:,}" if isinstance(value, int) else str(value)


def _prose(text: str | None) -> str:
    return re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(text or ""))


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    REFERENCE.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page())
    TABLES_FILE.write_bytes(tables_file())
    LAKE_TABLES_FILE.write_bytes(lake_tables_file())
