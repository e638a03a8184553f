"""The keys of a source's raw files, reports, staged and rejected rows, curated tables and tables for analysts.

A source is what a tenant is elsewhere: the first folder of its raw files' keys, as the DMS task writes them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from gata_assets.curation.layout import TenantLayout

# What may be a bucket of its own; then keys there begin behind it.
RAW, CURATED, PROD = "shop/raw/", "shop/curated/", "shop/prod/"

# What commands name a source by, before its name.
OWNER = "shop/"

_DAY = re.compile(r"year=([0-9]{4})/month=([0-9]{1,2})/day=([0-9]{1,2})/")


@dataclass(frozen=True)
class ShopLayout(TenantLayout):
    """The keys of one source's data."""

    @property
    def owner(self) -> str:
        """See TenantLayout."""
        return f"{OWNER}{self.tenant}"

    @property
    def raw_files(self) -> str:
        """See TenantLayout."""
        return f"{RAW}{self.tenant}/"

    def raw(self, table: str, landed_on: date | None = None) -> str:
        """See TenantLayout; days are folders as Hive writes them."""
        day = f"year={landed_on:%Y}/month={landed_on:%m}/day={landed_on:%d}/" if landed_on else ""
        return f"{self.raw_files}{table}-raw/{day}"

    def landing_day(self, table: str, key: str) -> date | None:
        """See TenantLayout."""
        found = _DAY.match(key.removeprefix(self.raw(table)))
        try:
            return date(*map(int, found.groups())) if found else None
        except ValueError:
            return None

    @property
    def root(self) -> str:
        """See TenantLayout."""
        return f"{CURATED}{self.tenant}/"

    @property
    def prod(self) -> str:
        """The folder of the tables for analysts."""
        return f"{PROD}{self.tenant}/"


def is_of_shop(owner: str) -> bool:
    """Whether it is a source of the shop, as commands name it, and no tenant."""
    return owner.startswith(OWNER)


def layout_of(owner: str) -> TenantLayout:
    """The keys of a tenant's data, or of those of a source of the shop."""
    return ShopLayout(owner.removeprefix(OWNER)) if is_of_shop(owner) else TenantLayout(owner)
