"""`gata schemas`, with its options; other modules implement its commands, which need the extra `kafka`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gata_assets.cli import options
from gata_assets.cli.exit_codes import DONE, FAILED, exits

if TYPE_CHECKING:
    from gata_assets.settings.model import Settings

# Those of `compatibility.Level`, which is not loaded for a help text.
LEVELS = (
    "NONE",
    "BACKWARD",
    "BACKWARD_TRANSITIVE",
    "FORWARD",
    "FORWARD_TRANSITIVE",
    "FULL",
    "FULL_TRANSITIVE",
)
_LEVEL = click.option(
    "--level",
    type=click.Choice(LEVELS, case_sensitive=False),
    help="The level of compatibility. [default: the subject's in the registry; BACKWARD_TRANSITIVE with --files]",
)
_SUBJECT = click.option(
    "--subject", metavar="NAME", help="The subject in the registry. [default: TABLE-value; with --files, TABLE]"
)
_FILES = click.option(
    "--files",
    type=click.Path(path_type=Path, file_okay=False),
    help="A directory of schemas, TABLE-1.avsc and so on, in place of the registry of the settings.",
)


@click.group(cls=options.Commands)
def schemas() -> None:
    """Show, check and register the Avro schemas of tables."""


@schemas.command("show")
@exits({FAILED: "the table has a column that Avro has no type for"})
@click.argument("table")
@options.AS_JSON
@options.SETTINGS
def show_schema(table: str, as_json: bool, settings: Settings) -> None:
    """Print the Avro schema of TABLE, as it is declared."""
    from gata_assets.cli.schemas import show as command

    command.run(settings, table, as_json=as_json)


@schemas.command("check")
@exits(
    {
        DONE: "every schema may follow the versions of its subject",
        FAILED: "a schema clashes with a version, or the registry cannot be asked",
    }
)
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
@_LEVEL
@_SUBJECT
@_FILES
@options.AS_JSON
@options.SETTINGS
def check_schemas(
    tables: tuple[str, ...],
    level: str | None,
    subject: str | None,
    files: Path | None,
    as_json: bool,
    settings: Settings,
) -> bool:
    """Check the schemas of tables, by default of all, against the versions that are registered; register nothing.

    Names each version and field that a schema clashes with, and why. A subject without a version has no clash.
    """
    if subject and len(tables) != 1:
        raise click.UsageError("--subject is of one TABLE.")
    with _installed():
        from gata_assets.cli.schemas import registered as command

        return command.check_all(settings, tables, level=level, subject=subject, files=files, as_json=as_json)


@schemas.command("register")
@exits(
    {
        DONE: "the schema is a version of the subject, since now or before",
        FAILED: "it clashes with a version, or the registry cannot be asked; nothing was registered",
    }
)
@click.argument("table")
@_SUBJECT
@_LEVEL
@_FILES
@options.AS_JSON
@options.SETTINGS
def register_schema(
    table: str, subject: str | None, level: str | None, files: Path | None, as_json: bool, settings: Settings
) -> None:
    """Register the schema of TABLE, unless it clashes with a version of the subject.

    The check is ours, whatever the registry checks itself. A schema that is a version already changes nothing.
    """
    with _installed():
        from gata_assets.cli.schemas import registered as command

        command.register_one(settings, table, level=level, subject=subject, files=files, as_json=as_json)


@contextmanager
def _installed() -> Iterator[None]:
    """Say how to install what a command imports, where it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("gata_assets"):
            raise
        raise click.ClickException(f"{error.name} is not installed: pip install 'gata-assets[kafka]'.") from None
