"""How an explanation of a file is shown: as text with a few converted rows, or as JSON without any value of a row."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import polars as pl
from rich.table import Table

from gata_assets.cli.terminal import text_console
from gata_assets.curation.files.formats import FileFormat, RawFormat, printable
from gata_assets.curation.mappings.preview import Fit, Fitting
from gata_assets.curation.mappings.proposal import unknown_names
from gata_assets.curation.mappings.raw_columns import RawColumns
from gata_assets.interactions.presets import PRESETS
from gata_assets.tables.columns.column_spec import ColumnSpec
from gata_assets.tables.raw_mapping import encode_mapping
from gata_assets.tables.row_rules import FITTING_RULE, READABLE_RULE, column_rule_names, rule_name
from gata_assets.tables.spec import TableSpec, UnknownColumns

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", ":": "colons", " ": "blanks"}
_FORMATS = {RawFormat.CSV: "CSV", RawFormat.JSON_LINES: "JSON Lines", RawFormat.PARQUET: "Parquet"}
_MOST_NAMES, _MOST_WORDS, _LONGEST = 30, 10, 40


@dataclass(frozen=True)
class Explanation:
    """What is known of a file: why it cannot be read, or what it is and what becomes of its first rows."""

    table: str
    file: str
    refused: str | None = None
    tenant: str | None = None
    head: FileFormat | None = None
    raw: RawColumns | None = None
    fitting: Fitting | None = None
    options: tuple[str, ...] = ()
    said_by: str = "As you say"
    has_tenant: bool = True
    earliest_at: datetime | None = None
    earliest_setting: str = "EARLIEST_INTERACTION"

    @property
    def can_be_read(self) -> bool:
        """Whether a row could be read, as far as settings are concerned."""
        return self.refused is None and self.fitting is not None and self.fitting.preview.read > 0

    @property
    def command(self) -> str | None:
        """The command that reads the file; None if there is none."""
        if not self.can_be_read:
            return None
        tenant = ["--tenant", self.tenant or "NAME"] if self.has_tenant else []
        return shlex.join(["gata", "ingest", self.table, self._path, *tenant, *self.options])

    @property
    def _path(self) -> str:
        """The file as a word of a command that is no option."""
        return f"./{self.file}" if self.file.startswith("-") and self.file != "-" else self.file

    @property
    def unknown(self) -> list[str]:
        """The file's columns that are not read."""
        if self.fitting is None or self.raw is None:
            return []
        return [name for name in unknown_names(self.fitting.spec, self.raw) if name]


def show(found: Explanation, *, as_table: bool) -> None:
    """Show an explanation, for people or as a line of JSON."""
    if not as_table:
        print(json.dumps(_as_json(found)))
        return
    console = text_console()
    console.print("\n".join(_describe(found)), markup=False)
    if found.can_be_read and found.fitting:
        console.print("The first rows, as they are read:", markup=False)
        text_console(width=1_000).print(_rows(found.fitting), markup=False)
        console.print("\n".join(_outcome(found)), markup=False)


def _describe(found: Explanation) -> Iterator[str]:
    """What the file is, and how it is read."""
    name = printable(found.file)
    if found.raw is None or found.fitting is None or found.head is None:
        yield f"{name} {found.refused}"
        return
    yield f"{name}: {_format(found.head, found.raw)}"
    yield f"  {len(found.raw.names)} columns: {_listed([*found.raw.names], _MOST_NAMES)}"
    fitting = found.fitting
    if fitting.missing:
        options = ", ".join(f"--map {column}=NAME" for column in fitting.missing)
        yield f"What is missing cannot be guessed: {', '.join(fitting.missing)}. Say it: {options} (or --constant)."
    if found.refused and not fitting.missing:
        yield f"It {found.refused}"
    yield from (f"  {note}" for note in fitting.notes)
    if not found.can_be_read:
        if not fitting.missing and not found.refused:
            yield "No row of it can be read so:"
            yield from _remedies(found)
        return
    if fitting.fit is Fit.TABLE:
        yield f"It fits the table {found.table} as it is:"
    elif fitting.fit is Fit.PRESET and fitting.preset:
        preset = PRESETS[fitting.preset]
        yield f"It fits the preset {fitting.preset}: {preset.about}. {preset.tables[found.table].about}"
        if not found.raw.has_header:
            yield "  Without a header that is by the number of its columns and their values: look at the rows."
    elif fitting.fit is Fit.PROPOSAL:
        yield "No preset fits. A proposal:"
    else:
        yield f"{found.said_by}:"
    yield ""
    yield f"  {found.command}"
    yield ""


def _format(form: FileFormat, raw: RawColumns) -> str:
    packed = f", compressed with {'gzip' if form.compression == 'gz' else 'zstd'}" if form.compression else ""
    if raw.format is not RawFormat.CSV:
        return f"{_FORMATS[raw.format]}{packed}"
    named = _SEPARATORS.get(raw.separator or "", f"{raw.separator} between columns")
    types = ", whose names have types behind them" if raw.has_typed_names else ""
    return f"CSV with {named} and with{'' if raw.has_header else 'out'} a header{types}{packed}"


def _rows(fitting: Fitting) -> Table:
    # JSON Lines may have any column of the table.
    values = pl.DataFrame([column for column in fitting.preview.values if column.null_count() < len(column)])
    shown = Table(*values.columns)
    for row in values.iter_rows():
        shown.add_row(*map(_cell, row))
    return shown


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S.%f}".rstrip("0").rstrip(".") + "Z"
    text = printable(f"{value:.6g}" if isinstance(value, float) else str(value))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _outcome(found: Explanation) -> Iterator[str]:
    """What becomes of the first rows, with a remedy for each rule that they break."""
    if found.fitting is None:
        return
    preview = found.fitting.preview
    others = preview.read - preview.valid
    more = f", and {others:,} more with another setting" if others else ""
    yield f"Of its first {preview.rows:,} rows {preview.valid:,} are valid{more}."
    yield from _remedies(found)
    for rule, rows in preview.discarded_by_rule.items():
        yield f"  {rows:,} would lose a value that breaks {rule}"
    if unknown := found.unknown:
        yield f"  not read: {_listed(unknown, _MOST_NAMES)}"


def _remedies(found: Explanation) -> Iterator[str]:
    assert found.fitting is not None  # noqa: S101 - a file without one has no rows
    spec, preview = found.fitting.spec, found.fitting.preview
    for rule, rows in preview.rejected_by_rule.items():
        yield f"  {rows:,} would break {rule}: {_remedy(found, spec, rule)}"


def _remedy(found: Explanation, spec: TableSpec, rule: str) -> str:
    if rule == READABLE_RULE:
        if found.head and found.head.format is RawFormat.JSON_LINES:
            return "lines that are no complete object of texts, numbers, true, false and null"
        return "text that is not UTF-8 (iconv -f latin1 -t utf-8 converts it), or quotes that do not match"
    if rule == FITTING_RULE:
        if spec.unknown_columns is UnknownColumns.REJECT_ROW and found.head and found.head.format != RawFormat.CSV:
            return "unknown columns, which --ignore-unknown passes over"
        return "another number of columns than the first line"
    column = next((one for one in spec.raw_columns if rule in column_rule_names(spec, one)), None)
    if column is None:
        return "correct them in the file"
    if column.name == spec.event_time and rule == rule_name(spec, column, "window"):
        return _window(found)
    assert found.fitting is not None  # noqa: S101 - as above
    words = found.fitting.preview.unknown_words.get(column.name)
    if words:
        said = ", ".join(map(_cell, words[:_MOST_WORDS]))
        more = f" and {len(words) - _MOST_WORDS:,} others" if len(words) > _MOST_WORDS else ""
        return f"of unknown words ({said}{more}), which --types WORD=TYPE,... translates"
    return _remedy_of_values(spec, column, rule)


def _remedy_of_values(spec: TableSpec, column: ColumnSpec, rule: str) -> str:
    if rule == rule_name(spec, column, "given") and not column.nullable and column.dtype.is_temporal() is False:
        return f"no value of {column.name}"
    if column.dtype.is_temporal():
        return f"no value of {column.name}, or one in a format that --timestamps has to name too"
    discard = ", or --discard-invalid costs the value and not its row" if column.nullable else ""
    if column.name == "rating":
        return f"--rating-scale LOW:HIGH, if it has another scale{discard}"
    return f"correct them in the file{discard}"


def _window(found: Explanation) -> str:
    assert found.fitting is not None  # noqa: S101 - as above
    instants = found.fitting.preview.instants
    if instants and found.earliest_at and instants[0] < found.earliest_at:
        return (
            f"{found.earliest_setting} is {found.earliest_at:%Y-%m-%d}, and these rows begin on "
            f"{instants[0]:%Y-%m-%d}: "
            f"{found.earliest_setting}={instants[0]:%Y-01-01}, or an earlier day, makes them valid"
        )
    return "later than MAX_HOURS_AHEAD from now: look at --timestamps"


def _listed(names: list[str], most: int) -> str:
    shown = [printable(name) for name in names[:most]]
    return ", ".join([*shown, *([f"and {len(names) - most:,} more"] if len(names) > most else [])])


def _as_json(found: Explanation) -> dict[str, object]:
    fitting, raw = found.fitting, found.raw
    said: dict[str, object] = {
        "event": "FILE_EXPLAINED",
        "table": found.table,
        "file": found.file,
        "can_be_read": found.can_be_read,
        "reason": found.refused,
    }
    if fitting is None or raw is None:
        return said
    preview = fitting.preview
    return said | {
        "format": str(found.head),
        "separator": raw.separator,
        "has_header": raw.has_header,
        # What is no known header may be a first row.
        "columns": raw.names if found.can_be_read else len(raw.names),
        "fits": str(fitting.fit),
        "preset": fitting.preset,
        "mapping": json.loads(encode_mapping(fitting.mapping)),
        "command": found.command,
        "missing": fitting.missing,
        "notes": fitting.notes,
        "unknown_columns": found.unknown,
        "rows": preview.rows,
        "valid": preview.valid,
        "read": preview.read,
        "rejected_by_rule": preview.rejected_by_rule,
        "discarded_by_rule": preview.discarded_by_rule,
    }
