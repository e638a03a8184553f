"""Reads a request's body up to a limit; what is larger is refused before it is kept, and who is too slow is not waited
for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from starlette.requests import Request

from gata_assets.ingestion.http.problems import Problem, too_large
from gata_assets.ingestion.http.service import Service

# In the long run; who sends less holds a connection, and what has arrived, for nothing.
_LEAST_BYTES_A_SECOND = 1_000


def require_size(request: Request, most_bytes: int) -> int:
    """How large a body is, as it says itself, or may be at most; raises Problem if it is too large, or encoded."""
    encodings = [*request.headers.getlist("content-encoding"), *request.headers.getlist("transfer-encoding")]
    if {name.strip().lower() for name in ",".join(encodings).split(",")} - {"", "identity", "chunked"}:
        raise Problem(
            415,
            "encoding",
            "Bodies with a Content-Encoding, or a Transfer-Encoding but chunked, are not taken: "
            "send the body as it is.",
        )
    size = request.headers.get("content-length", str(most_bytes))
    if not size.isascii() or not size.isdecimal():
        raise Problem(400, "malformed", "Content-Length is no number.")
    # A number of more digits is too large whatever it is.
    if len(size) > 18 or int(size) > most_bytes:
        raise too_large("The bytes of the body", f"{most_bytes:,} bytes")
    return int(size)


@asynccontextmanager
async def held_body(service: Service, request: Request, most_bytes: int) -> AsyncIterator[bytes]:
    """All of a body, which counts as held in memory until the context ends; raises Problem for a larger one."""
    require_size(request, most_bytes)
    with service.room() as hold:
        body = bytearray()
        async for chunk in _chunks(request, service.rules.patience_seconds):
            if len(body) + len(chunk) > most_bytes:
                raise too_large("The bytes of the body", f"{most_bytes:,} bytes")
            hold(len(chunk))
            body += chunk
        yield bytes(body)


async def in_pieces(service: Service, request: Request, piece_bytes: int) -> AsyncIterator[bytes]:
    """A body in pieces of about so many bytes: few steps for what is done with each."""
    held = bytearray()
    async for chunk in _chunks(request, service.rules.patience_seconds):
        held += chunk
        if len(held) >= piece_bytes:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


async def _chunks(request: Request, patience_seconds: float) -> AsyncIterator[bytes]:
    """What arrives of a body; raises Problem if nothing more does for a while, or too little in the long run."""
    # Only waiting counts, not what is done with the bytes in between.
    waited, size = 0.0, 0
    chunks = aiter(request.stream())
    while True:
        begun = monotonic()
        try:
            async with asyncio.timeout(patience_seconds + min(0, size / _LEAST_BYTES_A_SECOND - waited)):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise Problem(
                408,
                "slow",
                f"The body arrives too slowly: {size:,} bytes came, then none for {patience_seconds:g} s, or fewer "
                f"than {_LEAST_BYTES_A_SECOND:,} a second. Nothing of it was taken.",
                headers={"Connection": "close"},
            ) from None
        waited += monotonic() - begun
        size += len(chunk)
        yield chunk
