"""A request's body, as far as it is small enough: on its way in whatever it is, and as JSON after it was inflated."""

from __future__ import annotations

import zlib

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: 5,000 results are half a megabyte.
LARGEST = 8 * 2**20


class Limit:
    """Stops reading a body that is too large, before anybody looks who sends it: frameworks read it whole first."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > LARGEST:
                raise _too_large()
            return message

        await self._app(scope, counted, send)


async def read_json(request: Request) -> bytes:
    """Raises: HTTPException 400, 413 or 415, before more than the limit is in memory."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, f"Content-Type is {kind or 'not told'}; wanted application/json")
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip"):
        raise HTTPException(415, f"Content-Encoding is {coding}; wanted gzip or none")
    inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16) if coding == "gzip" else None
    body = bytearray()
    async for chunk in request.stream():
        if inflate is None:
            body += chunk
        else:
            body += _inflated(inflate, chunk, LARGEST + 1 - len(body))
        if len(body) > LARGEST:
            raise _too_large()
    if inflate is not None and not inflate.eof:
        raise HTTPException(400, "the gzipped body ends too early")
    return bytes(body)


def _inflated(inflate: zlib._Decompress, chunk: bytes, room: int) -> bytes:
    try:
        found = inflate.decompress(chunk, room)
    except zlib.error as error:
        raise HTTPException(400, f"the body is not gzip: {error}") from None
    if inflate.unused_data:
        raise HTTPException(400, "there is more behind the gzipped body")
    return found


def _too_large() -> HTTPException:
    return HTTPException(413, f"the body has more than {LARGEST:,} bytes; send a run at a time")
