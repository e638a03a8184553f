"""What an API key may allow. Imports nothing that takes time: every command of `gata` names them."""

from __future__ import annotations

from typing import Literal, get_args

Scope = Literal["ingest", "validate", "read", "privacy", "admin"]
# To send data, to have data validated without landing it, to read what became of it, to have people erased; `admin`
# allows all of these, and what changes the tenant's ingestion.
SCOPES: tuple[Scope, ...] = get_args(Scope)
ADMIN: Scope = "admin"
# Of a key that only sends.
USUAL_SCOPES: tuple[Scope, ...] = ("ingest", "validate")
