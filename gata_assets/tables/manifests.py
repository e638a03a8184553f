"""What all manifests have in common: version, bytes, how spans are written, and the word of a withdrawn one.

A manifest is written last. One that is withdrawn stands in for it while its files are written anew, where the role
may not delete.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gata_assets.batches import Window

MANIFEST_VERSION = 1

_WITHDRAWN = "withdrawn: the files are being written anew; do not read them"


def encode_manifest(manifest: Mapping[str, Any]) -> bytes:
    """A manifest as JSON for machines and people."""
    return (json.dumps(manifest, indent=2) + "\n").encode()


def withdraw(manifest: Mapping[str, Any]) -> bytes:
    """What stands in for a manifest that no longer holds; `manifest` are the fields that say of what it is."""
    withdrawn = {"manifest_version": MANIFEST_VERSION, **manifest, "is_made": False, "reason": _WITHDRAWN, "files": {}}
    return encode_manifest(withdrawn)


def read_manifest(content: bytes) -> Mapping[str, Any] | None:
    """A manifest's fields; None for one that is withdrawn, and for what is no manifest of this project."""
    try:
        manifest = json.loads(content)
        return None if manifest["reason"] == _WITHDRAWN else dict(manifest)
    except (ValueError, KeyError, TypeError):
        return None


def describe_span(window: Window) -> dict[str, str | int]:
    """A window in ISO 8601 and in epoch seconds."""
    return {
        "start_at": window.start_at.isoformat(),
        "end_at": window.end_at.isoformat(),
        "start": window.start,
        "end": window.end,
    }
