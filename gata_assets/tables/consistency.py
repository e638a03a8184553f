"""Whether a table's declaration is consistent: pure checks of a `TableSpec`, without pandera."""

from __future__ import annotations

import re
from collections.abc import Iterable

import polars as pl

from gata_assets.errors import TableSpecError
from gata_assets.tables.columns.column_spec import DAY, EPOCH_MS, EPOCH_S, ISO_8601, ColumnSpec
from gata_assets.tables.masking.formats import FORMATS
from gata_assets.tables.masking.national_phones import unknown_regions
from gata_assets.tables.masking.rows import HIDE, LAST_FOUR, MASKS, TRUNCATE
from gata_assets.tables.spec import Repetitions, TableSpec

_INSTANT = pl.Datetime("us", "UTC")
_AVRO_NAME = "[A-Za-z_][A-Za-z0-9_]*"
_AVRO_NAMESPACE = rf"{_AVRO_NAME}(\.{_AVRO_NAME})*"


def require_consistent(spec: TableSpec) -> TableSpec:
    """The table, if its declaration is consistent; raises TableSpecError."""
    names = [column.name for column in spec.columns]
    _require(spec, re.fullmatch(r"[a-z][a-z0-9_]*", spec.table), "its name is of a-z, 0-9 and _")
    _require(spec, not {*names} & _RESERVED, f"no column is named {', '.join(sorted(_RESERVED))}")
    _require(spec, {*spec.key} <= {*names}, "its key is of its columns")
    _require(spec, spec.key or spec.repetitions is Repetitions.EXACT, "the latest row is that of a key")
    event = spec.column(spec.event_time) if spec.event_time in names else None
    _require(
        spec,
        spec.event_time is None or (event and event.dtype == _INSTANT and not event.nullable),
        "event_time is a column of UTC instants in microseconds that is always given",
    )
    _require(spec, spec.partition_by in (None, "day"), 'partition_by is "day" or nothing')
    _require(spec, spec.partition_by is None or event, "rows are partitioned by the day of their event_time")
    _require(
        spec,
        len(spec.separator) == 1 and spec.separator.isascii() and spec.separator not in '"\n\r',
        "separator is one ASCII character, no quote and no line end",
    )
    _require(spec, spec.card_numbers in (None, TRUNCATE), f'card_numbers is "{TRUNCATE}" or nothing')
    _require(spec, spec.card_numbers or not spec.phone_regions, "phone_regions are of texts with card_numbers")
    unknown = ", ".join(unknown_regions(spec.phone_regions)) if spec.phone_regions else ""
    _require(spec, not unknown, f"phone_regions are countries as phonenumbers has them, such as DE; not {unknown}")
    _require(
        spec,
        re.fullmatch(_AVRO_NAME, spec.avro.name or "_") and re.fullmatch(_AVRO_NAMESPACE, spec.avro.namespace or "_"),
        "the name of its Avro record is of A-Z, a-z, 0-9 and _, and its namespace such names with dots between them",
    )
    instants = {column.name for column in spec.columns if column.dtype == _INSTANT}
    _require(spec, {*spec.avro.plain_instants} <= instants, "plain_instants of Avro are its columns of instants")
    _require_documents(spec, names)
    written = [name for column in spec.raw_columns for name in spec.names_of(column)]
    _require(spec, len(written) == len({*written}), "no name in raw files means two columns")
    for column in spec.columns:
        _check_column(spec, column, names)
    return spec


def _check_column(spec: TableSpec, column: ColumnSpec, names: list[str]) -> None:
    def require(holds: object, what: str) -> None:
        _require(spec, holds, f"{what} ({column.name})")

    kind, allowed = column.dtype, column.allowed_values
    require(
        kind in _TYPES or isinstance(kind, pl.Decimal), "columns are texts, numbers, booleans, days or UTC instants"
    )
    is_time = kind in (_INSTANT, pl.Date())
    require(not column.instants or is_time, "instants are of a column of instants or days")
    require(
        all(form in (ISO_8601, DAY, EPOCH_S, EPOCH_MS) or "%" in form for form in column.instants),
        "instants are written as iso8601, day, epoch_s, epoch_ms or a pattern of strptime",
    )
    require(not column.words or kind == pl.String(), "other words are for texts")
    require(allowed is None or {*column.words.values()} <= {*allowed}, "other words mean allowed values")
    require(
        column.within not in spec.sources or spec.column(spec.sources[str(column.within)]).json,
        "within names a field that is no column, or one of JSON",
    )
    require(column.code_of in (None, *names) and column.key_of in (None, *names), "derived columns name another")
    require(column.code_of is None or spec.column(column.code_of).allowed_values, "codes are of allowed values")
    require(column.key_of is None or kind == pl.UInt64(), "keys are UInt64")
    source = spec.column(column.key_of) if column.key_of else None
    require(source is None or (source.dtype == pl.String() and not source.nullable), "keys are of texts always given")
    kinds = {"given", "type", "window", "reference", *(str(check.name) for check in column.checks)}
    require_known(f"{spec.table}.{column.name}", "rules", column.rules, kinds)
    require(column.format in (None, *FORMATS), f"format is {_either(FORMATS)}")
    require(column.format is None or kind == pl.String(), "formats are of texts")
    require(column.personal in (True, False, *MASKS), f"personal is true, false, {_either(MASKS)}")
    require(column.personal not in MASKS or kind == pl.String(), "masked columns are texts")
    is_named = kind == pl.String() or kind.is_integer()
    require(not column.subject or (column.personal and is_named), "subjects are personal, and texts or integers")
    require(not column.subject or column.personal not in (HIDE, LAST_FOUR), "subjects are plain, or tokens")
    is_plain = column.name in spec.key or column.name in spec.references
    require(column.personal not in MASKS or not is_plain, "no column of the key or of a reference is masked")


def _require_documents(spec: TableSpec, names: list[str]) -> None:
    """Check what a table says of JSON."""
    kept = {column.name: column for column in spec.columns if column.json}
    is_plain = not spec.card_numbers and not spec.changes
    _require(spec, is_plain or not kept, "tables of changes, or with card_numbers, have no columns of JSON")
    for column in kept.values():
        others = (column.format, column.words, column.within, column.references, column.personal in MASKS)
        own = column.dtype == pl.String() and not any(others) and column.name not in spec.key
        _require(spec, own, f"columns of JSON are plain texts, of no key and not masked ({column.name})")
    more = kept.get(spec.more or "")
    is_free = more and more.nullable and not more.aliases and not more.checks
    _require(
        spec, spec.more is None or is_free, "more is a column of JSON that may be null, without aliases and checks"
    )
    _require(spec, spec.staged_as in (None, PARQUET), f'staged_as is "{PARQUET}" or nothing')
    is_by_day = spec.is_staged_by_day and "loaded_at" not in names
    _require(spec, not spec.staged_as or is_by_day, "staged_as is of tables by day, without a column loaded_at")
    if spec.pages:
        _require(spec, not spec.changes, "tables of changes have no pages")
        lists = [one.list for one in spec.pages.beside]
        _require(spec, all([spec.pages.rows, *lists]), "each list of pages has a name")
        _require(spec, spec.pages.rows not in lists, "lists beside rows are other fields than the rows")
        given = [one.column for one in spec.pages.beside]
        asked = {spec.sources.get(one.of) for one in spec.pages.beside}
        _require(spec, not asked & {*kept}, "rows refer to lists beside them by fields that are no columns of JSON")
        _require(spec, len(given) == len({*given}), "a column is given by one list of pages")
        _require(spec, {*given} <= {*kept} - {spec.more}, "lists beside rows are for columns of JSON")


PARQUET = "parquet"
# Further columns of quarantine and staged rows.
_RESERVED = frozenset({"row", "rules", "source_file", "source_record", "source_line"})
_FLOATS, _SIGNED = (pl.Float32(), pl.Float64()), (pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64())
_UNSIGNED = (pl.UInt8(), pl.UInt16(), pl.UInt32(), pl.UInt64())
_TYPES = (pl.String(), pl.Boolean(), pl.Date(), _INSTANT, *_FLOATS, *_SIGNED, *_UNSIGNED)


def _require(spec: TableSpec, holds: object, what: str) -> None:
    if not holds:
        raise TableSpecError(f"The table {spec.table} is declared otherwise than tables are: {what}.")


def _either(words: Iterable[str]) -> str:
    return " or ".join(f'"{word}"' for word in words)


def require_known(place: str, what: str, found: Iterable[str], known: Iterable[str]) -> None:
    """Check the names that a declaration uses; raises TableSpecError for unknown ones."""
    if unknown := sorted({*found} - {*known}):
        raise TableSpecError(
            f"{place}: {what} has unknown keys: {', '.join(unknown)}. Known: {', '.join(sorted(known))}."
        )
