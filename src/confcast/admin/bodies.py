"""Reads the body of a request: bounded in bytes and seconds, as JSON of the expected type.

Guarantees. A body that says that it is too long is refused before a byte of it is read; one that does not say so, as
soon as it is. At most the bound is kept in memory. An answer to a body that still comes is sent at once, and then what
comes is thrown away for a moment: otherwise the kernel would reset the connection, and the answer would be lost.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from confcast.admin.limits import Limits
from confcast.admin.problems import ProblemError

T = TypeVar("T")


_LINGER = 1.0
_MOST_THROWN_AWAY = 16 * 1024 * 1024


async def read(request: Request, kind: type[T], limits: Limits) -> T:
    """The body, of this type. Raises ProblemError."""
    content = await _content(request, limits)
    try:
        return msgspec.json.decode(content or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProblemError(400, "body", f"the body is not what is expected: {_without_values(error)}") from None


async def _content(request: Request, limits: Limits) -> bytes:
    kind = request.headers.get("content-type", "")
    length = request.headers.get("content-length")
    if length is not None and int(length) > limits.body:
        raise _too_long(limits)
    content = bytearray()
    try:
        async with asyncio.timeout(limits.body_within):
            while True:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ProblemError(400, "body", "the connection ended before the body did")
                content += message.get("body", b"")
                if len(content) > limits.body:
                    raise _too_long(limits)
                if not message.get("more_body"):
                    break
    except TimeoutError:
        text = f"the body was not there within {limits.body_within:g} s"
        raise ProblemError(408, "body", text, {"Connection": "close"}) from None
    if content and kind.partition(";")[0].strip().lower() != "application/json":
        raise ProblemError(415, "body", "Content-Type: application/json is expected")
    return bytes(content)


def _too_long(limits: Limits) -> ProblemError:
    return TooLong(413, "body", f"a body has at most {limits.body} bytes", {"Connection": "close"})


def _without_values(error: Exception) -> str:
    """What msgspec says, without the words that it quotes: a value may be a secret."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, msgspec.ValidationError):
        text = str(error)
        return text if "Invalid enum value" not in text else "a value is none of those that are possible"
    return "no valid JSON in UTF-8"


class TooLong(ProblemError):
    """A body that is refused while it still comes."""

    def response(self) -> Response:
        """The answer, which is sent before the body has come."""
        plain = super().response()
        return _AnsweredFirst(plain.body, plain.status_code, self.headers, plain.media_type)


class _AnsweredFirst(Response):
    """Is sent whole; then what still comes is thrown away, for a moment; then it ends."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                await _throw_away(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _throw_away(receive: Receive) -> None:
    thrown = 0
    while thrown < _MOST_THROWN_AWAY:
        message = await receive()
        thrown += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return
