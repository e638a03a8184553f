"""`gata shop`, with its options; other modules implement its commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from gata_assets.cli import options
from gata_assets.cli.exit_codes import DONE, FAILED, QUEUED, WRONG, exits

if TYPE_CHECKING:
    from gata_assets.settings.model import Settings

_METRICS_FILE = click.option(
    "--metrics-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file for Prometheus's textfile collector (*.prom), whose counters are added to.",
)


@click.group(cls=options.Commands)
def shop() -> None:
    """Process the files of shops event by event, without Dagster."""


@shop.command()
@exits(
    {
        DONE: "it is processed (rejected rows are counted), or nothing is to be done for this object",
        FAILED: "it failed and is in no queue, or a topic took no message: the same event has to be processed again",
        WRONG: "an argument or a setting is wrong, or the event cannot be read; nothing was started",
        QUEUED: "it failed for good, and is in the dead-letter queue",
    }
)
@click.argument("event_file", metavar="EVENT", required=False, type=click.File("rb"))
@click.option("--event", "event_text", metavar="JSON", help="The event itself, in place of a file.")
@click.option("--bucket", help="The event's bucket, with --key in place of a file.")
@click.option("--key", help="The event's key, as S3 has it.")
@click.option("--request-id", metavar="ID", help="The event's id, with --bucket and --key. [default: a new one]")
@_METRICS_FILE
@options.SUMMARY
@options.SETTINGS
def process(
    event_file: IO[bytes] | None,
    event_text: str | None,
    bucket: str | None,
    key: str | None,
    request_id: str | None,
    metrics_file: Path | None,
    as_table: bool,
    settings: Settings,
) -> None:
    """Process the event EVENT: a file of JSON, or - for the standard input.

    An event says which object was stored: {"bucket": …, "key": …, "event_type": …}, EventBridge's "Object Created", or
    a message of the dead-letter queue. A raw file is taken to curated, a manifest of curated to prod; a source's folder
    of curated, or EventBridge's "Scheduled Event", has rows quarantined that have waited long enough; for other objects
    nothing is done. A fault of the environment is tried three times.
    """
    if (bucket is None) != (key is None):
        raise click.UsageError("--bucket and --key go together.")
    if request_id is not None and key is None:
        raise click.UsageError("--request-id goes with --bucket and --key.")
    if sum(given is not None for given in (event_file, event_text, key)) != 1:
        raise click.UsageError("Give one event: EVENT, --event, or --bucket with --key.")
    with options.imports_uncollected():
        from gata_assets.cli.shop import events as command

    if bucket is not None and key is not None:
        event = command.event_of(bucket, key, request_id)
    else:
        event = command.read_event(event_file, event_text)
    sys.exit(command.process(settings, event, metrics_file=metrics_file, as_table=as_table))


@shop.command()
@exits(
    {
        DONE: "each message is processed and deleted, or the queue is empty",
        FAILED: "a message failed again, cannot be read or notified nobody, and stays in the queue; or the queue fails",
    }
)
@click.option("--limit", type=click.IntRange(1), help="Stop after so many messages. [default: when the queue is empty]")
@click.option(
    "--dry-run", is_flag=True, help="Count the messages by stage and class of the error, and leave them there."
)
@_METRICS_FILE
@options.SUMMARY
@options.SETTINGS
def replay(limit: int | None, dry_run: bool, metrics_file: Path | None, as_table: bool, settings: Settings) -> None:
    """Process again what is in the dead-letter queue, each message deleted after it was processed.

    What fails again stays there, and so does what cannot be read.
    """
    with options.imports_uncollected():
        from gata_assets.cli.shop import events as command

    if dry_run:
        command.list_queue(settings, most=limit, as_table=as_table)
        return
    sys.exit(command.replay(settings, most=limit, metrics_file=metrics_file, as_table=as_table))
