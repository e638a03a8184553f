"""What the exit codes of commands mean, as data that help texts and the reference show; and errors as exit codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from gata_assets.errors import EventError, GataError, MappingError, PrivacyKeyError, SettingsError

DONE, FAILED, WRONG, QUEUED, INTERRUPTED = 0, 1, 2, 3, 130
_MEANINGS = {
    DONE: "it is done",
    FAILED: "it failed, for the reason that is shown",
    WRONG: "an argument or a setting is wrong; nothing was started",
    INTERRUPTED: "it was interrupted (Ctrl-C)",
}
_OWN_MEANINGS = "__exit_codes__"
T = TypeVar("T", bound=Callable[..., Any])


def exits(meanings: Mapping[int, str]) -> Callable[[T], T]:
    """What exit codes of a command mean, where that differs from what they mean of all; empty for one it never has."""

    def declare(command: T) -> T:
        setattr(command, _OWN_MEANINGS, meanings)
        return command

    return declare


class HasExitCodes(click.Command):
    """A command whose help shows its exit codes."""

    @property
    def exit_codes(self) -> Mapping[int, str]:
        """What each of its exit codes means."""
        found = _MEANINGS | getattr(self.callback, _OWN_MEANINGS, {})
        return {code: meaning for code, meaning in sorted(found.items()) if meaning}

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See click.Command."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in self.exit_codes.items()])


@contextmanager
def errors_as_exit_codes(context: click.Context) -> Iterator[None]:
    """Show an error of ours by its message alone: with 2 for a wrong setting, mapping or event, with 1 for any
    other; and an interruption with 130.
    """
    try:
        yield
    except (SettingsError, MappingError, EventError, PrivacyKeyError) as error:
        raise click.UsageError(str(error), context) from None
    except GataError as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        context.exit(INTERRUPTED)
