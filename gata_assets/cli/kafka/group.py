"""`gata publish` and `gata consume`, with their options; other modules implement them."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import click

from gata_assets.cli import options
from gata_assets.cli.exit_codes import DONE, FAILED, INTERRUPTED, exits

if TYPE_CHECKING:
    from gata_assets.settings.model import Settings


@click.command(cls=options.Command)
@exits(
    {
        DONE: "it was ended by SIGTERM or Ctrl-C; with --once, all that waited is produced",
        INTERRUPTED: "it was interrupted before it began",
        FAILED: "the brokers refuse the login or the encryption, the port is taken, or the extra `kafka` is not "
        "installed; with --once, something still waits",
    }
)
@click.option("--once", is_flag=True, help="Produce what waits, and end.")
@click.option(
    "--since",
    type=options.Day(),
    help="Produce files that landed from this day on, now and later. [default: from the first start on]",
)
@click.option(
    "--metrics",
    "metrics_port",
    type=click.IntRange(0, 65535),
    help="Serve counters for Prometheus on this port of KAFKA_METRICS_HOST; 0 takes a free one. [default: none]",
)
@options.AS_JSON
@options.SETTINGS
def publish(once: bool, since: date | None, metrics_port: int | None, as_json: bool, settings: Settings) -> bool:
    """Produce to Kafka what has arrived and what is finished, until Ctrl-C or SIGTERM ends it.

    Single events and the valid rows of files go to the topics of their tables, and a message for each finished dataset
    to those of features and training data; all at least once. While the brokers are away, they wait in the target.
    Needs the extra `kafka`, and KAFKA_BOOTSTRAP_SERVERS.
    """
    with options.imports_uncollected():
        try:
            from gata_assets.cli.kafka import publish as command
        except ModuleNotFoundError as error:
            package = str(error.name).partition(".")[0]
            raise click.ClickException(f"{package} is not installed: pip install 'gata-assets[kafka]'.") from None

    return command.run(settings, once=once, since=since, metrics_port=metrics_port, as_json=as_json)


@click.command(cls=options.Command)
@exits(
    {
        DONE: "it was ended by SIGTERM or Ctrl-C, and what waited is stored; or the gap is written down",
        FAILED: "the brokers refuse the login or the encryption, the target cannot be read at the start, the port is "
        "taken, or the extra `kafka` is not installed; with --accept-gap, the broker cannot be asked",
        INTERRUPTED: "it was interrupted before it consumed",
    }
)
@click.option("--topic", "topics", metavar="TOPIC", multiple=True, help="Only this topic. [default: all with a table]")
@click.option(
    "--accept-gap",
    metavar="TOPIC/PARTITION",
    help="Write down that what the broker has deleted unread of a partition is lost, and end.",
)
@options.AS_JSON
@options.SETTINGS
def consume(topics: tuple[str, ...], accept_gap: str | None, as_json: bool, settings: Settings) -> None:
    """Take the messages of Kafka's topics, until Ctrl-C or SIGTERM ends it: each is durable within a second.

    Several may run in one group. Events can be read at once (`gata events tail`), and become raw files after their
    hour (`gata events rollup`). Prints a line of JSON for what happens to a partition. Needs the extra `kafka`.
    """
    with options.imports_uncollected():
        try:
            from gata_assets.cli.kafka import consume as command
        except ModuleNotFoundError as error:
            package = str(error.name).partition(".")[0]
            raise click.ClickException(f"{package} is not installed: pip install 'gata-assets[kafka]'.") from None

    if accept_gap:
        command.accept_gap(settings, accept_gap, as_json=as_json)
    else:
        command.run(settings, topics, as_json=as_json)
