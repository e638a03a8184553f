"""Produces the valid rows of files that landed: those of files that count, each once it is validated.

Files of single events are left out, as their events are produced from their streams. A file whose valid rows change,
since it was validated again, is produced again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import cast

import polars as pl
import pyarrow.parquet as pq

from gata_assets.curation.files.formats import is_of_events
from gata_assets.curation.files.tenants import find_tenants
from gata_assets.curation.reports import Report, StagedPart
from gata_assets.curation.staged_partitions import decode_spans
from gata_assets.curation.superseding import valid_reports
from gata_assets.curation.validated_files import DAMAGED
from gata_assets.curation.validator import FileValidator
from gata_assets.errors import DamagedTableError, ObjectNotFoundError
from gata_assets.ingestion.kafka.origin import Origin
from gata_assets.ingestion.kafka.relay.cursors import FILE_MARKS
from gata_assets.ingestion.kafka.relay.messages import row_message
from gata_assets.ingestion.kafka.relay.outbox import MOST_MESSAGES, Outbox
from gata_assets.storage.files import digest_file
from gata_assets.storage.objects import ObjectStore

_DIGITS = 32


class FileRelay:
    """Produces the rows of files; keeps in memory which are done, and how far one is that was interrupted."""

    def __init__(self, outbox: Outbox, validator_of: Callable[[str], FileValidator], since: datetime) -> None:
        """`validator_of` opens a tenant's tables; files that landed before `since` are not produced."""
        self._outbox, self._validator_of, self._since = outbox, validator_of, since
        self._validators: dict[str, FileValidator] = {}
        self._done: dict[str, set[str]] = {}
        self._reached: dict[str, int] = {}

    def find_waiting(self) -> Iterator[tuple[str, str, Report]]:
        """The files whose rows are not produced, by tenant, table and the instant at which they landed.

        Raises DamagedTableError or StoreError.
        """
        for tenant in find_tenants(self._outbox.store):
            if tenant not in self._validators:
                self._validators[tenant] = self._validator_of(tenant)
            for table in self._outbox.topics_by_table():
                reports = sorted(
                    valid_reports(self._validators[tenant].reports(table)), key=lambda report: report.landed_at
                )
                due = [report for report in reports if report.landed_at >= self._since and report.parts]
                due = [report for report in due if not is_of_events(report.raw_key)]
                yield from ((tenant, table, report) for report in due if not self._is_done(tenant, table, report))

    def relay(self, tenant: str, table: str, report: Report) -> bool:
        """Produce the valid rows of a file, and mark it; returns whether that was not ended before.

        Raises BrokerError, DamagedTableError or StoreError.
        """
        outbox = self._outbox
        topic, spec = outbox.topics_by_table()[table], outbox.tables[table]
        mark = _mark(tenant, table, report)
        place = f"file/{tenant}/{table}/{report.file_id}"
        number = 0
        # A Parquet file has a part for each day, and is read once.
        parts = dict.fromkeys(part if part.spans else replace(part, day=None, rows=0) for part in report.parts)
        for rows in (rows for part in parts for rows in _read(outbox.store, part)):
            # Behind what was confirmed before an interruption.
            if number + len(rows) > self._reached.get(mark, 0):
                outbox.deliver(
                    [
                        row_message(topic, spec, tenant, Origin(outbox.target, place, at), row)
                        for at, row in enumerate(rows.iter_rows(named=True), number + 1)
                    ]
                )
                self._reached[mark] = number + len(rows)
            number += len(rows)
            if outbox.is_ending() and number < report.valid:
                return False
        outbox.store.write(mark, b"%d" % number)
        self._done[_folder(tenant, table)].add(mark)
        self._reached.pop(mark, None)
        return True

    def _is_done(self, tenant: str, table: str, report: Report) -> bool:
        folder = _folder(tenant, table)
        if folder not in self._done:
            self._done[folder] = set(self._outbox.store.list_keys(folder))
        return _mark(tenant, table, report) in self._done[folder]


def _folder(tenant: str, table: str) -> str:
    return f"{FILE_MARKS}{tenant}/{table}/"


def _mark(tenant: str, table: str, report: Report) -> str:
    """The mark of a file whose rows are produced: other rows, another mark."""
    rows = "\n".join(f"{part.day} {part.rows} {part.sha256}" for part in report.parts)
    return f"{_folder(tenant, table)}{report.file_id}-{sha256(rows.encode()).hexdigest()[:_DIGITS]}"


def _read(store: ObjectStore, part: StagedPart) -> Iterator[pl.DataFrame]:
    """The rows of a part, a bounded number at a time, once its bytes are those that were written.

    Raises DamagedTableError or StoreError.
    """
    try:
        for rows in _read_spans(store, part) if part.spans else _read_file(store, part):
            yield from rows.iter_slices(MOST_MESSAGES)
    except (ObjectNotFoundError, *DAMAGED):
        raise _damaged(store, part) from None


def _read_spans(store: ObjectStore, part: StagedPart) -> Iterator[pl.DataFrame]:
    digest = sha256()
    for span in part.spans:
        digest.update(store.read_part(part.key, *span))
    if digest.hexdigest() != part.sha256:
        raise _damaged(store, part)
    for span in part.spans:
        yield cast("pl.DataFrame", pl.from_arrow(decode_spans([store.read_part(part.key, *span)])))


def _read_file(store: ObjectStore, part: StagedPart) -> Iterator[pl.DataFrame]:
    with store.local_copy(part.key) as path:
        if digest_file(path) != part.sha256:
            raise _damaged(store, part)
        for batch in pq.ParquetFile(path).iter_batches(MOST_MESSAGES):
            yield cast("pl.DataFrame", pl.from_arrow(batch))


def _damaged(store: ObjectStore, part: StagedPart) -> DamagedTableError:
    return DamagedTableError(
        f"{store.uri(part.key)} is missing or damaged: `gata quarantine --replay` writes it again.", key=part.key
    )
