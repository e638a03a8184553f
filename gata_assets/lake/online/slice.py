"""The newest current tickets of a tenant's lake, as one look at its days finds them: for Redis, and to hold it against.

Ids and instants of a slice are kept in memory, and the tickets of one day at a time. Days whose manifest says that they
have nothing so recent are not read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import TypeVar

import polars as pl

from gata_assets.curation.layout import TenantLayout
from gata_assets.errors import DamagedTableError, ObjectNotFoundError, SourceError
from gata_assets.lake.days import CURRENT_FILE, RECENT
from gata_assets.lake.online.left_out import ErasedTickets
from gata_assets.lake.online.tickets import OnlineRules, OnlineTicket, OnlineTickets
from gata_assets.lake.snapshot import LakeDay, LakeSnapshots
from gata_assets.online.ticket import Ticket
from gata_assets.storage.objects import ObjectStore
from gata_assets.storage.people.tombstones import TombstoneReader
from gata_assets.tables.people.erased_people import ErasedPeople

T = TypeVar("T")
_COLUMNS = [*Ticket.model_fields]
_MICROSECONDS = 1_000_000
# Each time means that another process wrote a day meanwhile.
_MOST_ATTEMPTS = 5
_CHOSEN = {"id": pl.Int64(), "version_at": pl.Datetime("us", "UTC"), "place": pl.UInt32()}


class _RewrittenError(Exception):
    """A day was rewritten since it was looked at."""


@dataclass(frozen=True)
class LakeSlice:
    """The newest tickets at one moment.

    Attributes:
        tenant: whose.
        data_at: when the lake was looked at.
        digest: of the files that the tickets are in, and of who is left out.
        chosen: id, version_at, and the place of the day in `days`, newest first.
        days: all days of the lake then.
    """

    tenant: str
    data_at: datetime
    digest: str
    chosen: pl.DataFrame = field(repr=False)
    days: Sequence[LakeDay] = field(repr=False)
    store: ObjectStore = field(repr=False)

    @property
    def instants(self) -> list[tuple[int, float]]:
        """The tickets with their instants in seconds since 1970, in the order of Redis."""
        seconds = self.chosen.select("id", pl.col("version_at").dt.epoch("us") / _MICROSECONDS)
        return [(int(ticket_id), float(instant)) for ticket_id, instant in seconds.iter_rows()]

    def tickets(self) -> Iterator[OnlineTicket]:
        """The tickets with their documents, day by day."""
        for (place,), chosen in self.chosen.group_by("place", maintain_order=True):
            found = _read(self.days[int(str(place))], self.store, _COLUMNS)
            rows = found.join(chosen, on=["id", "version_at"], how="semi")
            if len(rows) < len(chosen):
                # Read from a later write of the day, which has newer versions.
                raise _RewrittenError
            for row in rows.iter_rows(named=True):
                yield as_online(Ticket(**{name: value for name, value in row.items() if value is not None}))

    def given(self) -> OnlineTickets:
        """What a publisher takes."""
        return OnlineTickets(self.tenant, self.data_at, self.digest, self.tickets())


def as_online(ticket: Ticket) -> OnlineTicket:
    """A ticket with its document: all fields, instants in UTC with a Z."""
    return OnlineTicket(ticket.id, ticket.version_at.timestamp(), ticket.model_dump_json().encode())


def with_slice(
    store: ObjectStore,
    tenant: str,
    rules: OnlineRules,
    clock: Callable[[], datetime],
    use: Callable[[LakeSlice], T],
    *,
    tombstones: TombstoneReader,
    may_be_empty: bool = False,
) -> T:
    """Use the slice of a tenant, again with a new one where a day of it is rewritten meanwhile.

    Raises SourceError if the lake has no offline tickets (unless it `may_be_empty`), is damaged or is written all the
    time, PrivacyKeyError if who was erased cannot be known, or StoreError.
    """
    snapshots = LakeSnapshots(store, tenant)
    for _ in range(_MOST_ATTEMPTS):
        data_at = clock()
        days = snapshots.days()
        if not days and not may_be_empty:
            raise SourceError(f"The lake of {tenant} has no offline tickets: materialize its offline_tickets first.")
        try:
            people = tombstones.erased(store, tenant, TenantLayout(tenant).tombstones)
            chosen = choose_newest(days, store, rules, people)
            return use(LakeSlice(tenant, data_at, _digest(days, people), chosen, days, store))
        except _RewrittenError:
            continue
    raise SourceError(f"The days of the lake of {tenant} are being written all the time: publish again.")


def choose_newest(
    days: Sequence[LakeDay], store: ObjectStore, rules: OnlineRules, people: ErasedPeople
) -> pl.DataFrame:
    """The newest tickets of days by the rules, in the order of Redis, without those of erased people."""
    erased = ErasedTickets(store, people)
    kept = pl.DataFrame(schema=_CHOSEN)
    by_recency = sorted(
        ((day.manifest.details[RECENT], place) for place, day in enumerate(days) if day.manifest.details.get(RECENT)),
        key=lambda found: (found[0][1], found[1]),
        reverse=True,
    )
    oldest = float("-inf")
    for (_, last), place in by_recency:
        # Rounded up in the manifest: what is left out is older than all that are kept.
        if last < oldest:
            break
        rows = _read(days[place], store, ["id", "version_at", "status"])
        if rules.statuses:
            rows = rows.filter(pl.col("status").is_in(rules.statuses))
        rows = _without(erased, days[place], rows)
        found = rows.select("id", "version_at", place=pl.lit(place, pl.UInt32()))
        kept = _in_order(pl.concat([kept, found])).head(rules.limit)
        if len(kept) == rules.limit:
            oldest = kept["version_at"].dt.epoch("us")[-1] / _MICROSECONDS
    return kept


def _in_order(tickets: pl.DataFrame) -> pl.DataFrame:
    """By instant, then by id as a text, both descending; each id once."""
    ordered = tickets.sort("version_at", pl.col("id").cast(pl.String), descending=True)
    return ordered.unique("id", keep="first", maintain_order=True)


def _digest(days: Sequence[LakeDay], people: ErasedPeople) -> str:
    entries = ((day.folder, found[1].sha256) for day in days if (found := day.manifest.find(CURRENT_FILE)))
    lines = [",".join(_COLUMNS), *(f"{folder} {digest}" for folder, digest in entries)]
    lines += [people.digest] if people else []
    return sha256("\n".join(lines).encode()).hexdigest()


def _without(erased: ErasedTickets, day: LakeDay, rows: pl.DataFrame) -> pl.DataFrame:
    try:
        return erased.without(day, rows)
    except ObjectNotFoundError:
        raise _RewrittenError from None


def _read(day: LakeDay, store: ObjectStore, columns: Sequence[str]) -> pl.DataFrame:
    try:
        return day.read(store, columns)
    except ObjectNotFoundError:
        raise _RewrittenError from None
    except DamagedTableError as error:
        raise SourceError(f"{error}: materialize the day of offline_tickets again.") from None
