"""How webhooks may be signed. Imports nothing that takes time: every command of `gata` names them."""

from __future__ import annotations

from typing import Literal, get_args

# Each has a published request that a test verifies.
Scheme = Literal["standard", "github"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
