"""The base of all errors."""

from __future__ import annotations


class GataError(Exception):
    """The base of all errors raised on purpose."""
