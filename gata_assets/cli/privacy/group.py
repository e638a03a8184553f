"""`gata privacy`, with its options; other modules implement it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gata_assets.cli import options
from gata_assets.cli.exit_codes import DONE, FAILED, exits

if TYPE_CHECKING:
    from gata_assets.settings.model import Settings

_TENANT = options.tenant_option(required=True, or_shop=True, whose="Whose people they are")
_SUBJECTS_FILE = click.option(
    "--subjects-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
    help="A file with an id in each line, - for standard input: other users of a machine see a command's options.",
)

_TICKETS = click.option(
    "--ticket",
    "tickets",
    type=click.IntRange(-(10**18) + 1, 10**18 - 1),
    multiple=True,
    metavar="ID",
    help="A ticket of theirs, of those that batches are prepared from; may be repeated.",
)
_TICKETS_FILE = click.option(
    "--tickets-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
    help="A file with the id of a ticket of theirs in each line, - for standard input.",
)


@click.group(cls=options.Commands)
def privacy() -> None:
    """Erase people from a tenant's data, export what there is of a person, and show what was asked and done."""


@privacy.command()
@exits(
    {
        DONE: "nothing of theirs is left",
        FAILED: "something of theirs is left, which is shown; or it was cut off: the same --request goes on",
    }
)
@_TENANT
@click.option("--subject", "subjects", multiple=True, metavar="ID", help="Who, as tables name them; may be repeated.")
@_SUBJECTS_FILE
@_TICKETS
@_TICKETS_FILE
@click.option(
    "--request",
    metavar="NAME",
    help="The request's name; that of one that was cut off goes on with it, also without ids. [default: a new one, "
    "which is shown]",
)
@options.SUMMARY
@options.SETTINGS
def erase(
    tenant: str,
    subjects: tuple[str, ...],
    subjects_file: Path | None,
    tickets: tuple[int, ...],
    tickets_file: Path | None,
    request: str | None,
    as_table: bool,
    settings: Settings,
) -> bool:
    """Erase people of a tenant from raw files, staged and rejected rows, curated tables, features and training data.

    From the first moment on, nobody reads what precedes the request, and nothing of it comes back by another delivery,
    a replay or a backfill. Then everything that exists in the target is read and searched. PRIVACY_KEYS is needed. The
    request is stored with its ids sealed until nothing of theirs is left: if the command is killed, it or the job
    erase_people goes on.
    """
    with options.imports_uncollected():
        from gata_assets.cli.privacy import erasing as command

    return command.run(
        settings,
        tenant,
        subjects,
        subjects_file,
        request,
        tickets=tickets,
        tickets_file=tickets_file,
        as_table=as_table,
    )


@privacy.command()
@exits(
    {
        DONE: "whatever has something of theirs is in the archive",
        FAILED: "something of theirs is not in the archive, which it says, and which is shown; or there is no archive",
    }
)
@_TENANT
@click.option(
    "--subject",
    "subjects",
    multiple=True,
    metavar="ID",
    help="Who, as tables name them; repeated for all ids of the same person: each person has a request of their own.",
)
@_SUBJECTS_FILE
@_TICKETS
@_TICKETS_FILE
@click.option("--request", metavar="NAME", help="The request's name in the log. [default: a new one, which is shown]")
@click.option(
    "--to",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE.zip",
    help="The archive, which only its owner may read; a file that is there is not replaced.",
)
@options.SUMMARY
@options.SETTINGS
def export(
    tenant: str,
    subjects: tuple[str, ...],
    subjects_file: Path | None,
    tickets: tuple[int, ...],
    tickets_file: Path | None,
    request: str | None,
    to: Path,
    as_table: bool,
    settings: Settings,
) -> bool:
    """Write all that there is of a person of a tenant to a zip: a file of JSON Lines for each place, and a manifest.

    What was not erased is there, whether readers get it or not. Then everything that exists in the target is read and
    searched: what has something of theirs and is not in the archive is listed in it.
    """
    with options.imports_uncollected():
        from gata_assets.cli.privacy import exporting as command

    return command.run(
        settings,
        tenant,
        subjects,
        subjects_file,
        request,
        to,
        tickets=tickets,
        tickets_file=tickets_file,
        as_table=as_table,
    )


@privacy.command("requests")
@exits({FAILED: "a request is overdue or cannot be read, which is shown; or the target cannot be read"})
@_TENANT
@options.SUMMARY
@options.SETTINGS
def show_requests(tenant: str, as_table: bool, settings: Settings) -> bool:
    """List the requests to erase people of a tenant: open and completed, with their deadlines, and nobody's ids."""
    with options.imports_uncollected():
        from gata_assets.cli.privacy import listing as command

    return command.run(settings, tenant, as_table=as_table)


@privacy.command("log")
@_TENANT
@click.option("--request", metavar="NAME", help="Only of this request.")
@options.SUMMARY
@options.SETTINGS
def show_log(tenant: str, request: str | None, as_table: bool, settings: Settings) -> None:
    """Show what was erased of a tenant, step by step, once the log is verified: each entry names the one before."""
    with options.imports_uncollected():
        from gata_assets.cli.privacy import logged as command

    command.run(settings, tenant, request, as_table=as_table)


@privacy.command()
@exits(
    {
        DONE: "the request is complete",
        FAILED: "the request is incomplete, or unknown; or a file is not as it was written, or the log is broken",
    }
)
@_TENANT
@click.argument("request")
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "json"]),
    default="html",
    show_default=True,
    help="A page that can be sent and printed, or JSON.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--for",
    "reader",
    type=click.Choice(["requester", "auditor"]),
    default="requester",
    show_default=True,
    help="Who reads it: an auditor gets keys and digests too, and the tenant's files are verified.",
)
@options.SETTINGS
def report(tenant: str, request: str, form: str, as_json: bool, reader: str, settings: Settings) -> bool:
    """Print a report on a request: what was asked for, removed and searched, and what is not erased. It names nobody.

    It is from the verified log and the stored manifests. The batches whose models were trained with the people are
    among it.
    """
    with options.imports_uncollected():
        from gata_assets.cli.privacy import reporting as command

    return command.run(
        settings, tenant, request, as_page=form == "html" and not as_json, for_auditor=reader == "auditor"
    )
