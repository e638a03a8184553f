"""Mappings of known formats by name, and what files call columns, read from `presets.toml` and `column_names.toml`.

`tables.raw_mapping` says what a mapping does. A preset is used by a copy: a file keeps what it was read by.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from gata_assets.curation.mappings.hints import Hints, plain
from gata_assets.errors import MappingError
from gata_assets.tables.raw_mapping import RawMapping, mapping_from


@dataclass(frozen=True)
class TablePreset:
    """A preset's mapping for one table; `files` names its files, `about` says what else it does with them."""

    files: str
    about: str
    mapping: RawMapping


@dataclass(frozen=True)
class Preset:
    """A known format: a sentence about it, and a mapping by table."""

    name: str
    about: str
    tables: Mapping[str, TablePreset]


def _read_file(name: str) -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath(name).read_text("utf-8"))


def _read_presets() -> dict[str, Preset]:
    found = _read_file("presets.toml")
    presets = {}
    for name, preset in found.items():
        about = preset.pop("about")
        tables = {
            table: TablePreset(said.pop("files"), said.pop("about"), mapping_from(said))
            for table, said in preset.items()
        }
        presets[name] = Preset(name, about, tables)
    return presets


PRESETS: Mapping[str, Preset] = _read_presets()


def preset_mapping(name: str, table: str) -> RawMapping:
    """A preset's mapping for a table; raises MappingError if there is none."""
    of_table = [preset.name for preset in PRESETS.values() if table in preset.tables]
    if name not in of_table:
        named = f"The presets of {table} are {', '.join(of_table)}" if of_table else f"{table} has no presets"
        raise MappingError(f"there is no preset {name} of {table}. {named}: `gata mapping presets` lists them.")
    return PRESETS[name].tables[table].mapping


@cache
def read_hints() -> Hints:
    """What files call the columns of the tables, and how they write values."""
    found = _read_file("column_names.toml")
    names = {
        table: {column: tuple(map(plain, known)) for column, known in columns.items()}
        for table, columns in found["names"].items()
    }
    words = {
        column: {plain(word): value for value, known in values.items() for word in known}
        for column, values in found["words"].items()
    }
    scales = tuple((float(low), float(high)) for low, high in found["scales"])
    return Hints(names, words, tuple(found["formats"]), scales, found["constants"], found["substitutes"])
