"""The command line, `gata`: options, help texts and exit codes. Other modules implement the commands.

Heavy modules are imported inside the commands, so that `gata --help` responds at once.
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gata_assets import __version__
from gata_assets.batches import batches_between, require_existing_batch
from gata_assets.cli import options
from gata_assets.cli.batches.at_end import logging_at_end
from gata_assets.cli.batches.group import batches
from gata_assets.cli.batches.registry import build_pipelines
from gata_assets.cli.events.group import events, trace
from gata_assets.cli.exit_codes import DONE, FAILED, INTERRUPTED, WRONG, exits
from gata_assets.cli.kafka.group import consume, publish
from gata_assets.cli.keys.group import keys
from gata_assets.cli.lake.group import lake
from gata_assets.cli.landed.group import files, quarantine, tenants
from gata_assets.cli.online.group import online
from gata_assets.cli.privacy.group import privacy
from gata_assets.cli.raw_files.group import ingest, mapping, tables
from gata_assets.cli.retention.group import retention
from gata_assets.cli.schemas.group import schemas
from gata_assets.cli.servers.group import data_api, serve, ui
from gata_assets.cli.shop.group import shop
from gata_assets.cli.trust.group import verify
from gata_assets.cli.webhooks.group import webhooks
from gata_assets.errors import BatchIdError

if TYPE_CHECKING:
    from gata_assets.batches import Batch
    from gata_assets.settings.model import Settings


@click.group(cls=options.Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(__version__, prog_name="gata")
def main() -> None:
    """Prepare training data from closed support tickets and from what users do with items, batch by batch."""
    from gata_assets.storage import same_directory, scratch

    # The rows that a killed command left are not kept until another needs space of its own.
    scratch.sweep_scratch()
    same_directory.forget()


_BETWEEN_WRITES = "it was interrupted (Ctrl-C), between two writes; the same command goes on with the rest"


@main.command()
@exits(
    {
        DONE: "everything is written, and all blocking checks have passed",
        FAILED: "a pipeline failed; what the others wrote is complete",
        INTERRUPTED: _BETWEEN_WRITES,
    }
)
@options.batch_argument("batch_id", "BATCH_ID")
@options.ROWS
@options.SUMMARY
@options.ONLY
@options.SETTINGS
def prepare(batch_id: str, rows: int | None, as_table: bool, only: str | None, settings: Settings) -> bool:
    """Prepare the batch BATCH_ID: an hour in UTC as YYYYMMDDHH, for example 2026010203.

    `latest` is the hour that began last; a day, 2026-01-02, is its first hour.

    Builds the training files of tickets and, for each tenant, features and training data of interactions, with the
    curated days that are missing or stale. Tenants are those with raw files, or those of TENANTS. A pipeline that fails
    does not stop the others.
    """
    _existing_batch(batch_id, settings, "BATCH_ID")
    with options.imports_uncollected():
        from gata_assets.cli.batches import prepare as command
        from gata_assets.cli.batches.preview import preview_after_prepare
        from gata_assets.definitions.stores import build_store

    pipelines_of = partial(options.uncollected, build_pipelines, settings, only=only)
    preview = preview_after_prepare(settings, build_store(settings), rows)
    level, at_end = settings.project.log_level, logging_at_end(settings)
    try:
        return command.run(pipelines_of, batch_id, log_level=level, as_table=as_table, preview=preview, at_end=at_end)
    except KeyboardInterrupt:
        click.echo(options.INTERRUPTED_MESSAGE, err=True)
        sys.exit(INTERRUPTED)


def _hours_of_step(_: click.Context, __: click.Parameter, step: str) -> int:
    hours = options.parse_hours(step)
    if hours is None:
        raise click.BadParameter(f"'{step[:40]}' is not a step: hours or days are needed, 24h or 7d.")
    return hours


@main.command()
@exits(
    {
        DONE: "nothing failed",
        FAILED: "a batch or a pipeline failed; the others are complete",
        INTERRUPTED: _BETWEEN_WRITES,
    }
)
@options.batch_argument("first", "FROM")
@options.batch_argument("last", "TO")
@click.option(
    "--every",
    metavar="STEP",
    default="1h",
    callback=_hours_of_step,
    help="The step from batch to batch, in hours or days: 24h, 7d.",
)
@click.option(
    "--plan", is_flag=True, help="Show what would be done, read and written, and how long it takes; do nothing."
)
@click.option(
    "--again", is_flag=True, help="Prepare all batches of the range, also those that are complete in the target."
)
@options.ONLY
@options.AS_JSON
@options.SETTINGS
def backfill(
    first: str, last: str, every: int, plan: bool, again: bool, only: str | None, as_json: bool, settings: Settings
) -> None:
    """Prepare the batches from FROM to TO (included where --every meets it) that are missing or stale in the target.

    Tickets, and interactions of each tenant. A batch that fails stops no other. Run it again after a failure or an
    interruption: it goes on with what is missing.
    """
    start, end = (_existing_batch(batch_id, settings, hint) for batch_id, hint in ((first, "FROM"), (last, "TO")))
    if end < start:
        raise click.BadParameter(f"{last} is before {first}.", param_hint="TO")
    batch_ids = [batch.batch_id for batch in batches_between(start, end, every_hours=every)]
    with options.imports_uncollected():
        from gata_assets.cli.batches import backfill as command

    pipelines_of = partial(options.uncollected, build_pipelines, settings, only=only)
    how: dict[str, Any] = {"log_level": settings.project.log_level, "at_end": logging_at_end(settings)}
    sys.exit(command.run(pipelines_of, batch_ids, again=again, only_plan=plan, as_json=as_json, **how))


@main.group(cls=options.Commands)
def tickets() -> None:
    """Look at the tickets of a batch, on this machine."""


@tickets.command("check")
@exits({DONE: "all tickets can train", FAILED: "a ticket is invalid, or the database cannot be read"})
@options.batch_argument("batch_id", "BATCH_ID")
@options.SUMMARY
@options.SETTINGS
def check_tickets(batch_id: str, as_table: bool, settings: Settings) -> bool:
    """List the tickets of the batch BATCH_ID that cannot train: id, column and rule, without their texts.

    Also counts all tickets in its windows, with those that are left out by reason. Writes nothing.
    """
    _existing_batch(batch_id, settings, "BATCH_ID")
    with options.imports_uncollected():
        from gata_assets.cli import tickets as command

    return command.check(settings, batch_id, as_table=as_table)


@main.command()
@options.SUMMARY
@options.SETTINGS
def labels(as_table: bool, settings: Settings) -> None:
    """Show the labels that are names with their ids, and how many rows the newest general dataset has of each.

    A ticket table may name groups in place of numbers; training files have the ids, which never change.
    """
    with options.imports_uncollected():
        from gata_assets.cli import labels as command

    command.show(settings, as_table=as_table)


for _command in (verify, batches, ingest, mapping, files, quarantine, tenants, tables, events, trace):
    main.add_command(_command)
for _command in (schemas, shop, lake, online, privacy, retention, keys, webhooks):
    main.add_command(_command)
for _command in (ui, serve, consume, publish, data_api):
    main.add_command(_command)

_COUNT = click.IntRange(1, 10**7)


@main.command("sample-data")
@exits({FAILED: "the file exists already, or cannot be written"})
@click.option(
    "--output",
    type=click.Path(dir_okay=False),
    help="The SQLite file to write. [default: gata-sample.sqlite, which is read while TICKETS_URL is unset]",
)
@click.option("--since", type=options.Day(), default="2025-01-01", help="The first day on which tickets closed.")
@click.option(
    "--until",
    type=options.Day(),
    default="2026-01-03",
    help="The last day on which tickets closed; `today` for work with sensors and schedules.",
)
@click.option(
    "--tickets-per-day", type=click.IntRange(1, 5_000), default=40, help="How many tickets close on an average day."
)
@click.option("--users", type=_COUNT, default=10_000, help="How many users.")
@click.option("--items", type=_COUNT, default=5_000, help="How many items.")
@click.option(
    "--interactions",
    type=click.IntRange(0, 10**8),
    default=100_000,
    help="How many interactions there are in 90 days; with 0, only the ticket store.",
)
@click.option(
    "--days",
    type=click.IntRange(1),
    default=93,
    help="On how many days, up to --until and from --since on, there are interactions.",
)
@click.option(
    "--shop-orders",
    type=click.IntRange(0, 10**8),
    default=400,
    help="How many orders a shop has in the two weeks up to --until; with 0, none.",
)
@click.option(
    "--shop-faults",
    type=click.FloatRange(0, 0.2),
    default=0.01,
    help="The share of each fault in the shop: of rows, orders, and files.",
)
@click.option(
    "--lake-tickets",
    type=click.IntRange(0, 10**6),
    default=2_000,
    help="How many tickets a lake has, created in a month up to two weeks before --until; with 0, none.",
)
@click.option("--seed", type=click.IntRange(0), default=0, help="Other seeds, other data.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@options.AS_JSON
@options.SETTINGS
def sample_data(since: date, until: date, **chosen: Any) -> None:
    """Make a ticket store of generated tickets, items, interactions and a lake of a tenant `sample`, and the raw files
    of a shop `sample`, to try things out on.

    What happened on a day is the same whatever days are asked for; of today, only what has happened is written. Tickets
    have realistic imbalance, channels, duplicates, open tickets and tickets that must not train; one in 200 items and
    interactions has a fault.
    """
    with options.imports_uncollected():
        from gata_assets.cli import sample_data as command

    if since > until:
        raise click.UsageError(f"--since {since} is after --until {until}.")
    command.run(first=since, last=until, now=datetime.now(UTC), **chosen)


@main.command()
@exits({DONE: "a batch can be prepared", FAILED: "a batch cannot be prepared as things are"})
@options.ONLY
@options.AS_JSON
@options.SETTINGS
def doctor(only: str | None, as_json: bool, settings: Settings) -> bool:
    """Check settings, ticket database, target, Redis, tenants, tables and engine, and say how to correct what is wrong.

    Writes, reads and deletes one small object under intermediate/doctor/ in the target, and publishes one ticket of
    nobody to Redis (REDIS_URL), which expires in minutes. With --only, what the other pipelines need is not checked.
    """
    from gata_assets.cli import doctor as command

    return command.run(settings, only=only, as_json=as_json)


@main.command("settings")
@exits({FAILED: "", WRONG: "a setting is wrong"})
@click.option("--changed", "only_changed", is_flag=True, help="Only settings that are not the default.")
@options.ENV_FILE
@options.SUMMARY
def show_settings(only_changed: bool, env_file: Path | None, as_table: bool) -> None:
    """Show each setting's effective value, and where it comes from: the environment, a settings file or the default.

    Secrets are not shown.
    """
    from gata_assets.cli import settings as command

    command.show(env_file, only_changed=only_changed, as_table=as_table)


def _existing_batch(batch_id: str, settings: Settings, argument: str) -> Batch:
    try:
        return require_existing_batch(batch_id, first_batch_id=settings.project.first_batch_id, now=datetime.now(UTC))
    except BatchIdError as error:
        raise click.BadParameter(str(error), param_hint=argument) from None
