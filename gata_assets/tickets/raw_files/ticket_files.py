"""A raw file of tickets: its rows validated, block by block, and put into the embedded store as a whole.

`read_ticket_file` knows no store; `ingest_ticket_file` writes into one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import polars as pl
import pyarrow as pa

from gata_assets.curation.files.formats import FileFormat, plain_stem, printable
from gata_assets.curation.files.open_files import read_validated
from gata_assets.curation.files.sources import copy_once
from gata_assets.curation.policy import MAX_DECODED_BYTES
from gata_assets.curation.readers.faults import unforeseen_errors_refuse
from gata_assets.curation.validated_files import TableWriter
from gata_assets.storage.local import LocalStore
from gata_assets.storage.scratch import scratch_directory
from gata_assets.tables.row_rules import RowContext
from gata_assets.tables.spec import TableSpec
from gata_assets.tickets.erasure.tombstones import ErasedTickets
from gata_assets.tickets.raw_files.raw_tickets import TEXT_COLUMN, to_ticket_rows, with_required_columns
from gata_assets.tickets.raw_files.ticket_store import store_transaction

_DIGITS = 16


@dataclass(frozen=True)
class TicketBlock:
    """Rows of a block: how many it has, the valid ones as rows of the ticket table, the rejected ones as they came with
    the rules that they break, and the rows by broken rule.
    """

    rows: int
    tickets: pl.DataFrame
    rejected: pa.Table
    rejected_by_rule: Mapping[str, int]

    def without(self, erased: ErasedTickets) -> TicketBlock:
        """The block without tickets that were erased, as if they had never been in the file."""
        is_erased = erased.are_erased(self.tickets["id"], self.tickets["closed"])
        kept = self.tickets if is_erased is None else self.tickets.filter(~pl.Series(is_erased))
        rejected, by_rule = self.rejected, self.rejected_by_rule
        if len(rejected):
            rows = erased.without_rejected(pl.DataFrame(rejected))
            if len(rows) < len(rejected):
                rejected = rows.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(rejected.schema)
                by_rule = Counter(rows["rules"].explode().to_list() if len(rows) else [])
        gone = len(self.tickets) - len(kept) + len(self.rejected) - len(rejected)
        return TicketBlock(self.rows - gone, kept, rejected, by_rule)


def read_ticket_file(
    path: Path, file_format: FileFormat, spec: TableSpec, name: str, *, max_decoded_bytes: int = MAX_DECODED_BYTES
) -> Iterator[TicketBlock]:
    """All rows of a file in order; raises RawFileError, also midway, and StoreError for a fault of the machine.

    Args:
        path: The file, which stays as it is meanwhile.
        file_format: Its format.
        spec: `raw_ticket_table`, with the mapping of this file.
        name: The file's name in the rows that are rejected.
        max_decoded_bytes: A file whose values are more is refused.
    """
    texts = sum(column.name.startswith(TEXT_COLUMN) for column in spec.columns)
    header = with_required_columns(spec)
    with unforeseen_errors_refuse():
        for rows, block in read_validated(
            path, file_format, spec, RowContext(), name, max_decoded_bytes=max_decoded_bytes, header=header
        ):
            tickets = to_ticket_rows(pl.DataFrame(block.valid), texts)
            yield TicketBlock(rows, tickets, block.rejected, block.rejected_by_rule)


@dataclass(frozen=True)
class IngestedTickets:
    """What became of a file's rows.

    `valid` rows are in the store, as `new` tickets or in place of earlier rows; `quarantine` is the file of those that
    were rejected, if there are any. Without valid rows the store is as before. `erased` rows are of tickets that were
    erased, and in no other number.
    """

    rows: int = 0
    valid: int = 0
    new: int = 0
    rejected_by_rule: Mapping[str, int] = field(default_factory=dict)
    quarantine: Path | None = None
    erased: int = 0

    @property
    def rejected(self) -> int:
        """The number of rejected rows."""
        return self.rows - self.valid


class _NothingValidError(Exception):
    """Ends the transaction of a file without valid rows."""


def ingest_ticket_file(
    store: Path,
    source: Path | BinaryIO,
    file_format: FileFormat,
    spec: TableSpec,
    name: str,
    *,
    erased: ErasedTickets | None = None,
    progress: Callable[[int], None] = lambda _: None,
    max_decoded_bytes: int = MAX_DECODED_BYTES,
) -> IngestedTickets:
    """Put a file's valid rows into the ticket store, all or none; the last row of an id counts, and none of `erased`.

    The source is read once, into a private copy: it may be a FIFO. Rejected rows are in `{store}-quarantine/`, for its
    owner alone, before the others are in the store. The same content has the same result.

    Raises:
        RawFileError: The file cannot be read, or changed meanwhile.
        SettingsError: The store has another table.
        SourceError: The store cannot be written.
        StoreError: The machine failed.
    """
    rows = valid = new = left_out = 0
    rejected: Counter[str] = Counter()
    quarantined = None
    with scratch_directory() as scratch:
        key = f"{plain_stem(name)}-{copy_once(source, scratch / 'file')[:_DIGITS]}.parquet"
        try:
            with TableWriter(scratch / "rejected") as quarantine, store_transaction(store) as transaction:
                for block in read_ticket_file(
                    scratch / "file", file_format, spec, printable(name), max_decoded_bytes=max_decoded_bytes
                ):
                    kept = block.without(erased) if erased else block
                    rows, left_out = rows + kept.rows, left_out + block.rows - kept.rows
                    valid += len(kept.tickets)
                    rejected.update(kept.rejected_by_rule)
                    transaction.upsert(kept.tickets)
                    quarantine.add(kept.rejected)
                    progress(rows + left_out)
                if quarantine.parts(key):
                    quarantined = quarantine_of(store) / key
                    target = LocalStore(str(quarantined.parent))
                    target.write_file(key, scratch / "rejected", is_private=True)
                new = transaction.new_tickets()
                if not valid:
                    raise _NothingValidError
        except _NothingValidError:
            pass
    return IngestedTickets(rows, valid, new, dict(sorted(rejected.items())), quarantined, left_out)


def quarantine_of(store: Path) -> Path:
    """The directory of the rejected rows of a store's files."""
    return store.with_name(f"{store.name}-quarantine")
