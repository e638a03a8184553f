"""The lake as a ticket source: batches are prepared from its current closed tickets, as from a ticket table."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from pydantic import PrivateAttr

from gata_assets.batches import Window
from gata_assets.curation.layout import TenantLayout
from gata_assets.errors import SourceError
from gata_assets.lake.days import CLOSED
from gata_assets.lake.labels import WHOLE_NUMBER, LabelField
from gata_assets.lake.requesters import find_requested
from gata_assets.lake.snapshot import LakeSnapshots
from gata_assets.lake.tables import TICKETS
from gata_assets.storage.resource import ObjectStoreResource
from gata_assets.ticket_contract.accounting import (
    ROUTED_BY_API,
    ROUTED_BY_MAPPING,
    SECONDS_PER_HOUR,
    TOO_LARGE,
    HourlyCounts,
)
from gata_assets.ticket_contract.census import SECONDS_PER_DAY, DayCensus, ticket_hash
from gata_assets.ticket_contract.source import (
    Label,
    LabelVolume,
    SourceReport,
    TicketSource,
    WindowRead,
    arrow_schema,
    tickets_from_arrow,
)

_COLUMNS = ("id", "ended_at", "text", "channel", "routed_by", "initial_group_id")
_TEXTS_SAMPLED = 1_000
_ALL_TIME = (float("-inf"), float("inf"))


class LakeTickets(TicketSource):
    """Closed tickets of a tenant's lake.

    Attributes:
        store: the target.
        tenant: whose lake it is.
        label_field: the field that is the label; see `LabelField`.
        largest_text: tickets with a longer text, in bytes, are left out and counted.
    """

    store: ObjectStoreResource
    tenant: str
    label_field: str = LabelField().name
    largest_text: int | None = None
    _days: LakeSnapshots | None = PrivateAttr(None)

    def read_window(self, window: Window, labels: Sequence[Label] | None = None) -> WindowRead:
        """See TicketSource."""
        closed = self._closed_in(window)
        hours = closed.group_by(hour=pl.col("closed") // SECONDS_PER_HOUR, reason="reason").agg(tickets=pl.len())
        counts = HourlyCounts.of(hours.sort("hour", "reason", nulls_last=False).iter_rows(named=True))
        tickets = self._labeled(closed.filter(pl.col("reason").is_null()))
        if labels is not None:
            wanted = pl.Series("label", list(labels), dtype=tickets.schema["label"])
            tickets = tickets.filter(pl.col("label").is_in(wanted.implode()))
        schema = arrow_schema(has_names=self._label.has_names)
        rows = tickets.sort("closed", "id").select(schema.names).to_arrow()
        return WindowRead(tickets_from_arrow(rows, has_names=self._label.has_names), counts)

    def take_census(self, window: Window) -> tuple[DayCensus, ...]:
        """See TicketSource."""
        tickets = self._labeled(self._closed_in(window).filter(pl.col("reason").is_null()))
        days: dict[int, tuple[int, int]] = {}
        for id_, closed, label, text in tickets.select("id", "closed", "label", "text").iter_rows():
            counted, total = days.get(closed // SECONDS_PER_DAY, (0, 0))
            days[closed // SECONDS_PER_DAY] = counted + 1, total + ticket_hash(id_, closed, label, text)
        return tuple(DayCensus(day, counted, str(total)) for day, (counted, total) in sorted(days.items()))

    def measure(self, window: Window, labels: Sequence[Label] | None = None) -> tuple[LabelVolume, ...]:
        """See TicketSource."""
        tickets = self._labeled(self._closed_in(window).filter(pl.col("reason").is_null()))
        if labels is not None:
            tickets = tickets.filter(pl.col("label").is_in(list(labels)))
        size = pl.col("text").str.len_bytes()
        by_label = tickets.group_by("label").agg(
            tickets=pl.len(), text_bytes=size.sum(), largest_text=size.max().fill_null(0)
        )
        return tuple(LabelVolume(**row) for row in by_label.sort("label", nulls_last=True).iter_rows(named=True))

    def find_tickets(self, people: Sequence[str]) -> frozenset[int]:
        """See TicketSource; also raises DamagedTableError for a report."""
        return find_requested(self.store, self.tenant, people)

    def probe(self) -> SourceReport:
        """See TicketSource."""
        closed = self._read(*_ALL_TIME)
        size = pl.col("text").str.len_bytes().max()
        found = closed.select(first=pl.col("closed").min(), last=pl.col("closed").max(), largest=size.fill_null(0))
        first, last, largest = found.row(0)
        return SourceReport(
            f"lake {self.store.uri(TenantLayout(self.tenant).curated(TICKETS))}",
            len(closed),
            first,
            last,
            largest,
            names_look=self._look(closed),
            texts_sampled=min(len(closed), _TEXTS_SAMPLED),
        )

    def _look(self, tickets: pl.DataFrame) -> str | None:
        """What a sample of names looks like; None for numbers."""
        if not self._label.has_names:
            return None
        names = tickets.head(_TEXTS_SAMPLED).select(label=self._label.text)["label"].drop_nulls()
        return "whole numbers" if len(names) and names.str.contains(WHOLE_NUMBER).all() else "texts"

    @property
    def _label(self) -> LabelField:
        return LabelField(self.label_field)

    def _closed_in(self, window: Window) -> pl.DataFrame:
        """The tickets that were closed in a window, with the reason why each does not train."""
        return self._read(window.start, window.end - 1).filter(
            (pl.col("closed") >= window.start) & (pl.col("closed") < window.end)
        )

    def _read(self, first: float, last: float) -> pl.DataFrame:
        """The current closed tickets of the days that may have some closed between two instants, both included."""
        if self._days is None:
            self._days = LakeSnapshots(self.store, self.tenant)
        columns = [*_COLUMNS, self._label.column]
        if not self._days.days():
            raise SourceError(
                f"The lake of {self.tenant} has no offline tickets: `gata ingest tickets FILE --tenant {self.tenant}` "
                "fills it, and its assets bronze_tickets and offline_tickets have to be materialized."
            )
        tables = self._days.read(lambda day: day.overlaps(CLOSED, first, last), list(dict.fromkeys(columns)))
        found = pl.concat(tables) if tables else pl.DataFrame(schema=_schema(columns))
        # A group of 0 is none.
        has_group = pl.col("initial_group_id").str.strip_chars().is_in(["", "0"]).not_().fill_null(value=False)
        size = pl.col("text").str.len_bytes()
        reasons = (
            pl.when((pl.col("channel") == "api") & has_group)
            .then(pl.lit(ROUTED_BY_API))
            .when(pl.col("routed_by") == "gata-mapped")
            .then(pl.lit(ROUTED_BY_MAPPING))
        )
        if self.largest_text is not None:
            reasons = reasons.when(size > self.largest_text).then(pl.lit(TOO_LARGE))
        return found.filter(pl.col("ended_at").is_not_null()).with_columns(
            closed=pl.col("ended_at").dt.epoch("s"), reason=reasons.otherwise(None)
        )

    def _labeled(self, tickets: pl.DataFrame) -> pl.DataFrame:
        """Tickets with their labels; raises SourceError for labels that are no numbers where they have to be."""
        label = self._label
        if label.has_names:
            return tickets.with_columns(label=label.text)
        if odd := len(tickets) - int(tickets.select(label.is_number.sum()).item()):
            raise SourceError(
                f"{odd:,} of {len(tickets):,} closed tickets of the lake of {self.tenant} have a {label.name} that is "
                "no whole number: LABEL_FIELD=group takes names."
            )
        return tickets.with_columns(label=label.text.cast(pl.Int64))


def _schema(columns: Sequence[str]) -> dict[str, pl.DataType]:
    known = {"id": pl.Int64(), "ended_at": pl.Datetime("us", "UTC")}
    return {name: known.get(name, pl.String()) for name in columns}
