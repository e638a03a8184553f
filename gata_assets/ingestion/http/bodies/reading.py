"""Reads a request's body up to a limit; what is larger is refused before it is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request

from gata_assets.ingestion.http.problems import Problem, too_large


def require_size(request: Request, most_bytes: int) -> int:
    """How large a body is, as it says itself, or may be at most; raises Problem if it is too large, or encoded."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "encoding", "Bodies with a Content-Encoding are not taken: send the body as it is.")
    size = request.headers.get("content-length", str(most_bytes))
    if not size.isascii() or not size.isdecimal():
        raise Problem(400, "malformed", "Content-Length is no number.")
    # A number of more digits is too large whatever it is.
    if len(size) > 18 or int(size) > most_bytes:
        raise too_large("The bytes of the body", f"{most_bytes:,} bytes")
    return int(size)


async def read_body(request: Request, most_bytes: int) -> bytes:
    """All of a body; raises Problem for a larger one."""
    require_size(request, most_bytes)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise too_large("The bytes of the body", f"{most_bytes:,} bytes")
    return bytes(body)


async def in_pieces(request: Request, piece_bytes: int) -> AsyncIterator[bytes]:
    """A body in pieces of about so many bytes: few steps for what is done with each."""
    held = bytearray()
    async for chunk in request.stream():
        held += chunk
        if len(held) >= piece_bytes:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)
