"""The hooks that PRIVACY_HOOKS names: imported, and tried for what a hook must have."""

from __future__ import annotations

import re
from pkgutil import resolve_name

from gata_assets.errors import SettingsError
from gata_assets.governance.privacy.hooks import PrivacyHook
from gata_assets.settings.model import Settings

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}")


def find_hooks(settings: Settings) -> tuple[PrivacyHook, ...]:
    """The hooks in the order of the setting; raises SettingsError for one that cannot be imported, or is no hook."""
    hooks = tuple(map(_resolve, settings.privacy.hooks or ()))
    names = [hook.name for hook in hooks]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SettingsError(f"PRIVACY_HOOKS has two stores of the name {', '.join(twice)}: give each its own.")
    return hooks


def _resolve(where: str) -> PrivacyHook:
    try:
        found = resolve_name(where)
    except Exception as error:
        # A module can raise anything; only the class is named, since the message may contain anything.
        reason = str(error) if isinstance(error, ImportError) else type(error).__name__
        raise SettingsError(
            f"PRIVACY_HOOKS: {where} cannot be imported: {reason}. It must be importable where the command and "
            "Dagster's code server run (installed, or on PYTHONPATH)."
        ) from error
    if not isinstance(found, PrivacyHook) or isinstance(found, type):
        raise SettingsError(
            f"PRIVACY_HOOKS: {where} is no store: it needs a `name`, and the methods `erase`, `export` and `count` "
            "(docs/privacy.md has an example)."
        )
    if not isinstance(found.name, str) or not _NAME.fullmatch(found.name):
        raise SettingsError(
            f"PRIVACY_HOOKS: the `name` of {where} is to be 1 to 63 of letters, digits, spaces, . _ -, and begins with "
            "one of the first two."
        )
    return found
