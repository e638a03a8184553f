"""Shared by commands: options, their classes, imports without garbage collection. No command belongs here."""

from __future__ import annotations

import atexit
import gc
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gata_assets.batches import find_batch_id, parse_batch_id
from gata_assets.cli.batches.registry import PIPELINES
from gata_assets.cli.exit_codes import FAILED, HasExitCodes, errors_as_exit_codes
from gata_assets.errors import BatchIdError, SettingsError

if TYPE_CHECKING:
    from gata_assets.settings.model import Settings

_AS_JSON = "gata_assets.as_json"
T = TypeVar("T", bound=Callable[..., Any])
# The last line of a command that writes batch by batch, if it was interrupted.
INTERRUPTED_MESSAGE = "Interrupted. What is written is complete; the same command goes on with the rest."


# More than any first sentence: lists of commands wrap it rather than cut it.
_WHOLE_SENTENCE = 1_000


class Command(HasExitCodes):
    """A command that returns whether it succeeded (None: it did); see `exit_codes`."""

    def invoke(self, ctx: click.Context) -> Any:
        """See click.Command."""
        with errors_as_exit_codes(ctx):
            if super().invoke(ctx) is False:
                ctx.exit(FAILED)

    def get_short_help_str(self, limit: int = _WHOLE_SENTENCE) -> str:  # noqa: ARG002 (click's)
        """The first sentence of the help, not cut."""
        return super().get_short_help_str(_WHOLE_SENTENCE)


class Commands(click.Group):
    """A group whose commands are `Command`s."""

    command_class = Command

    def invoke(self, ctx: click.Context) -> Any:
        """See click.Command; also of what its commands do before they are invoked."""
        with errors_as_exit_codes(ctx):
            return super().invoke(ctx)

    def get_short_help_str(self, limit: int = _WHOLE_SENTENCE) -> str:  # noqa: ARG002 (click's)
        """The first sentence of the help, not cut."""
        return super().get_short_help_str(_WHOLE_SENTENCE)


def parse_hours(text: str) -> int | None:
    """How many hours a text of hours or days says, 24h or 7d; None if it says none."""
    found = re.fullmatch(r"([1-9][0-9]{0,3})([hd])", text, flags=re.ASCII)
    return int(found[1]) * (24 if found[2] == "d" else 1) if found else None


def _batch_id(_: click.Context, __: click.Parameter, text: str) -> str:
    batch_id = find_batch_id(text, now=datetime.now(UTC))
    try:
        return parse_batch_id(batch_id).batch_id
    except BatchIdError as error:
        raise click.BadParameter(f"{error} `latest` and a day, 2026-01-02, are taken too.") from None


def batch_argument(name: str, metavar: str) -> Callable[..., Any]:
    """An argument for a batch: its ID, `latest` for the hour that began last, or a day for its first hour."""
    return click.argument(name, metavar=metavar, callback=_batch_id)


class Day(click.ParamType[date]):
    """A day as 2026-01-03, or `today` for that of now in UTC."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """See click.ParamType."""
        if isinstance(value, date):
            return value
        try:
            return datetime.now(UTC).date() if value == "today" else date.fromisoformat(value)
        except ValueError:
            self.fail(f"'{value[:40]}' is not a day: 2026-01-03, or today.", param, ctx)


# What the source of a shop has before its name, where a tenant may be named too.
SHOP_PREFIX = "shop/"


def _tenant_name(_: click.Context, __: click.Parameter, name: str | None) -> str | None:
    from gata_assets.curation.layout import is_tenant_name
    from gata_assets.settings.values import TENANT_NAME_RULE

    if name is not None and not is_tenant_name(name):
        raise click.BadParameter(f"a name is {TENANT_NAME_RULE}, for example acme.")
    return name


def _owner_names(context: click.Context, parameter: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        _owner_name(context, parameter, name)
    return names


def _owner_name(context: click.Context, parameter: click.Parameter, name: str | None) -> str | None:
    """The name of a tenant, or of a shop behind `shop/`."""
    if name is not None:
        _tenant_name(context, parameter, name.removeprefix(SHOP_PREFIX))
    return name


# Of commands for any number of tenants and shops, all of the target without it.
TENANTS = click.option(
    "--tenant",
    "tenants",
    multiple=True,
    metavar="NAME",
    callback=_owner_names,
    help=f"Only this tenant's objects, or a shop's, {SHOP_PREFIX}NAME; may be repeated. [default: all of the target]",
)


def tenant_option(
    *, required: bool, or_shop: bool = False, whose: str = "Whose files they are"
) -> Callable[[Any], Any]:
    """The option that names a tenant, or with `or_shop` also the source of a shop; `whose` begins its help."""
    return click.option(
        "--tenant",
        required=required,
        metavar="NAME",
        callback=_owner_name if or_shop else _tenant_name,
        help=f"{whose}: 1 to 63 of a-z 0-9 _" + (f"; of a shop's source, {SHOP_PREFIX}NAME." if or_shop else "."),
    )


def _is_for_people(context: click.Context, _: click.Parameter, value: str) -> bool:
    return value == "table" or (value == "auto" and not context.meta.get(_AS_JSON) and sys.stdout.isatty())


def _note_json(context: click.Context, _: click.Parameter, value: bool) -> None:
    context.meta[_AS_JSON] = value


def _load(_: click.Context, __: click.Parameter, env_file: Path | None) -> Settings:
    from gata_assets.settings.model import load_settings

    try:
        return load_settings(env_file)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None


def _env_file(name: str, callback: Callable[..., Any] | None = None) -> Callable[..., Any]:
    return click.option(
        "--env-file",
        name,
        type=click.Path(path_type=Path, dir_okay=False),
        callback=callback,
        help="A file of settings, below the environment. [default: local.env, where there is one]",
    )


SETTINGS = _env_file("settings", _load)
# Of commands that read the settings themselves.
ENV_FILE = _env_file("env_file")
ONLY = click.option(
    "--only", type=click.Choice(list(PIPELINES)), help="One pipeline alone. [default: all that the settings have]"
)
_SUMMARY = click.option(
    "--summary",
    "as_table",
    type=click.Choice(["auto", "table", "json"]),
    default="auto",
    callback=_is_for_people,
    help="How the result is shown; auto is text on a terminal and JSON elsewhere.",
)
_JSON = click.option(
    "--json", is_flag=True, is_eager=True, expose_value=False, callback=_note_json, help="The same as --summary json."
)

ROWS = click.option(
    "--rows",
    type=click.IntRange(0, 100),
    help="Show so many rows of training data, to people only: at most PREVIEW_ROWS, of the sample any. "
    "[default: PREVIEW_ROWS]",
)

# Of commands whose result is text even where there is no terminal.
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print lines of JSON.")


def SUMMARY(command: T) -> T:  # noqa: N802 (the name of an option, as those above)
    """The options of how the result is shown."""
    return _SUMMARY(_JSON(command))


@contextmanager
def imports_uncollected() -> Iterator[None]:
    """Import modules that live as long as the process without garbage collection over them, then or at the end.

    260,000 objects in 2,100 modules: 1.2 s of the 2.8 s of a small batch were collections that found nothing.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        atexit.register(gc.freeze)


def uncollected(build: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Call a function that imports much, see `imports_uncollected`."""
    with imports_uncollected():
        return build(*arguments, **named)
