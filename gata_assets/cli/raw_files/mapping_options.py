"""The options that say how raw files differ from what their table accepts. `mapping_words` says what they mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any

import click


@dataclass(frozen=True)
class MappingOptions:
    """The options as they were given."""

    preset: str | None = None
    saved: str | None = None
    file: Path | None = None
    columns: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    substitutes: tuple[str, ...] = ()
    types: str | None = None
    timestamps: tuple[str, ...] = ()
    separator: str | None = None
    header: str | None = None
    ids: str | None = None
    rating_scale: str | None = None
    has_typed_names: bool = False
    ignores_unknown: bool = False
    discards_invalid: bool = False
    endings: tuple[str, ...] = ()

    @property
    def is_given(self) -> bool:
        """Whether any of them is."""
        return self != MappingOptions()


_OPTIONS = (
    click.option("--preset", metavar="NAME", help="The mapping of a known format: see `gata mapping presets`."),
    click.option("--mapping", "saved", metavar="NAME", help="A mapping saved by `gata mapping save`."),
    click.option(
        "--mapping-file",
        "file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="A mapping as JSON, as `gata mapping show` prints it.",
    ),
    click.option(
        "--map",
        "columns",
        multiple=True,
        metavar="COLUMN=NAME",
        help="The name that the file gives a column (repeatable): user_id=userId.",
    ),
    click.option(
        "--constant",
        "constants",
        multiple=True,
        metavar="COLUMN=VALUE",
        help="The value of a column that the file does not have (repeatable): interaction_type=like.",
    ),
    click.option(
        "--leave-out",
        "left_out",
        multiple=True,
        metavar="COLUMN",
        help="A column that is not read, though the file has its name (repeatable): description.",
    ),
    click.option(
        "--substitute",
        "substitutes",
        multiple=True,
        metavar="COLUMN=OTHER",
        help="The column whose value it has where the file has none of its own (repeatable): title=item_id.",
    ),
    click.option("--types", metavar="WORD=TYPE,...", help="The types by the file's words: cart=add_to_cart,pv=view."),
    click.option(
        "--timestamps",
        multiple=True,
        metavar="FORMAT",
        help="How times are written (repeatable): iso8601, day, epoch_s, epoch_ms or a pattern: '%d.%m.%Y %H:%M'.",
    ),
    click.option(
        "--separator", metavar="CHARACTER", help="Between columns of CSV: a character, or tab, semicolon, bar, colon."
    ),
    click.option("--header", metavar="NAME,...", help="The columns of a CSV file without a header."),
    click.option(
        "--typed-names",
        "has_typed_names",
        is_flag=True,
        help="The file's names have types behind them: user_id:token.",
    ),
    click.option(
        "--ids", type=click.Choice(["integer"]), help="Ids are whole numbers, also those written as decimals: 1.0 is 1."
    ),
    click.option("--rating-scale", metavar="LOW:HIGH", help="The scale of ratings, converted to 1 to 5: 0.5:5."),
    click.option(
        "--ignore-unknown", "ignores_unknown", is_flag=True, help="Ignore columns that the table does not have."
    ),
    click.option(
        "--discard-invalid",
        "discards_invalid",
        is_flag=True,
        help="An invalid value of a column that may be empty (a price) costs the value, counted, and not its row.",
    ),
    click.option(
        "--ending",
        "endings",
        multiple=True,
        metavar="END=FORMAT",
        help="How files with another ending are written (repeatable): dat=csv.",
    ),
)


def takes_mapping(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which gets them as `mapping`, a `MappingOptions`."""
    names = [field.name for field in fields(MappingOptions)]

    @wraps(command)
    def wrapped(*arguments: Any, **given: Any) -> Any:
        options = MappingOptions(**{name: given.pop(name) for name in names})
        return command(*arguments, mapping=options, **given)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped
