"""The two halves of a batch, as `--only` names them."""

from __future__ import annotations

from gata_assets.errors import SettingsError
from gata_assets.settings.model import Settings

TICKETS, INTERACTIONS = "tickets", "interactions"


def require_tenants(settings: Settings, only: str | None) -> None:
    """Raise SettingsError where interactions alone are asked for, and there is no tenant."""
    if only == INTERACTIONS and not settings.tenants_prepared:
        raise SettingsError("TENANTS is not set: it says whose interactions are prepared. Example: TENANTS=acme,globex")
