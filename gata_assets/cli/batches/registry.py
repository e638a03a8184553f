"""The registered pipelines, by the names that `--only` accepts: a new one is an entry here.

Not in `definitions`, which loads Dagster: `gata --help` lists the names and responds at once. The module that builds a
pipeline is imported on demand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gata_assets.errors import SettingsError

if TYPE_CHECKING:
    import dagster as dg

    from gata_assets.definitions.pipelines import Workbench
    from gata_assets.orchestration.pipelines import Pipeline
    from gata_assets.settings.model import Settings


@dataclass(frozen=True)
class Entry:
    """How to build the pipelines of a name, and the error if they are requested but the settings have none."""

    build: Callable[[Workbench], Sequence[Pipeline]]
    when_none: str = "there is none with these settings."


def _tickets(bench: Workbench) -> Sequence[Pipeline]:
    from gata_assets.definitions.pipelines import build_ticket_pipelines

    return build_ticket_pipelines(bench)


def _interactions(bench: Workbench) -> Sequence[Pipeline]:
    from gata_assets.definitions.pipelines import build_interaction_pipelines

    return build_interaction_pipelines(bench)


def _tables(bench: Workbench) -> Sequence[Pipeline]:
    from gata_assets.definitions.pipelines import build_table_pipelines

    return build_table_pipelines(bench)


PIPELINES: Mapping[str, Entry] = {
    "tickets": Entry(_tickets),
    "interactions": Entry(
        _interactions, "TENANTS is not set: it says whose interactions are prepared. Example: TENANTS=acme,globex"
    ),
    "tables": Entry(
        _tables,
        "TABLE_SPECS and TENANTS are not both set: they say which tables of whom are curated. Example: "
        "TABLE_SPECS=mycompany.tables",
    ),
}


def build_pipelines(
    settings: Settings,
    logger: dg.LoggerDefinition,
    *,
    only: str | None = None,
    registered: Mapping[str, Entry] = PIPELINES,
) -> list[Pipeline]:
    """The pipelines that the settings have, in their order; with `only`, those of that name.

    Raises SettingsError if the settings have no pipeline named `only`.
    """
    from gata_assets.definitions.pipelines import Workbench

    bench = Workbench(settings, logger)
    chosen = registered if only is None else {only: registered[only]}
    pipelines = [pipeline for entry in chosen.values() for pipeline in entry.build(bench)]
    if only is not None and not pipelines:
        raise SettingsError(registered[only].when_none)
    return pipelines
