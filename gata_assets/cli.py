"""The command line, `gata`: options, help texts and exit codes. What the commands do stands in `commands`.

Everything heavy is imported inside the commands, so that `gata --help` answers at once.
"""

from __future__ import annotations

import atexit
import gc
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gata_assets import __version__
from gata_assets.errors import BatchIdError, GataError, SettingsError

if TYPE_CHECKING:
    from gata_assets.batches import Batch
    from gata_assets.settings import Settings

_ENV_FILE = click.option(
    "--env-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file of settings, below the environment. [default: local.env, where there is one]",
)


_ONLY = click.option(
    "--only",
    type=click.Choice(["tickets", "interactions"]),
    help="One half of a batch. [default: both, where there are tenants]",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gata")
def main() -> None:
    """Prepare machine-learning training data from closed support tickets, batch by batch."""


@main.command()
@click.argument("batch_id")
@click.option(
    "--summary",
    type=click.Choice(["auto", "table", "json"]),
    default="auto",
    show_default=True,
    help="How the summary at the end is shown; auto is a table on a terminal and JSON elsewhere.",
)
@_ONLY
@_ENV_FILE
def prepare(batch_id: str, summary: str, only: str | None, env_file: Path | None) -> None:
    """Prepare the batch BATCH_ID: an hour in UTC as YYYYMMDDHH, for example 2026010203.

    Makes the training files of tickets and, for each of TENANTS, features and training data of interactions, with the
    curated days that are missing or stale. What fails of one does not stop the others. Exits with 0 when everything
    is written and all blocking checks have passed, with 1 when something failed, and with 2 when the batch ID or a
    setting is wrong.
    """
    settings = _load(env_file)
    _existing_batch(batch_id, settings, "BATCH_ID")
    with _imports_uncollected():
        from gata_assets.commands import prepare as command

    try:
        is_prepared = command.run(settings, batch_id, summary=summary, only=only)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    if not is_prepared:
        sys.exit(1)


@main.command()
@click.argument("first", metavar="FROM")
@click.argument("last", metavar="TO")
@click.option(
    "--every",
    metavar="STEP",
    default="1h",
    show_default=True,
    help="The step from batch to batch, in hours or days: 24h, 7d.",
)
@click.option(
    "--plan", is_flag=True, help="Say what would be done, read and written, and how long it takes; do nothing."
)
@click.option(
    "--again", is_flag=True, help="Prepare all batches of the range, also those that are whole in the target."
)
@_ONLY
@_ENV_FILE
def backfill(
    first: str, last: str, every: str, plan: bool, again: bool, only: str | None, env_file: Path | None
) -> None:
    """Prepare the batches from FROM to TO (included where --every meets it) that are not whole in the target.

    Tickets, and interactions of each of TENANTS. A batch that fails stops no other. Run it again after a failure or an
    interruption: it goes on with what is missing. Exits with 0 when nothing failed, with 1 when a batch failed, with 2
    when an argument or a setting is wrong, and with 130 when it was interrupted.
    """
    settings = _load(env_file)
    start, end = (_existing_batch(batch_id, settings, hint) for batch_id, hint in ((first, "FROM"), (last, "TO")))
    if end < start:
        raise click.BadParameter(f"{last} is before {first}.", param_hint="TO")
    step = re.fullmatch(r"([1-9][0-9]{0,3})([hd])", every)
    if not step:
        raise click.BadParameter(
            f"'{every[:40]}' is not a step: hours or days are needed, 24h or 7d.", param_hint="--every"
        )
    every_hours = int(step[1]) * (24 if step[2] == "d" else 1)
    with _imports_uncollected():
        from gata_assets.commands import backfill as command

    try:
        code = command.run(settings, start, end, every_hours=every_hours, again=again, only_plan=plan, only=only)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    except GataError as error:
        raise click.ClickException(str(error)) from None
    sys.exit(code)


_TENANT = click.option("--tenant", required=True, metavar="NAME", help="Whose files they are: 1 to 63 of a-z 0-9 _.")
_SUMMARY = click.option(
    "--summary",
    type=click.Choice(["auto", "table", "json"]),
    default="auto",
    show_default=True,
    help="How what became of files is shown; auto is text on a terminal and lines of JSON elsewhere.",
)


@main.command()
@click.argument("data", type=click.Choice(["interactions", "items"]))
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@_TENANT
@click.option(
    "--format", "file_format", metavar="END", help="The format where the name does not tell it: csv, jsonl.gz."
)
@click.option(
    "--replaces", multiple=True, metavar="FILE_ID", help="An earlier file, which then counts no more (repeatable)."
)
@_SUMMARY
@_ENV_FILE
def ingest(
    data: str,
    files: tuple[str, ...],
    tenant: str,
    file_format: str | None,
    replaces: tuple[str, ...],
    summary: str,
    env_file: Path | None,
) -> None:
    """Take in files of interactions or items: CSV, JSON Lines or Parquet, also with .gz or .zst.

    FILE may be a directory, or - for stdin. Files are kept as they are; bad rows go to quarantine with the rules that
    they break. Exits with 0 when the files landed, though rows of them were bad, with 1 when a file could not be read
    or has the wrong columns (the others land), and with 2 when an argument or a setting is wrong.
    """
    settings = _load(env_file)
    _require_tenant(tenant)
    if replaces and len(files) > 1:
        raise click.UsageError("--replaces goes with one file.")
    with _imports_uncollected():
        from gata_assets.commands import ingest as command
    from gata_assets.errors import RawFileError

    try:
        is_read = command.run(
            settings,
            data,
            files,
            tenant=tenant,
            file_format=file_format,
            replaces=replaces,
            as_table=_is_for_people(summary),
        )
    except RawFileError as error:
        raise click.UsageError(str(error)) from None
    except GataError as error:
        raise click.ClickException(str(error)) from None
    if not is_read:
        sys.exit(1)


@main.command()
@_TENANT
@click.option("--rule", help="Only rows that break this rule.")
@click.option("--file", "file_id", metavar="FILE_ID", help="Only this file.")
@click.option("--replay", is_flag=True, help="Sort the files again, by today's rules and catalogue.")
@_SUMMARY
@_ENV_FILE
def quarantine(
    tenant: str, rule: str | None, file_id: str | None, replay: bool, summary: str, env_file: Path | None
) -> None:
    """Show how many rows of a tenant break which rule in which file, and which files could not be read.

    Exits with 1 when a file cannot be read when it is sorted again, and with 2 when an argument is wrong.
    """
    settings = _load(env_file)
    _require_tenant(tenant)
    with _imports_uncollected():
        from gata_assets.commands import quarantine as command

    if rule and rule not in command.RULES:
        raise click.BadParameter(f"there are: {', '.join(command.RULES)}.", param_hint="--rule")
    if rule and replay:
        raise click.UsageError("--replay sorts whole files again: --file chooses one, --rule does not go with it.")
    try:
        if not replay:
            command.run(settings, tenant, rule=rule, file_id=file_id, as_table=_is_for_people(summary))
        elif not command.replay(settings, tenant, file_id=file_id, as_table=_is_for_people(summary)):
            sys.exit(1)
    except GataError as error:
        raise click.ClickException(str(error)) from None


@main.command("sample-data")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The SQLite file to make. [default: gata-sample.sqlite, which is read while TICKETS_URL is unset]",
)
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d"]),
    default="2025-01-01",
    show_default=True,
    help="The first day on which tickets closed.",
)
@click.option(
    "--until", type=click.DateTime(["%Y-%m-%d"]), help="The last day on which tickets closed. [default: today]"
)
@click.option(
    "--tickets-per-day",
    type=click.IntRange(1, 5_000),
    default=40,
    show_default=True,
    help="How many tickets close on a day, on the average.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Other seeds, other tickets.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def sample_data(
    output: Path | None,
    since: datetime,
    until: datetime | None,
    tickets_per_day: int,
    seed: int,
    force: bool,
) -> None:
    """Make a ticket store of generated tickets to try things out on.

    The tickets of a day are the same whatever days are asked for. They have realistic imbalance, channels,
    duplicates, open tickets and tickets that must not train.
    """
    from gata_assets.commands import sample_data as command

    last = until.date() if until else datetime.now(UTC).date()
    if since.date() > last:
        raise click.UsageError(f"--since {since.date()} is after --until {last}.")
    try:
        command.run(output, since.date(), last, tickets_per_day=tickets_per_day, seed=seed, force=force)
    except GataError as error:
        raise click.ClickException(str(error)) from None


@main.command()
@_ENV_FILE
def doctor(env_file: Path | None) -> None:
    """Check settings, ticket database and target, and say how to put right what is wrong.

    Writes, reads and deletes one small object under intermediate/doctor/ in the target. Exits with 1 when a
    batch could not be prepared as things are.
    """
    settings = _load(env_file)
    from gata_assets.commands import doctor as command

    if not command.run(settings):
        sys.exit(1)


@main.command("data-api")
@click.option("--postgres", required=True, metavar="URL", help="The PostgreSQL database, postgresql://user@host/name.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--sample", is_flag=True, help="Insert sample tickets first (once; ids would clash).")
def data_api(postgres: str, port: int, sample: bool) -> None:
    """Answer the RDS Data API on loopback from a PostgreSQL, for local work.

    Shows the variables that point `gata` at it. Needs the extra `local`.
    """
    try:
        from gata_assets.commands import data_api as command
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is not installed: pip install 'gata-assets[local]'.") from None
    try:
        command.run(postgres, port, with_sample=sample)
    except GataError as error:
        raise click.ClickException(str(error)) from None


def _existing_batch(batch_id: str, settings: Settings, argument: str) -> Batch:
    from gata_assets.batches import require_existing_batch

    try:
        return require_existing_batch(batch_id, first_batch_id=settings.first_batch_id, now=datetime.now(UTC))
    except BatchIdError as error:
        raise click.BadParameter(str(error), param_hint=argument) from None


def _require_tenant(name: str) -> None:
    from gata_assets.setting_values import is_tenant_name

    if not is_tenant_name(name):
        raise click.BadParameter("1 to 63 of a-z 0-9 _ are needed, for example acme.", param_hint="--tenant")


def _is_for_people(summary: str) -> bool:
    return summary == "table" or (summary == "auto" and sys.stdout.isatty())


@contextmanager
def _imports_uncollected() -> Iterator[None]:
    """Import what lives as long as the process without Python's garbage collector walking it, then or at the end.

    260,000 objects in 2,100 modules: of 2.8 s for a small batch, 1.2 s were collections that found nothing.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        atexit.register(gc.freeze)


def _load(env_file: Path | None) -> Settings:
    from gata_assets.settings import load_settings

    try:
        return load_settings(env_file)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
