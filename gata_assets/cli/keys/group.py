"""`gata keys`: the commands for API keys, with their options; another module implements them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from gata_assets.cli import options
from gata_assets.cli.exit_codes import FAILED, exits
from gata_assets.ingestion.keys.scopes import SCOPES, USUAL_SCOPES

if TYPE_CHECKING:
    from gata_assets.settings.model import Settings


@click.group(cls=options.Commands)
def keys() -> None:
    """Create, list and revoke the API keys of tenants that send by HTTP."""


def _lifetime(_: click.Context, __: click.Parameter, text: str | None) -> timedelta | None:
    if text is None:
        return None
    hours = options.parse_hours(text)
    if hours is None:
        raise click.BadParameter(f"'{text[:40]}' is not a time: days or hours are needed, 90d or 12h.")
    return timedelta(hours=hours)


def _prefix(_: click.Context, __: click.Parameter, text: str) -> str:
    # Of a whole key, which has leaked anyway; what is no prefix is not shown, since it may be a part of one.
    found = re.fullmatch(r"(?:gata_)?([0-9a-z]{8})(?:_[0-9A-Za-z]*)?", text, flags=re.ASCII)
    if not found:
        raise click.BadParameter("a prefix is the 8 of 0-9 a-z behind gata_ in a key, as `gata keys list` shows it.")
    return found[1]


@keys.command("create")
@exits({FAILED: "the tenant has two live keys with these scopes, or the target cannot be read or written"})
@options.tenant_option(required=True, whose="Whose key it is")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    default=USUAL_SCOPES,
    help="What it allows, once for each: to send data, to have it validated without landing it, to read what became of "
    "it, to have people erased (privacy); admin allows everything of the tenant. [default: ingest and validate]",
    show_default=False,
)
@click.option(
    "--expires-in",
    "lifetime",
    metavar="TIME",
    callback=_lifetime,
    help="After which it expires, in days or hours: 90d, 12h. [default: it does not expire]",
)
@options.AS_JSON
@options.SETTINGS
def create_key(
    tenant: str, scopes: tuple[str, ...], lifetime: timedelta | None, as_json: bool, settings: Settings
) -> None:
    """Create an API key, and print it: this once, since only its digest is stored.

    stdout has the key alone, for a file or a store of secrets; what it is good for is on stderr. A tenant has at most
    two live keys with the same scopes, so that one can replace the other.
    """
    with options.imports_uncollected():
        from gata_assets.cli.keys import api_keys as command

    command.create(settings, tenant, scopes, lifetime, as_json=as_json)


@keys.command("list")
@exits({FAILED: "the target cannot be read, or has a damaged record"})
@options.tenant_option(required=False, whose="Only keys of this tenant")
@options.SUMMARY
@options.SETTINGS
def list_keys(tenant: str | None, as_table: bool, settings: Settings) -> None:
    """List API keys by their prefixes: whose they are, what they allow, whether they are live, expired or revoked."""
    with options.imports_uncollected():
        from gata_assets.cli.keys import api_keys as command

    command.list_keys(settings, tenant, as_table=as_table)


@keys.command("revoke")
@exits({FAILED: "there is no such key, or the target cannot be read or written"})
@click.argument("prefix", metavar="PREFIX", callback=_prefix)
@options.SUMMARY
@options.SETTINGS
def revoke_key(prefix: str, as_table: bool, settings: Settings) -> None:
    """Revoke the API key with the prefix PREFIX, for good: services refuse it within seconds.

    A key that was revoked before stays as it is.
    """
    with options.imports_uncollected():
        from gata_assets.cli.keys import api_keys as command

    command.revoke(settings, prefix, as_table=as_table)
