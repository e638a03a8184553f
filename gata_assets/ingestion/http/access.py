"""Who asks, and whether they may: an API key, its tenant, its scope and its rate.

Nothing of a body is read before. Without keys (`trusts_network`) the tenant is what the caller says.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from starlette.requests import Request

from gata_assets.curation.layout import is_tenant_name
from gata_assets.ingestion.http.problems import Problem
from gata_assets.ingestion.http.service import Service
from gata_assets.ingestion.keys.scopes import Scope

_SCHEME = {"WWW-Authenticate": 'Bearer realm="gata"'}


@dataclass(frozen=True)
class Caller:
    """Whose data it is, None for a caller without a key who did not say it; and the prefix of the key, if any."""

    tenant: str | None
    key_prefix: str | None = None

    @property
    def required_tenant(self) -> str:
        """The tenant; raises Problem without one."""
        if self.tenant is None:
            raise Problem(422, "no-tenant", "Say whose data it is: ?tenant_id=NAME.")
        return self.tenant


async def admit(service: Service, request: Request, scope: Scope) -> Caller:
    """Let a caller in, or raise the Problem that keeps them out; raises StoreError if keys cannot be looked up."""
    named = set(request.query_params.getlist("tenant_id"))
    if service.rules.trusts_network:
        if len(named) > 1 or not all(map(is_tenant_name, named)):
            raise Problem(422, "no-tenant", "tenant_id is one name: 1 to 63 of a-z 0-9 _.")
        tenant, prefix = next(iter(named), None), None
        take_turn(service, tenant or "")
    else:
        secret = _secret_of(request)
        key = await service.call(service.keys.find, secret)
        if key is None:
            raise Problem(401, "unknown-key", "The API key is unknown, revoked or expired.", headers=_SCHEME)
        take_turn(service, key.prefix)
        tenant, prefix = key.tenant, key.prefix
        if not key.allows(scope):
            raise Problem(403, "scope", f"The API key does not allow this: it needs the scope {scope}.")
        if named - {tenant}:
            raise Problem(403, "other-tenant", "tenant_id names another tenant than that of the API key.")
    request.state.tenant = tenant
    return Caller(tenant, prefix)


def _secret_of(request: Request) -> str:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    found = secret.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "").strip()
    if not found:
        raise Problem(
            401,
            "no-key",
            "An API key is needed: Authorization: Bearer KEY, or X-API-Key: KEY. `gata keys create` makes one.",
            headers=_SCHEME,
        )
    return found


def take_turn(service: Service, who: str) -> None:
    """Count a request of a key, a tenant or a source of webhooks; raises Problem if there are too many."""
    if wait := service.limit.take(who):
        seconds = ceil(wait)
        raise Problem(
            429,
            "too-many-requests",
            f"At most {service.rules.requests_per_second:g} requests a second are taken in the long run: try again in "
            f"{seconds} s. A request with many rows counts once.",
            headers={"Retry-After": str(seconds)},
        )
