"""Who asks for something about people, as the log names them: by which way, and whom that way knows."""

from __future__ import annotations

import os
import pwd
from typing import NewType

# Such as `cli:anna`, `http:1a2b3c4d` or `dagster`.
Actor = NewType("Actor", str)
DAGSTER = Actor("dagster")


def command_actor() -> Actor:
    """The user of the system who gives a command: by the process, since a variable may name anybody."""
    number = os.getuid()
    try:
        return Actor(f"cli:{pwd.getpwuid(number).pw_name}")
    except KeyError:
        # Of a container, which may have users without a name.
        return Actor(f"cli:{number}")


def http_actor(prefix: str) -> Actor:
    """Who has an API key, by its prefix."""
    return Actor(f"http:{prefix}")
