"""What stored tables and datasets were built with and from, and whether that is what a run would use now.

Assets can be materialized one by one, days apart and with other settings. A table carries its provenance (in `attrs`,
and in its file), and each reader checks here that it matches the current run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from gata_assets.errors import DataRuleError
from gata_assets.orchestration.batch_status import MISSING, BatchStatus, Reason
from gata_assets.tables.manifests import Manifest
from gata_assets.ticket_contract.accounting import TextCounts, TicketAccount
from gata_assets.tickets.rules import NEW_SETTINGS, PreparationRules

PROVENANCE = "provenance"
# Where a table's file has it, as JSON, in its own metadata.
FILE_KEY = b"gata_assets"
SHA256 = "sha256"
LABEL_NAMES = "label_names"
# In the manifest of a dataset that people were erased from: its digest before, which Dagster has recorded.
COUNTS_AS = "counts_as"

# The settings that shape a table, by table.
_OF_TICKETS = ("TRAINING_PERIOD", "ON_INVALID_TICKETS", "MAX_TICKET_BYTES", "TEXT_NORMALIZATION")
_SHAPING = {
    "tickets": _OF_TICKETS,
    "label_counts": (*_OF_TICKETS, "LOW_VOLUME_THRESHOLD"),
    "low_volume_tickets": (*_OF_TICKETS, "LOW_VOLUME_PERIOD", "LOW_VOLUME_THRESHOLD", "LOW_VOLUME_MIN_COUNT"),
}
# Not noted at its default: tables stay byte for byte what earlier releases wrote.
_NOTED_IF_CHANGED = ("TEXT_NORMALIZATION",)


def batch_status(general: Manifest | None, low_volume: Manifest | None, rules: PreparationRules) -> BatchStatus:
    """How a batch's two stored datasets compare with what would be built now; None is an incomplete dataset.

    A dataset of an earlier run next to one of a later, interrupted run has other label counts: the batch is missing.
    """
    if general is None or low_volume is None:
        return MISSING
    counts, other_counts = (manifest.made_from.get("label_counts") for manifest in (general, low_volume))
    if counts is None or counts != other_counts:
        return MISSING
    # Earlier releases wrote texts as they were, and did not say how many tickets they left out.
    is_earlier = any("tickets" not in manifest.details for manifest in (general, low_volume))
    differences = {Reason.SETTINGS} if is_earlier or rules.differ_from(general.settings) else frozenset()
    return BatchStatus.of(differences, version=str(low_volume.details.get(COUNTS_AS, low_volume.digest)))


def stamp(
    table: pd.DataFrame,
    name: str,
    rules: PreparationRules,
    made_from: Mapping[str, pd.DataFrame],
    account: TicketAccount | None = None,
    label_names: Mapping[int, str] | None = None,
) -> pd.DataFrame:
    """The table with its provenance: the settings that shape it, the SHA-256 of the files it was built from, the
    account of its tickets, and the names of its labels, if they have names.
    """
    settings = rules.as_settings()
    stamped = table.copy(deep=False)
    stamped.attrs = {
        PROVENANCE: {
            "settings": {
                setting: settings[setting]
                for setting in _SHAPING[name]
                if setting not in _NOTED_IF_CHANGED or settings[setting] != NEW_SETTINGS[setting]
            },
            "made_from": {source: frame.attrs[SHA256] for source, frame in made_from.items()},
            **({"tickets": account.as_json()} if account else {}),
            **({"text_normalization": account.texts.as_json()} if account and account.texts else {}),
            **({} if label_names is None else {LABEL_NAMES: names_as_json(label_names, table["label"])}),
        }
    }
    return stamped


def stored_account(table: pd.DataFrame, name: str) -> TicketAccount:
    """The account in a stored table's provenance; raises DataRuleError without one."""
    try:
        account = TicketAccount.from_json(table.attrs[PROVENANCE]["tickets"])
        texts = table.attrs[PROVENANCE].get("text_normalization")
        return replace(account, texts=TextCounts.from_json(texts)) if texts else account
    except (KeyError, TypeError, ValueError):
        raise DataRuleError(
            f"{name}: the stored table does not say how many tickets were left out, since an earlier release wrote it. "
            f"Materialize `{name}` again, together with what is built from it."
        ) from None


def stored_label_names(table: pd.DataFrame) -> Mapping[int, str] | None:
    """The names in a stored table's provenance, by id; None if labels are numbers."""
    names = table.attrs[PROVENANCE].get(LABEL_NAMES)
    return None if names is None else {int(label): str(name) for label, name in names.items()}


def names_as_json(names: Mapping[int, str], labels: pd.Series[int]) -> dict[str, str]:
    """The names of labels that occur, by id, as in manifests and in provenance."""
    return {str(label): names[label] for label in sorted(labels.dropna().unique().tolist()) if label in names}


def require_provenance(
    table: pd.DataFrame, name: str, rules: PreparationRules, made_from: Mapping[str, pd.DataFrame] | None = None
) -> None:
    """Raise DataRuleError unless a table was built with the settings of this run and from the given tables."""
    provenance = table.attrs[PROVENANCE]
    settings = rules.as_settings()
    for setting in _SHAPING[name]:
        value = provenance["settings"].get(setting, NEW_SETTINGS.get(setting, "unknown"))
        if settings[setting] != value:
            raise DataRuleError(
                f"{name}: the stored table was built with {setting}={value}, and this run has {settings[setting]}. "
                f"Materialize `{name}` again, together with what is built from it."
            )
    for source, frame in (made_from or {}).items():
        if provenance["made_from"].get(source) != frame.attrs[SHA256]:
            raise DataRuleError(
                f"{name}: the stored table was built from another `{source}` than the one that is stored now. "
                f"Materialize `{name}` again, together with what is built from it."
            )
