"""`gata ui`, `gata serve` and `gata data-api`, with their options; other modules implement them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gata_assets.cli import options
from gata_assets.cli.exit_codes import DONE, FAILED, INTERRUPTED, exits

if TYPE_CHECKING:
    from gata_assets.settings.model import Settings


@click.command(cls=options.Command)
@exits(
    {
        DONE: "it was ended by Ctrl-C, SIGTERM or SIGHUP",
        FAILED: "the port is taken, or Dagster ended by itself",
        INTERRUPTED: "it was interrupted before it served",
    }
)
@click.option("--port", type=click.IntRange(0, 65535), default=3000, help="0 takes a free one.")
@click.option(
    "--host",
    default="127.0.0.1",
    help="The address to listen on. Whoever reaches it may start runs: there is no login.",
)
@options.ENV_FILE
@options.AS_JSON
def ui(port: int, host: str, env_file: Path | None, as_json: bool) -> bool:
    """Open Dagster's UI and daemon on the settings of this directory, until Ctrl-C ends them.

    Runs and schedules are kept in the instance of DAGSTER_HOME or, while that is unset, of .dagster/ in this directory,
    which is created if needed. Shows the address once the UI responds; Dagster's own output goes to stderr.
    """
    from gata_assets.cli.servers import ui as command

    return command.run(port, host=host, env_file=env_file, as_json=as_json)


@click.command(cls=options.Command)
@exits(
    {
        DONE: "it was ended by SIGTERM or Ctrl-C; requests at work were answered, and events that waited are stored",
        FAILED: "the address cannot be listened on, or the extra `service` is not installed",
        INTERRUPTED: "it was interrupted before it served",
    }
)
@click.option("--host", help="The address to listen on. [default: SERVICE_HOST]")
@click.option("--port", type=click.IntRange(0, 65535), help="0 takes a free one. [default: SERVICE_PORT]")
@options.AS_JSON
@options.SETTINGS
def serve(host: str | None, port: int | None, as_json: bool, settings: Settings) -> None:
    """Take rows, files and single events of tenants by HTTP, until Ctrl-C or SIGTERM ends it.

    Who sends has an API key (`gata keys create`). Rows land as raw files and are validated at once; an event is durable
    when it is answered. Prints a line of JSON for each request. Needs the extra `service`.
    """
    with options.imports_uncollected():
        try:
            from gata_assets.cli.servers import service as command
        except ModuleNotFoundError as error:
            package = str(error.name).partition(".")[0]
            raise click.ClickException(f"{package} is not installed: pip install 'gata-assets[service]'.") from None

    command.run(settings, host=host, port=port, as_json=as_json)


def _token(_: click.Context, __: click.Parameter, token: str | None) -> str | None:
    if token is not None and not re.fullmatch(r"[!-~]{20,200}", token):
        raise click.BadParameter("it needs 20 to 200 characters of ASCII without blanks: `openssl rand -hex 32`.")
    return token


@click.command("data-api", cls=options.Command)
@exits(
    {
        DONE: "it was ended by Ctrl-C",
        FAILED: "the port is taken, or the database cannot be used",
        INTERRUPTED: "it was interrupted before it served",
    }
)
@click.option("--postgres", required=True, metavar="URL", help="The PostgreSQL database, postgresql://user@host/name.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", help="The address to listen on.")
@click.option(
    "--allow-remote",
    is_flag=True,
    help="Allow a --host that other machines can reach. The connection is not encrypted.",
)
@click.option(
    "--token",
    envvar="GATA_DATA_API_TOKEN",
    show_envvar=True,
    metavar="SECRET",
    callback=_token,
    help="The secret key that clients sign with (AWS_SECRET_ACCESS_KEY); in the variable, no list of processes shows "
    "it. [default: a new one at each start]",
)
@click.option("--sample", is_flag=True, help="Insert sample tickets first (once; ids would clash).")
@options.AS_JSON
def data_api(
    postgres: str, port: int, host: str, allow_remote: bool, token: str | None, sample: bool, as_json: bool
) -> None:
    """Answer the RDS Data API on loopback from a PostgreSQL, for local work.

    Shows the variables that point `gata` at it, with the secret key that each request must be signed with. Statements
    run with the rights of the PostgreSQL user. Needs the extra `local`.
    """
    try:
        from gata_assets.cli.servers import data_api as command
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is not installed: pip install 'gata-assets[local]'.") from None
    if not (allow_remote or command.is_loopback(host)):
        raise click.BadParameter(
            f"{host[:80]} is not an address of loopback: other machines could reach the database through it. Leave it "
            "out, or add --allow-remote.",
            param_hint="--host",
        )
    command.run(
        postgres,
        port,
        with_sample=sample,
        host=host,
        secret_key=token,
        allow_remote=allow_remote,
        as_json=as_json,
    )
