"""What the options of mappings mean for a table, and the words of a command that mean a mapping."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from gata_assets.cli.raw_files.mapping_options import MappingOptions
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


def as_mapping(options: MappingOptions, spec: TableSpec) -> RawMapping:
    """What options say of a table's files, besides a preset or a saved mapping; raises MappingError."""
    columns: dict[str, tuple[str, ...]] = dict.fromkeys(options.left_out, ())
    for column, name in _pairs("--map", options.columns):
        columns[column] = (*columns.get(column, ()), name)
    found = {
        "columns": columns,
        "constants": dict(_pairs("--constant", options.constants)),
        "substitutes": dict(_pairs("--substitute", options.substitutes)),
        "words": {_typed_column(spec): dict(_pairs("--types", options.types.split(",")))} if options.types else {},
        "instants": dict.fromkeys(_instant_columns(spec), options.timestamps) if options.timestamps else {},
        "header": tuple(name.strip() for name in options.header.split(",")) if options.header else (),
        "whole_numbers": _id_columns(spec) if options.ids else (),
        "scales": {"rating": _scale(options.rating_scale)} if options.rating_scale else {},
        "has_typed_names": options.has_typed_names,
        "ignores_unknown": options.ignores_unknown,
        "discards_invalid": options.discards_invalid,
        "endings": {end.lower().lstrip("."): form for end, form in _pairs("--ending", options.endings)},
        **({"separator": options.separator} if options.separator else {}),
    }
    return merge_mappings(_read_file(options.file), mapping_from(found))


def _read_file(file: Path | None) -> RawMapping:
    if file is None:
        return NO_MAPPING
    try:
        return decode_mapping(file.read_bytes())
    except OSError as error:
        raise MappingError(f"{file} cannot be read: {error.strerror}.") from None
    except MappingError as error:
        raise MappingError(f"{file}: {error}") from None


def options_of(mapping: RawMapping, spec: TableSpec) -> list[str]:
    """The words of a command that amount to a mapping of a table: `as_mapping` backwards.

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
