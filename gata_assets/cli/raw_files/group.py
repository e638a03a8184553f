"""The commands of raw files: `gata ingest`, `gata quarantine` and `gata tables`. See `cli`, to which they belong."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gata_assets.cli.options import ENV_FILE, SUMMARY, imports_uncollected, is_for_people, load
from gata_assets.errors import GataError, SettingsError

_TENANT = click.option("--tenant", required=True, metavar="NAME", help="Whose files they are: 1 to 63 of a-z 0-9 _.")


@click.command()
@click.argument("table", metavar="TABLE")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@_TENANT
@click.option(
    "--format", "file_format", metavar="END", help="The format where the name does not tell it: csv, jsonl.gz."
)
@click.option(
    "--replaces",
    multiple=True,
    metavar="FILE_ID",
    help="The file that this supersedes, and which then counts no more (repeatable).",
)
@SUMMARY
@ENV_FILE
def ingest(
    table: str,
    files: tuple[str, ...],
    tenant: str,
    file_format: str | None,
    replaces: tuple[str, ...],
    summary: str,
    env_file: Path | None,
) -> None:
    """Land files of a table: CSV, JSON Lines or Parquet, also with .gz or .zst.

    TABLE is interactions, items or one that TABLE_SPECS declares.

    FILE may be a directory, or - for stdin. Files are kept as they are; invalid rows go to quarantine with the rules
    that they break. What was sent before is known by its content and not stored again; where another file has
    superseded it, it counts no more until it is sent with --replaces of that one. Exits with 0 when the files landed,
    though rows of them were rejected, with 1 when a file could not be read or has the wrong columns (the others land),
    and with 2 when an argument or a setting is wrong.
    """
    settings = load(env_file)
    _require_tenant(tenant)
    if replaces and len(files) > 1:
        raise click.UsageError("--replaces goes with one file.")
    with imports_uncollected():
        from gata_assets.cli.raw_files import ingest as command
    from gata_assets.errors import RawFileError

    try:
        is_read = command.run(
            settings,
            table,
            files,
            tenant=tenant,
            file_format=file_format,
            replaces=replaces,
            as_table=is_for_people(summary),
        )
    except (RawFileError, SettingsError) as error:
        raise click.UsageError(str(error)) from None
    except GataError as error:
        raise click.ClickException(str(error)) from None
    if not is_read:
        sys.exit(1)


@click.command()
@_TENANT
@click.option("--rule", help="Only rows that break this rule.")
@click.option("--file", "file_id", metavar="FILE_ID", help="Only this file.")
@click.option("--replay", is_flag=True, help="Validate these files again, by today's rules and catalog.")
@SUMMARY
@ENV_FILE
def quarantine(
    tenant: str, rule: str | None, file_id: str | None, replay: bool, summary: str, env_file: Path | None
) -> None:
    """Show how many rows of a tenant break which rule in which file, which files could not be read, and which count by
    rules that were changed since.

    Exits with 1 when a file cannot be read when it is validated again, and with 2 when an argument is wrong.
    """
    settings = load(env_file)
    _require_tenant(tenant)
    with imports_uncollected():
        from gata_assets.cli.raw_files import quarantine as command

    if rule and replay:
        raise click.UsageError("--replay validates whole files again: --file chooses one, --rule does not go with it.")
    try:
        if not replay:
            command.run(settings, tenant, rule=rule, file_id=file_id, as_table=is_for_people(summary))
        elif not command.replay(settings, tenant, file_id=file_id, as_table=is_for_people(summary)):
            sys.exit(1)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    except GataError as error:
        raise click.ClickException(str(error)) from None


@click.command()
@click.argument("table", required=False)
@ENV_FILE
def tables(table: str | None, env_file: Path | None) -> None:
    """List the tables that raw files may be of, those of TABLE_SPECS too; or print the page of one in Markdown: its
    columns, what else raw files may call and write them, and its rules by their names in quarantine.
    """
    settings = load(env_file)
    with imports_uncollected():
        from gata_assets.cli.raw_files import tables as command

    try:
        command.run(settings, table)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None


def _require_tenant(name: str) -> None:
    from gata_assets.settings.values import TENANT_NAME_RULE, is_tenant_name

    if not is_tenant_name(name):
        raise click.BadParameter(f"a name is {TENANT_NAME_RULE}, for example acme.", param_hint="--tenant")
