"""The tables of a batch's two datasets as data: their order, checks with outcomes, and what each is built from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from gata_assets.curation.curated.check_names import QUALITY_IS_HIGH_ENOUGH
from gata_assets.interactions import check_names
from gata_assets.interactions.datasets import CURATED_INTERACTIONS, CURATED_ITEMS, DatasetKind
from gata_assets.interactions.engines import base
from gata_assets.interactions.rules import CatalogRules
from gata_assets.tables.outcomes import Outcome


@dataclass(frozen=True)
class BatchTable:
    """A table of a batch: its checks, the tables that it is built from, and checks that stop nothing."""

    checks: tuple[str, ...]
    made_from: tuple[str, ...]
    only_warns: tuple[str, ...] = ()


_MATCH, _NOTHING_AFTER = check_names.FEATURES_MATCH_THE_EVENTS, check_names.NOTHING_AFTER_THE_BATCH

# The tables of each dataset, in order; a dataset is empty when its first table has no rows.
TABLES: Mapping[DatasetKind, Mapping[str, BatchTable]] = {
    DatasetKind.FEATURES: {
        base.USER_FEATURES: BatchTable(
            ("user_features_are_valid", _MATCH, _NOTHING_AFTER),
            (CURATED_INTERACTIONS,),
            # Of the batch: it is on its first table, so that a low score is one alert.
            only_warns=(QUALITY_IS_HIGH_ENOUGH,),
        ),
        base.ITEM_FEATURES: BatchTable(
            ("item_features_are_valid", _MATCH, check_names.ITEMS_ARE_IN_THE_CATALOGUE),
            (CURATED_INTERACTIONS, CURATED_ITEMS),
        ),
        base.RECENT_INTERACTIONS: BatchTable(
            ("recent_interactions_are_valid", _MATCH, _NOTHING_AFTER), (CURATED_INTERACTIONS,)
        ),
    },
    DatasetKind.TRAINING_DATA: {
        base.NEGATIVE_SAMPLES: BatchTable(
            (
                "negative_samples_are_valid",
                check_names.NEGATIVES_WERE_NEVER_INTERACTED,
                check_names.NO_NEGATIVE_TWICE,
                check_names.RATIO_IS_KEPT_OR_COUNTED_SHORT,
                check_names.NEGATIVES_COVER_THE_CATALOGUE,
                _NOTHING_AFTER,
            ),
            (CURATED_INTERACTIONS, CURATED_ITEMS),
        ),
        base.WITH_FEATURES: BatchTable(
            (check_names.WITH_FEATURES_ARE_VALID, check_names.WITH_FEATURES_ARE_THE_NEGATIVE_SAMPLES),
            (base.NEGATIVE_SAMPLES, base.USER_FEATURES, base.ITEM_FEATURES),
        ),
    },
}
# The check of the written files, made before their manifest is written.
OF_WRITTEN = check_names.WITH_FEATURES_ARE_THE_NEGATIVE_SAMPLES
# Why a batch has no features, unless no file has a row at all.
NO_INTERACTIONS = "the window has no interactions"


def datasets_of(tables: set[str]) -> list[DatasetKind]:
    """The datasets of selected tables; raises dagster.Failure for a partly selected one, as it has one manifest."""
    wanted = [name for name in DatasetKind if tables.intersection(TABLES[name])]
    for name in wanted:
        if missing := TABLES[name].keys() - tables:
            raise dg.Failure(
                f"The tables of {name} are built together: select {', '.join(sorted(missing))} too.",
                allow_retries=False,
            )
    return wanted


def outcomes_of(table: str, rules: CatalogRules, built: base.BuiltTables | None) -> dict[str, Sequence[Outcome]]:
    """The outcomes of a table's checks before it is written; if nothing was built, they have no rows checked."""
    [names] = [tables[table].checks for tables in TABLES.values() if table in tables]
    outcomes: dict[str, Sequence[Outcome]] = {name: [Outcome(name, failed=0, checked=0, advice="")] for name in names}
    if built is not None:
        made_here = (OF_WRITTEN, check_names.ITEMS_ARE_IN_THE_CATALOGUE)
        outcomes.update({name: built.outcomes[table][name] for name in names if name not in made_here})
        if check_names.ITEMS_ARE_IN_THE_CATALOGUE in names and built.unknown_items is not None:
            # Definitions load no Polars.
            from gata_assets.interactions.features.unknown_items import check_unknown_items

            outcomes[check_names.ITEMS_ARE_IN_THE_CATALOGUE] = [check_unknown_items(built.unknown_items, rules)]
    return outcomes
