"""What is decided about and what is decided, as values: the state of a scope, and the plan of its deletions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple

from gata_assets.curation.reports import Report
from gata_assets.governance.retention.rules import DataType
from gata_assets.storage.objects import Version


@dataclass(frozen=True)
class BatchState:
    """A batch in the target: what names it, the instant of its ID, and its files, manifests first.

    `needs_from` is the first day of its windows over curated days (None: it has none); `is_known` is false if a
    manifest cannot be read, so that nobody knows what the batch needs.
    """

    name: str
    starts_at: datetime
    needs_from: date | None = None
    is_known: bool = True
    size: int = 0
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class DayState:
    """A curated day in the target, and its files, the manifest first."""

    day: date
    size: int = 0
    keys: tuple[str, ...] = ()


class Seen(NamedTuple):
    """An object as it was read: its key and version, and whether others deliver it (`delivered_version`)."""

    key: str
    version: Version
    is_delivered: bool = False


@dataclass(frozen=True)
class FileState:
    """A raw file that was validated: its report, and all that is of it alone, in the order in which it may be deleted:
    the raw file before its report, so that it is not validated again, and parts after the report that names them.

    `is_changed` if it was overwritten since: what is there now was never read. `seen` are its report and raw file.
    """

    report: Report
    size: int = 0
    keys: tuple[str, ...] = ()
    seen: tuple[Seen, ...] = ()
    is_changed: bool = False

    @property
    def name(self) -> str:
        """The id of the file."""
        return self.report.file_id


@dataclass(frozen=True)
class TableState:
    """A table's files and curated days; `first_day` is the first that may be curated.

    Days of a table that is curated `by_day` can go; of others all files that count are needed. `days_needed` are those
    before the present day that the next batches read. `waiting` are raw files without a report, `leftovers` keys that
    belong to no file.
    """

    name: str
    by_day: bool
    days_needed: int = 0
    files: tuple[FileState, ...] = ()
    days: tuple[DayState, ...] = ()
    first_day: date = date.min
    waiting: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScopeState:
    """What the target has of a scope; `hold` says why all of it is held."""

    name: str
    batches: tuple[BatchState, ...] = ()
    tables: tuple[TableState, ...] = ()
    hold: str | None = None


@dataclass(frozen=True)
class Going:
    """Something that is to be deleted, with its keys in order, unless what was `seen` has changed."""

    type: DataType
    what: str
    name: str
    why: str
    size: int
    keys: tuple[str, ...]
    seen: tuple[Seen, ...] = ()


@dataclass(frozen=True)
class Staying:
    """Something that is old enough, and stays."""

    type: DataType
    what: str
    name: str
    why: str


@dataclass(frozen=True)
class ScopePlan:
    """What is to be done with a scope, in this order: `batches`, `first_days` by table, `days`, `files`, `leftovers`.

    Each of `files` is a chain of files that superseded one another, in the order in which they may be deleted.
    `ignored_rows` are those of files that stay on days that are deleted.
    """

    scope: str
    batches: tuple[Going, ...] = ()
    first_days: Mapping[str, date] = field(default_factory=dict)
    days: tuple[Going, ...] = ()
    files: tuple[tuple[Going, ...], ...] = ()
    leftovers: tuple[Going, ...] = ()
    staying: tuple[Staying, ...] = ()
    ignored_rows: int = 0

    @property
    def going(self) -> list[Going]:
        """All that is to be deleted."""
        chains = [going for chain in self.files for going in chain]
        return [*self.batches, *self.days, *chains, *self.leftovers]
