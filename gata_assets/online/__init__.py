"""The online slice in Redis as applications read it: the newest tickets of a tenant, one whole version at a time.

Light to import: the standard library, redis, msgspec and pydantic. What writes a version is in `lake/online`. Readers
and the contract are loaded when they are first used: settings are read where redis is not installed too.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gata_assets.errors import NotPublishedError, OnlineError, VersionGoneError
from gata_assets.online.info import DocumentFormat, VersionInfo

if TYPE_CHECKING:
    from gata_assets.online.reader import OnlineReader
    from gata_assets.online.ticket import Ticket
    from gata_assets.online.version import OnlineVersion

__all__ = [
    "DocumentFormat",
    "NotPublishedError",
    "OnlineError",
    "OnlineReader",
    "OnlineVersion",
    "Ticket",
    "VersionGoneError",
    "VersionInfo",
]

_LATER = {
    "OnlineReader": "gata_assets.online.reader",
    "OnlineVersion": "gata_assets.online.version",
    "Ticket": "gata_assets.online.ticket",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
