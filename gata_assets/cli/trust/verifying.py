"""`gata verify`: which stores and objects are verified, and how the findings are shown."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain

import click

from gata_assets.cli.options import SHOP_PREFIX
from gata_assets.cli.target import open_store
from gata_assets.cli.terminal import text_console
from gata_assets.curation.files.formats import printable
from gata_assets.curation.layout import TenantLayout
from gata_assets.governance.trust.findings import Counts, Problem
from gata_assets.governance.trust.forms import Forms
from gata_assets.governance.trust.verification import Verification
from gata_assets.governance.trust.walk import Listing
from gata_assets.ingestion.segments.coding.proofs import EVENTS
from gata_assets.settings.model import Settings
from gata_assets.shop.places import CURATED, PROD, RAW, ShopLayout
from gata_assets.storage.objects import ObjectStore, Version
from gata_assets.tickets.assets.named_tables import TICKETS

# What the domains say of their objects beyond manifests and reports.
FORMS: Sequence[Forms] = (TICKETS, EVENTS)
_MEGABYTE = 1_000_000


def run(settings: Settings, tenants: Sequence[str], *, as_table: bool) -> bool:
    """Verify, show each problem as it is found, and return whether there is none.

    Without an object, nothing is known: a directory may not be mounted. Raises StoreError.
    """
    store, listed = open_listing(settings, tenants)
    verification = Verification(store, FORMS, listed=listed)
    started, console = time.monotonic(), text_console()
    for problem in verification.run():
        if as_table:
            console.print(_line(store, problem), markup=False)
        else:
            print(json.dumps({"event": f"OBJECT_{problem.kind.upper()}", **_fields(problem)}))
    seconds, counts = round(time.monotonic() - started, 1), verification.counts
    if as_table:
        console.print(_summary(counts, seconds), markup=False)
    else:
        print(
            json.dumps({"event": "TARGET_VERIFIED", **asdict(counts), "problems": counts.problems, "seconds": seconds})
        )
    if not counts.objects:
        whose = f" of {', '.join(tenants)}" if tenants else ""
        click.echo(f"Nothing was verified: {settings.target.place} has no object{whose}.", err=True)
    return counts.objects > 0 and not counts.problems


def open_listing(settings: Settings, tenants: Sequence[str] = ()) -> tuple[ObjectStore, Listing | None]:
    """The store of the target and of the shop's own buckets, and what lists the objects of tenants.

    The listing is None for all of a store that is listed as a whole.
    """
    shop = settings.shop
    buckets = {RAW: shop.raw_bucket, CURATED: shop.curated_bucket, PROD: shop.prod_bucket}
    mounts = tuple(prefix for prefix, bucket in buckets.items() if bucket)
    store = open_store(settings)
    if mounts:
        # It has Dagster's resources, which take a second.
        from gata_assets.definitions.shop_engine import open_shop_store

        store = open_shop_store(settings)
    if tenants:
        prefixes = [prefix for tenant in tenants for prefix in _prefixes(tenant)]
        return store, lambda: chain.from_iterable(map(store.list_versions, prefixes))
    if not mounts:
        return store, None

    def listed() -> Iterator[tuple[str, Version]]:
        # What the target has where a bucket is mounted is read by nobody.
        yield from (found for found in open_store(settings).list_versions("") if not found[0].startswith(mounts))
        for prefix in mounts:
            yield from store.list_versions(prefix)

    return store, listed


def _prefixes(tenant: str) -> tuple[str, ...]:
    if not tenant.startswith(SHOP_PREFIX):
        return (TenantLayout(tenant).root,)
    places = ShopLayout(tenant.removeprefix(SHOP_PREFIX))
    return places.raw_files, places.root, places.prod


def _fields(problem: Problem) -> dict[str, str | None]:
    return {"key": printable(problem.key), "named_by": printable(problem.by) or None, "found": printable(problem.what)}


def _line(store: ObjectStore, problem: Problem) -> str:
    place = printable(store.uri(problem.key)) if problem.key else "the target"
    by = f" ({printable(problem.by)} names it)" if problem.by else ""
    return f"{problem.kind.upper():8} {place}{by}: {printable(problem.what)}"


def _summary(counts: Counts, seconds: float) -> str:
    found = (
        f"{counts.problems:,} problems: {counts.differing:,} differ, {counts.missing:,} are missing, "
        f"{counts.damaged:,} are damaged, {counts.unknown:,} are of a later release."
        if counts.problems
        else "Every object is what it was when it was written."
        if counts.objects
        else "There is no object."
    )
    lines = [found]
    lines.append(
        f"{counts.objects:,} objects: {counts.namers:,} manifests, reports and tables name {counts.named:,} "
        f"({counts.bytes_read / _MEGABYTE:,.1f} MB in {seconds} s); {counts.proven:,} prove themselves."
    )
    lines.append(
        f"Nothing names {counts.leftovers:,} leftovers, {counts.waiting:,} raw files that wait, and "
        f"{counts.records:,} records."
    )
    if counts.changing:
        lines.append(f"{counts.changing:,} were replaced each time that they were looked at: verify them later.")
    if counts.archived:
        lines.append(f"{counts.archived:,} are in an archive, and were not read: restore them to verify them.")
    return "\n".join(lines)
