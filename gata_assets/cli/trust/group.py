"""`gata verify`, with its options; another module implements it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gata_assets.cli import options
from gata_assets.cli.exit_codes import DONE, FAILED, exits

if TYPE_CHECKING:
    from gata_assets.settings.model import Settings


@click.command(cls=options.Command)
@exits(
    {
        DONE: "every object that is named is there, and is what it was",
        FAILED: "an object differs, is missing or damaged; or the target cannot be read, or has no object",
    }
)
@options.TENANTS
@options.SUMMARY
@options.SETTINGS
def verify(tenants: tuple[str, ...], as_table: bool, settings: Settings) -> bool:
    """Read every object of the target again that a manifest or a report names, and show what is not as it was written.

    Compares SHA-256, bytes and rows; segments and other objects that nothing names prove themselves. Counts what
    nothing names. Writes nothing, and may run while others write.
    """
    with options.imports_uncollected():
        from gata_assets.cli.trust import verifying as command

    return command.run(settings, tenants, as_table=as_table)
