"""The online slice in Redis as applications read it: the newest tickets of a tenant, one whole version at a time.

Light to import: the standard library, redis, msgspec and pydantic. What writes a version is in `lake/online`.
"""

from gata_assets.errors import NotPublishedError, OnlineError, VersionGoneError
from gata_assets.online.info import DocumentFormat, VersionInfo
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
