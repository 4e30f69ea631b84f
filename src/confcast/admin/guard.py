"""What every request has to pass before anything looks at it: where it is for, and where it comes from.

A page of another origin can have a browser send requests to 127.0.0.1, and a name of its own can lead there (DNS
rebinding). Guarantees: a request whose `Host` is no name of this server is refused; one with an `Origin` other than
this server's, or that its browser calls cross-site or same-site (`Sec-Fetch-Site`), as well; but for a person who
follows a link to the page, which holds no data. No answer has a CORS header, and OPTIONS is refused as every method
that is not used. A token in a URL is refused: history, logs and proxies would keep it. Every answer, whoever gives it,
has the headers that keep it out of caches, frames and other pages.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from email.utils import formatdate
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from confcast.admin.connections import CROWDED
from confcast.admin.problems import ProblemError
from confcast.admin.tokens import Tokens

METHODS = ("GET", "HEAD", "POST")

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)

ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", CSP.encode()),
)
"""What every answer has."""

_NO_STORE = (b"cache-control", b"no-store")
_TOKEN_NAMES = frozenset({b"token", b"access_token", b"api_key", b"apikey", b"key_token", b"authorization", b"bearer"})
_OWN_SITE = (b"same-origin", b"none")

_log = logging.getLogger("confcast.admin")


class Guard:
    """The outermost layer of the application.

    Args:
        app: What is guarded.
        origins: The origins that are this server: `http://127.0.0.1:9151`.
        tokens: The tokens, to know one in a URL.
    """

    def __init__(self, app: ASGIApp, origins: Iterable[str], tokens: Tokens) -> None:
        self._app, self._tokens = app, tokens
        self._origins = frozenset(each.lower().encode() for each in origins)
        self._hosts = frozenset(each.partition(b"://")[2] for each in self._origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not served")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(name.lower(), value) for name, value in message["headers"]]
                given = {name for name, _ in headers}
                now = (b"date", formatdate(usegmt=True).encode())
                added = [each for each in (*ALWAYS, _NO_STORE, now) if each[0] not in given]
                message = {**message, "headers": [*headers, *added]}
            await send(message)

        try:
            self._check(scope)
        except ProblemError as error:
            await error.response()(scope, receive, with_headers)
            return
        await self._app(scope, receive, with_headers)

    def _check(self, scope: Scope) -> None:
        """Raise ProblemError unless the request is for this server, and from a place that may ask it."""
        if scope.get(CROWDED):
            text = "too many connections are open: try again"
            raise ProblemError(503, "too_many_connections", text, {"Retry-After": "1", "Connection": "close"})
        if scope["method"] not in METHODS:
            raise ProblemError(405, "method", f"{', '.join(METHODS)} are served", {"Allow": ", ".join(METHODS)})
        hosts = _values(scope, b"host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            names = ", ".join(sorted(each.decode() for each in self._hosts))
            raise ProblemError(403, "host", f"this server is {names}: another Host needs --allow-host")
        self._check_origin(scope)
        self._check_url(scope)

    def _check_origin(self, scope: Scope) -> None:
        origins = _values(scope, b"origin")
        if any(each.lower() not in self._origins for each in origins):
            raise ProblemError(403, "origin", "a page of another origin may not ask this server")
        sites = _values(scope, b"sec-fetch-site")
        if any(each not in _OWN_SITE for each in sites) and not _is_a_visit(scope):
            raise ProblemError(403, "origin", "a page of another site may not ask this server")

    def _check_url(self, scope: Scope) -> None:
        query: bytes = scope["query_string"]
        names = {part.partition(b"=")[0].lower() for part in query.split(b"&")}
        url = unquote_to_bytes(scope["raw_path"] + b"?" + query)
        if names & _TOKEN_NAMES or self._tokens.are_in(url):
            raise ProblemError(
                400,
                "token_in_url",
                "a token in a URL stands in histories and logs: send it as `Authorization: Bearer TOKEN`, and replace "
                "it by a new one in the file of tokens",
            )


def _values(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]


def _is_a_visit(scope: Scope) -> bool:
    """Whether a person has followed a link to the page."""
    mode, dest = _values(scope, b"sec-fetch-mode"), _values(scope, b"sec-fetch-dest")
    return scope["method"] == "GET" and scope["path"] == "/" and mode == [b"navigate"] and dest == [b"document"]
