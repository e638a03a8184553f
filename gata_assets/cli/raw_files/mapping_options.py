"""The options that say how raw files differ from what their table accepts, and the mapping that they amount to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any

import click
import polars as pl

from gata_assets.errors import MappingError
from gata_assets.tables.raw_mapping import (
    NO_MAPPING,
    SEPARATORS,
    RawMapping,
    decode_mapping,
    mapping_from,
    merge_mappings,
)
from gata_assets.tables.spec import TableSpec


@dataclass(frozen=True)
class MappingOptions:
    """The options as they were given; `as_mapping` says what they mean for a table."""

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

    def as_mapping(self, spec: TableSpec) -> RawMapping:
        """What they say of a table's files, besides a preset or a saved mapping; raises MappingError."""
        columns: dict[str, tuple[str, ...]] = dict.fromkeys(self.left_out, ())
        for column, name in _pairs("--map", self.columns):
            columns[column] = (*columns.get(column, ()), name)
        found = {
            "columns": columns,
            "constants": dict(_pairs("--constant", self.constants)),
            "substitutes": dict(_pairs("--substitute", self.substitutes)),
            "words": {_typed_column(spec): dict(_pairs("--types", self.types.split(",")))} if self.types else {},
            "instants": dict.fromkeys(_instant_columns(spec), self.timestamps) if self.timestamps else {},
            "header": tuple(name.strip() for name in self.header.split(",")) if self.header else (),
            "whole_numbers": _id_columns(spec) if self.ids else (),
            "scales": {"rating": _scale(self.rating_scale)} if self.rating_scale else {},
            "has_typed_names": self.has_typed_names,
            "ignores_unknown": self.ignores_unknown,
            "discards_invalid": self.discards_invalid,
            "endings": {end.lower().lstrip("."): form for end, form in _pairs("--ending", self.endings)},
            **({"separator": self.separator} if self.separator else {}),
        }
        return merge_mappings(self._read_file(), mapping_from(found))

    def _read_file(self) -> RawMapping:
        if self.file is None:
            return NO_MAPPING
        try:
            return decode_mapping(self.file.read_bytes())
        except OSError as error:
            raise MappingError(f"{self.file} cannot be read: {error.strerror}.") from None
        except MappingError as error:
            raise MappingError(f"{self.file}: {error}") from None


def options_of(mapping: RawMapping, spec: TableSpec) -> list[str]:
    """The words of a command that amount to a mapping of a table: `MappingOptions.as_mapping` backwards.

    What only a mapping file can say is left out.
    """
    words: list[str] = []
    for column, names in mapping.columns.items():
        words += [word for name in names for word in ("--map", f"{column}={name}")]
    words += [word for column, names in mapping.columns.items() if not names for word in ("--leave-out", column)]
    for option, pairs in (("--constant", mapping.constants), ("--substitute", mapping.substitutes)):
        words += [word for column, value in pairs.items() for word in (option, f"{column}={value}")]
    for translated in mapping.words.values():
        words += ["--types", ",".join(f"{word}={value}" for word, value in translated.items())]
    formats = dict.fromkeys(form for column in _instant_columns(spec) for form in mapping.instants.get(column, ()))
    words += [word for form in formats for word in ("--timestamps", form)] if mapping.instants else []
    if mapping.separator:
        named = {mark: name for name, mark in SEPARATORS.items()}
        words += ["--separator", named.get(mapping.separator, mapping.separator)]
    words += ["--header", ",".join(mapping.header)] if mapping.header else []
    words += ["--typed-names"] if mapping.has_typed_names else []
    words += ["--ids", "integer"] if mapping.whole_numbers else []
    for low, high in mapping.scales.values():
        words += [f"--rating-scale={low:g}:{high:g}"] if low < 0 else ["--rating-scale", f"{low:g}:{high:g}"]
    words += ["--ignore-unknown"] if mapping.ignores_unknown else []
    words += ["--discard-invalid"] if mapping.discards_invalid else []
    return words + [word for ending, form in mapping.endings.items() for word in ("--ending", f"{ending}={form}")]


def _pairs(option: str, given: Iterable[str]) -> list[tuple[str, str]]:
    pairs = []
    for text in given:
        name, _, value = text.partition("=")
        if not (name.strip() and value.strip()):
            raise MappingError(f"{option} {text}: NAME=VALUE is needed.")
        pairs.append((name.strip(), value.strip()))
    return pairs


def _typed_column(spec: TableSpec) -> str:
    """The column whose words --types translates: the table's only one with allowed values."""
    typed = [column.name for column in spec.raw_columns if column.allowed_values]
    if len(typed) != 1:
        raise MappingError(
            f"--types is for a table with one column of words, and {spec.table} has {len(typed)}: use --mapping-file."
        )
    return typed[0]


def _instant_columns(spec: TableSpec) -> list[str]:
    columns = [column.name for column in spec.raw_columns if column.instants]
    if not columns:
        raise MappingError(f"--timestamps: {spec.table} has no column of instants.")
    return columns


def _id_columns(spec: TableSpec) -> tuple[str, ...]:
    texts = (column.name for column in spec.raw_columns if column.dtype == pl.String())
    return tuple(name for name in texts if name.endswith("_id"))


def _scale(text: str) -> tuple[float, float]:
    low, _, high = text.partition(":")
    try:
        return float(low), float(high)
    except ValueError:
        raise MappingError(f"--rating-scale {text}: LOW:HIGH is needed, such as 0.5:5.") from None


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
