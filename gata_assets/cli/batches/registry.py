"""The registered pipelines, by the names that `--only` accepts: a new one is an entry here.

Not in `definitions`, which loads Dagster: `gata --help` lists the names and responds at once. The module that builds a
pipeline is imported on demand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gata_assets.errors import SettingsError, StoreError

if TYPE_CHECKING:
    import dagster as dg

    from gata_assets.definitions.pipelines import Workbench
    from gata_assets.orchestration.pipelines import Pipeline
    from gata_assets.settings.model import Settings


@dataclass(frozen=True)
class Entry:
    """How to build the pipelines of a name, whether they are of tenants, and the error if they are requested but the
    settings have none.
    """

    build: Callable[[Workbench], Sequence[Pipeline]]
    when_none: str = "there is none with these settings."
    is_of_tenants: bool = False
    is_of_lakes: bool = False


def _tickets(bench: Workbench) -> Sequence[Pipeline]:
    from gata_assets.definitions.pipelines import build_ticket_pipelines

    return build_ticket_pipelines(bench)


def _interactions(bench: Workbench) -> Sequence[Pipeline]:
    from gata_assets.definitions.pipelines import build_interaction_pipelines

    return build_interaction_pipelines(bench)


def _tables(bench: Workbench) -> Sequence[Pipeline]:
    from gata_assets.definitions.pipelines import build_table_pipelines

    return build_table_pipelines(bench)


def _lake(bench: Workbench) -> Sequence[Pipeline]:
    from gata_assets.definitions.pipelines import build_lake_pipelines

    return build_lake_pipelines(bench)


def _shop(bench: Workbench) -> Sequence[Pipeline]:
    from gata_assets.definitions.pipelines import build_shop_pipelines

    return build_shop_pipelines(bench)


PIPELINES: Mapping[str, Entry] = {
    # Before tickets, which may be read from a lake.
    "lake": Entry(
        _lake,
        "there is no lake: LAKE_TENANTS names nobody, and while it is unset, tenants with raw files of tickets have "
        "one. `gata ingest tickets` lands the first.",
        is_of_lakes=True,
    ),
    "tickets": Entry(_tickets),
    "interactions": Entry(
        _interactions,
        "there is no tenant: TENANTS names nobody, and while it is unset, those with raw files in the target are "
        "prepared. `gata ingest` lands the first.",
        is_of_tenants=True,
    ),
    "tables": Entry(
        _tables,
        "there is no own table or no tenant: TABLE_SPECS names modules with tables (TABLE_SPECS=mycompany.tables), and "
        "tenants are those of TENANTS or, while it is unset, those with raw files in the target.",
        is_of_tenants=True,
    ),
    "shop": Entry(_shop, "there is no shop: SHOP_SOURCES names the sources of shops (SHOP_SOURCES=ecommerce)."),
}


def build_pipelines(
    settings: Settings,
    logger: dg.LoggerDefinition,
    *,
    only: str | None = None,
    registered: Mapping[str, Entry] = PIPELINES,
) -> list[Pipeline]:
    """The pipelines that the settings have, in their order; with `only`, those of that name.

    The target is listed for tenants if a chosen pipeline is of tenants and TENANTS is unset; where that fails, the
    others are built, and one that fails with the reason. Raises SettingsError if the settings have no pipeline named
    `only`.
    """
    from gata_assets.definitions.pipelines import UnknownTenants, Workbench, find_lakes, find_tenants

    chosen = registered if only is None else {only: registered[only]}
    unknown: list[Pipeline] = []
    tenants: tuple[str, ...] = ()
    lakes: tuple[str, ...] = ()
    try:
        tenants = find_tenants(settings) if any(entry.is_of_tenants for entry in chosen.values()) else ()
        lakes = find_lakes(settings) if any(entry.is_of_lakes for entry in chosen.values()) else ()
    except StoreError as error:
        unknown.append(UnknownTenants(str(error)))
    bench = Workbench(settings, logger, tenants, lakes)
    built = [pipeline for entry in chosen.values() for pipeline in entry.build(bench)]
    # The shops are looked for too: of one fault of the target one failure is enough.
    pipelines = [pipeline for pipeline in built if pipeline not in unknown] + unknown
    if only is not None and not pipelines:
        raise SettingsError(registered[only].when_none)
    return pipelines
