"""Asset checks: their specifications, and how outcomes reach Dagster.

A check is evaluated on the value before it is written; if a blocking check fails, the value is not written. Domains
define their checks.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import dagster as dg

from gata_assets.errors import ChecksFailedError
from gata_assets.orchestration.dagster_private import target_of
from gata_assets.tables.outcomes import Outcome, broken


def specs(
    asset: dg.AssetKey, descriptions: Mapping[str, str], *names: str, is_blocking: bool = True
) -> list[dg.AssetCheckSpec]:
    """The specifications of an asset's checks; `descriptions` are by name.

    Without partitions, though each evaluation names its own: Dagster shows a partitioned check as failed while it is
    failed for any partition, however old (docs/adr/0010-ui.md).
    """
    return [
        dg.AssetCheckSpec(name, asset=asset, description=descriptions[name], blocking=is_blocking) for name in names
    ]


@contextmanager
def without_maturity_warnings() -> Iterator[None]:
    """Silence Dagster's warnings, at every use, about features in preview or beta.

    The pandera integration and partition mappings are; the versions are pinned, and tests cover what is relied upon.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        warnings.simplefilter("ignore", dg.BetaWarning)
        yield


def evaluations(
    asset: dg.AssetKey,
    partition: str | None,
    outcomes: Mapping[str, Sequence[Outcome]],
    *,
    only_warned_of: frozenset[str] = frozenset(),
    is_blocking: bool = True,
    target: dg.EventLogRecord | None = None,
) -> Iterator[dg.AssetCheckEvaluation]:
    """The outcomes of an asset's checks for a partition, as events; `target` is the record of what was checked.

    An `AssetCheckResult` belongs to a run's only partition or to none; in a run over a range, each needs its own.
    """
    for name, outcome in outcomes.items():
        failed = broken(outcome)
        is_error = is_blocking and name not in only_warned_of
        yield dg.AssetCheckEvaluation(
            asset_key=asset,
            check_name=name,
            partition=partition,
            passed=not failed,
            severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
            blocking=is_blocking,
            metadata={
                # A number, which the UI plots over batches.
                "broken": dg.MetadataValue.int(sum(rule.failed for rule in outcome)),
                **{rule.rule: dg.MetadataValue.text(_described(rule)) for rule in outcome},
            },
            description=_of_partition(partition, "; ".join(map(str, failed)) or "passed"),
            target_materialization_data=None if target is None else target_of(target),
        )


def _of_partition(partition: str | None, text: str) -> str:
    """The list of a check's evaluations has no column for partitions."""
    return text if partition is None else f"{partition}: {text}"


def _described(outcome: Outcome) -> str:
    return f"broken by {outcome.failed:,} of {outcome.checked:,} {outcome.unit}"


def require_passed(
    asset: str,
    outcomes: Mapping[str, Sequence[Outcome]],
    *,
    only_warned_of: frozenset[str] = frozenset(),
    so: str = "and nothing was written.",
) -> None:
    """Raise ChecksFailedError if a blocking check has failed: which rules, how many rows break them, what to do.

    `so` ends the sentence: the consequence.
    """
    faults = {name: broken(outcome) for name, outcome in outcomes.items() if name not in only_warned_of}
    rules = [str(fault) for outcome in faults.values() for fault in outcome]
    if rules:
        message = f"{asset} breaks {len(rules)} rule{'s' if len(rules) > 1 else ''}, {so} "
        raise ChecksFailedError(message + " | ".join(rules), tuple(name for name, outcome in faults.items() if outcome))
