"""`gata retention rules`: prints the lifecycle rules of the target's bucket."""

from __future__ import annotations

from gata_assets.definitions.retention import find_scopes, moved_prefixes
from gata_assets.definitions.stores import build_store
from gata_assets.errors import SettingsError
from gata_assets.governance.retention import lifecycle
from gata_assets.settings.model import Settings


def show(settings: Settings, *, as_terraform: bool) -> None:
    """Print the rules; raises SettingsError without a bucket, DataRuleError or StoreError."""
    bucket = settings.target.bucket
    if bucket is None:
        raise SettingsError("TARGET_BUCKET is unset: a directory has no lifecycle rules.")
    moved = moved_prefixes(settings, find_scopes(settings, build_store(settings)))
    rules = lifecycle.lifecycle_rules(settings.retention.rules, moved)
    print(lifecycle.as_terraform(rules, bucket) if as_terraform else lifecycle.as_configuration(rules))
