"""How objects that have something of people are shown."""

from __future__ import annotations

from collections.abc import Sequence

from gata_assets.governance.privacy.scanning import Finding

_MOST_SHOWN = 20


def shown_findings(what: str, findings: Sequence[Finding]) -> list[str]:
    """A line for each of the first, and how many there are more; `what` says what is wrong with them."""
    lines = [f"  {what}: {_where(one)} ({one.fault or f'{one.values:,} values'})" for one in findings[:_MOST_SHOWN]]
    return [*lines, *([f"  and {len(findings) - _MOST_SHOWN:,} more"] if len(findings) > _MOST_SHOWN else [])]


def _where(finding: Finding) -> str:
    return f"{finding.haystack}: {finding.key}" if finding.haystack else finding.key
