"""The command line, `gata`: options, help texts and exit codes. Other modules implement the commands.

Heavy modules are imported inside the commands, so that `gata --help` responds at once.
"""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gata_assets import __version__
from gata_assets.batches import batches_between, require_existing_batch
from gata_assets.cli.batches.registry import build_pipelines
from gata_assets.cli.options import ENV_FILE, INTERRUPTED, INTERRUPTED_MESSAGE, ONLY, imports_uncollected, load
from gata_assets.cli.raw_files.group import ingest, quarantine, tables
from gata_assets.errors import BatchIdError, GataError, SettingsError

if TYPE_CHECKING:
    from gata_assets.batches import Batch
    from gata_assets.settings.model import Settings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gata")
def main() -> None:
    """Prepare training data from closed support tickets and from what users do with items, batch by batch."""


@main.command()
@click.argument("batch_id")
@click.option(
    "--summary",
    type=click.Choice(["auto", "table", "json"]),
    default="auto",
    show_default=True,
    help="How the summary at the end is shown; auto is a table on a terminal and JSON elsewhere.",
)
@ONLY
@ENV_FILE
def prepare(batch_id: str, summary: str, only: str | None, env_file: Path | None) -> None:
    """Prepare the batch BATCH_ID: an hour in UTC as YYYYMMDDHH, for example 2026010203.

    Builds the training files of tickets and, for each of TENANTS, features and training data of interactions, with the
    curated days that are missing or stale. A pipeline that fails does not stop the others. Exits with 0 when everything
    is written and all blocking checks have passed, with 1 when something failed, with 2 when the batch ID or a setting
    is wrong, and with 130 when it was interrupted.
    """
    settings = load(env_file)
    _existing_batch(batch_id, settings, "BATCH_ID")
    with imports_uncollected():
        from gata_assets.cli.batches import prepare as command

    try:
        is_prepared = command.run(
            partial(build_pipelines, settings, only=only),
            batch_id,
            log_level=settings.project.log_level,
            summary=summary,
        )
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    except KeyboardInterrupt:
        click.echo(INTERRUPTED_MESSAGE, err=True)
        sys.exit(INTERRUPTED)
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
    "--plan", is_flag=True, help="Show what would be done, read and written, and how long it takes; do nothing."
)
@click.option(
    "--again", is_flag=True, help="Prepare all batches of the range, also those that are complete in the target."
)
@ONLY
@ENV_FILE
def backfill(
    first: str, last: str, every: str, plan: bool, again: bool, only: str | None, env_file: Path | None
) -> None:
    """Prepare the batches from FROM to TO (included where --every meets it) that are missing or stale in the target.

    Tickets, and interactions of each of TENANTS. A batch that fails stops no other. Run it again after a failure or an
    interruption: it goes on with what is missing. Exits with 0 when nothing failed, with 1 when a batch failed, with 2
    when an argument or a setting is wrong, and with 130 when it was interrupted.
    """
    settings = load(env_file)
    start, end = (_existing_batch(batch_id, settings, hint) for batch_id, hint in ((first, "FROM"), (last, "TO")))
    if end < start:
        raise click.BadParameter(f"{last} is before {first}.", param_hint="TO")
    step = re.fullmatch(r"([1-9][0-9]{0,3})([hd])", every)
    if not step:
        raise click.BadParameter(
            f"'{every[:40]}' is not a step: hours or days are needed, 24h or 7d.", param_hint="--every"
        )
    every_hours = int(step[1]) * (24 if step[2] == "d" else 1)
    batch_ids = [batch.batch_id for batch in batches_between(start, end, every_hours=every_hours)]
    with imports_uncollected():
        from gata_assets.cli.batches import backfill as command

    try:
        code = command.run(
            partial(build_pipelines, settings, only=only),
            batch_ids,
            log_level=settings.project.log_level,
            again=again,
            only_plan=plan,
        )
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    except GataError as error:
        raise click.ClickException(str(error)) from None
    sys.exit(code)


main.add_command(ingest)
main.add_command(quarantine)
main.add_command(tables)


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
@click.option("--users", type=click.IntRange(1, 10**7), default=10_000, show_default=True, help="How many users.")
@click.option("--items", type=click.IntRange(1, 10**7), default=5_000, show_default=True, help="How many items.")
@click.option(
    "--interactions",
    type=click.IntRange(0, 10**8),
    default=100_000,
    show_default=True,
    help="How many interactions there are in 90 days; with 0, tickets only.",
)
@click.option(
    "--days",
    type=click.IntRange(1),
    help="On how many days, up to --until, there are interactions. [default: on all from --since]",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Other seeds, other data.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@ENV_FILE
def sample_data(
    output: Path | None,
    since: datetime,
    until: datetime | None,
    tickets_per_day: int,
    users: int,
    items: int,
    interactions: int,
    days: int | None,
    seed: int,
    force: bool,
    env_file: Path | None,
) -> None:
    """Make a ticket store of generated tickets, and items and interactions of a tenant `sample`, to try things out on.

    What happened on a day is the same whatever days are asked for. Tickets have realistic imbalance, channels,
    duplicates, open tickets and tickets that must not train; one in 200 items and interactions has a fault.
    """
    settings = load(env_file)
    with imports_uncollected():
        from gata_assets.cli import sample_data as command

    last = until.date() if until else datetime.now(UTC).date()
    if since.date() > last:
        raise click.UsageError(f"--since {since.date()} is after --until {last}.")
    try:
        sizes = command.Sizes(tickets_per_day, users, items, interactions, days)
        command.run(settings, output, since.date(), last, sizes=sizes, seed=seed, force=force)
    except GataError as error:
        raise click.ClickException(str(error)) from None


@main.command()
@ENV_FILE
def doctor(env_file: Path | None) -> None:
    """Check settings, ticket database, target, tenants and engine, and say how to put right what is wrong.

    Writes, reads and deletes one small object under intermediate/doctor/ in the target. Exits with 1 when a
    batch could not be prepared as things are.
    """
    settings = load(env_file)
    from gata_assets.cli import doctor as command

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
        from gata_assets.cli import data_api as command
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is not installed: pip install 'gata-assets[local]'.") from None
    try:
        command.run(postgres, port, with_sample=sample)
    except GataError as error:
        raise click.ClickException(str(error)) from None


def _existing_batch(batch_id: str, settings: Settings, argument: str) -> Batch:
    try:
        return require_existing_batch(batch_id, first_batch_id=settings.project.first_batch_id, now=datetime.now(UTC))
    except BatchIdError as error:
        raise click.BadParameter(str(error), param_hint=argument) from None
