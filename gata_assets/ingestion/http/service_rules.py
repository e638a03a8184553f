"""Who may send to the service, and how much; pure, and without what the service needs to be installed."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True)
class ServiceRules:
    """Who may, and how much.

    Attributes:
        trusts_network: whether callers need no key, and say themselves which tenant they are.
        max_body_bytes: of a body of JSON.
        max_body_rows: of a body of JSON.
        max_upload_bytes: of an uploaded file.
        max_upload_rows: lines of an uploaded file that is not compressed.
        max_events: single events in one request.
        requests_per_second: of a key, in the long run.
        burst: requests of a key at once.
        patience_seconds: how long the head of a request, and the next bytes of a body, are waited for.
    """

    trusts_network: bool = False
    max_body_bytes: int = 32_000_000
    max_body_rows: int = 100_000
    max_upload_bytes: int = 4_000_000_000
    max_upload_rows: int = 50_000_000
    max_events: int = 1_000
    requests_per_second: float = 50
    burst: float = 100
    patience_seconds: float = 30


def is_private_address(host: str) -> bool:
    """Whether only a private network, or this machine, reaches an address; all addresses at once are not private, nor
    is a name, which may have any address.
    """
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return (address.is_private or address.is_loopback) and not address.is_unspecified
