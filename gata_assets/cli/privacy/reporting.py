"""`gata privacy report`: what is read for a report, and in which form it is shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from gata_assets.cli.target import open_store
from gata_assets.cli.trust.verifying import FORMS, open_listing
from gata_assets.definitions.privacy.places import concerns
from gata_assets.definitions.shop_engine import open_shop_store
from gata_assets.governance.privacy.privacy_log import log_of
from gata_assets.governance.privacy.reports.page import report_page
from gata_assets.governance.privacy.reports.report import RequestReport, State, Verified, report_request
from gata_assets.governance.trust.verification import Verification
from gata_assets.settings.model import Settings
from gata_assets.shop.places import layout_of


def run(settings: Settings, tenant: str, request: str, *, as_page: bool, for_auditor: bool) -> bool:
    """Print the report, and return whether the request is complete and no file is another than it should be.

    Raises as `report_request`.
    """
    store, now = open_store(settings), datetime.now(UTC)
    keys = (key for key in store.list_keys("") if concerns(tenant, key))
    log = log_of(open_shop_store(settings), layout_of(tenant), lambda: now)
    report = report_request(
        store, log, tenant, request, keys, lambda: _verify(settings, tenant) if for_auditor else None
    )
    if as_page:
        click.echo(report_page(report, for_auditor=for_auditor, now=now), nl=False)
    else:
        print(json.dumps(report.as_json(for_auditor=for_auditor), default=_as_json, indent=1))
    for message in _faults(report):
        click.echo(message, err=True)
    return report.is_complete


def _verify(settings: Settings, tenant: str) -> Verified:
    store, listed = open_listing(settings, [tenant])
    verification = Verification(store, FORMS, listed=listed)
    return Verified.of(verification.counts, list(verification.run()))


def _faults(report: RequestReport) -> list[str]:
    found = []
    if report.state is State.INCOMPLETE:
        found.append(
            f"The request {report.request} is INCOMPLETE: the same command with the same name goes on with it."
        )
    if report.verified and report.verified.problems:
        found.append(f"{len(report.verified.problems):,} files are not as they were written: see `gata verify`.")
    return found


def _as_json(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
