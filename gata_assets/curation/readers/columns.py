"""Whether a raw file has the columns of its table, under whatever names the table allows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import polars as pl

from gata_assets.curation.files.formats import printable
from gata_assets.errors import RawFileError
from gata_assets.tables.spec import TableSpec, UnknownColumns

_SHOWN, _LONGEST_NAME = 10, 40


# `("context", "device_type")` is a nested field.
Path = tuple[str, ...]


def match_columns(spec: TableSpec, found: Iterable[Path], *, is_header: bool = True) -> dict[Path, str]:
    """Match a file's columns, by their paths, to the table's; returns those that the table has.

    A header's columns apply to every row: a table that rejects rows with unknown columns refuses the file then.
    Unknown columns of a header are named if some are known or they cannot be the values of a first row.

    Raises RawFileError for a missing required column, a repeated column or an unknown column.
    """
    paths = list(found)
    known = {path: column for path in paths if (column := column_of(spec, path))}
    names = [known[path] for path in paths if path in known]
    unknown = [path for path in paths if path not in known and not is_left_out(spec, path)]
    found_or_given = {*names, *spec.mapping.filled}
    # In their order: a substitute may have one itself.
    for name, other in spec.mapping.substitutes.items():
        found_or_given |= {name} if other in found_or_given else set()
    missing = [name for name in spec.required if name not in found_or_given]
    if missing:
        lacks = [
            f"{name} ({' or '.join(spec.names_of(spec.column(name)))})" if name in spec.mapping.columns else name
            for name in missing
        ]
        are_names = not is_header or _are_names(spec, paths)
        # Without a known name, those of a header may be values of a first row.
        shown = f": {_shown(unknown, are_names=are_names)}" if known or are_names else ""
        others = f" (of its own, {len(unknown)} are not known{shown})" if unknown else ""
        raise RawFileError(f"lacks the {_columns(missing)} {', '.join(lacks)}{others}. {describe_columns(spec)}")
    if given := sorted({path[0] for path in unknown if len(path) == 1} & spec.mapping.filled):
        raise RawFileError(f"has columns that the mapping gives itself: {', '.join(given)}. Choose one of both.")
    ignored = UnknownColumns.IGNORE, *(() if is_header else [UnknownColumns.REJECT_ROW])
    if unknown and spec.unknown_columns not in ignored and not spec.more:
        raise unknown_columns(spec, unknown)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        chosen = ""
        if twice[0] in spec.mapping.columns:
            of_file = [".".join(path) for path, name in known.items() if name == twice[0]]
            chosen = f" ({', '.join(of_file)}). Choose one: --map {twice[0]}={of_file[0]}"
        raise RawFileError(f"has columns twice: {', '.join(twice)}{chosen}.")
    return known


def column_of(spec: TableSpec, path: Path) -> str | None:
    """The table's column for a path in a file; None for an unknown one."""
    name = spec.sources.get(path[-1])
    return name if name and (len(path) == 1 or spec.column(name).within == path[0]) else None


def is_left_out(spec: TableSpec, path: Path) -> bool:
    """Whether a path is that of a column which the mapping leaves out."""
    return path[-1] in spec.mapping.columns and not spec.mapping.columns[path[-1]]


def other_columns(spec: TableSpec, paths: Iterable[Path], known: Mapping[Path, str]) -> dict[Path, str]:
    """The columns of a header that the table does not have and keeps together, with their names.

    Raises RawFileError for one that is there twice.
    """
    found = [path for path in paths if path not in known and not is_left_out(spec, path)] if spec.more else []
    if twice := sorted({path for path in found if found.count(path) > 1}):
        raise RawFileError(f"has columns twice: {_shown(twice)}.")
    return {path: ".".join(path) for path in found}


def join_others(others: Mapping[str, pl.Series]) -> list[str | None]:
    """Texts of several columns as a JSON object for each row, without nulls; None for a row without any."""
    names = list(others)
    rows = zip(*(texts.to_list() for texts in others.values()), strict=True)
    found = ({name: text for name, text in zip(names, row, strict=True) if text is not None} for row in rows)
    return [msgspec.json.encode(row).decode() if row else None for row in found]


def unknown_columns(spec: TableSpec, unknown: Sequence[Path]) -> RawFileError:
    """The error of a file with unknown columns; a name that may be a value is not shown."""
    return RawFileError(f"has columns that are not known: {_shown(unknown)}. {describe_columns(spec)}")


def _are_names(spec: TableSpec, paths: Sequence[Path]) -> bool:
    """Whether a header's names cannot be the values of a row, which has the required columns, and a digit in one of a
    number or an instant.
    """
    kinds = [spec.column(name).dtype for name in spec.required]
    has_digits = any(kind not in (pl.String(), pl.Boolean()) for kind in kinds)
    letters = "".join(path[-1] for path in paths)
    return has_digits and len(paths) >= len(kinds) and not any(char.isdigit() or char in "@/" for char in letters)


def _shown(unknown: Sequence[Path], *, are_names: bool = False) -> str:
    def show(name: str) -> str:
        return printable(name) if _is_plain(name) or (are_names and len(name) <= _LONGEST_NAME) else "…"

    names = [".".join(map(show, path)) for path in unknown[:_SHOWN]]
    return ", ".join([*names, *([f"and {len(unknown) - _SHOWN:,} more"] if len(unknown) > _SHOWN else [])])


def describe_columns(spec: TableSpec) -> str:
    """The columns of the table's files, for people."""
    optional = f", and may have {', '.join(spec.optional)}" if spec.optional else ""
    explained = f"`gata ingest {spec.table} FILE --explain` proposes how to read it."
    return f"A table of {spec.table} has {', '.join(spec.required)}{optional}. {explained}"


def _is_plain(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z_]\w{0,39}", name, re.ASCII) is not None


def _columns(names: Sequence[str]) -> str:
    return "column" if len(names) == 1 else "columns"
