"""The application: what a request passes on its way to an owner, and back.

A request passes the guard, shows a token, has its query or body read, and asks one owner in a thread. `table.py` has
the routes. Rejected: FastAPI (pydantic models of our Structs would say everything twice).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

import confcast
from confcast.admin import bodies
from confcast.admin.answers import answer
from confcast.admin.authentication import Authentication
from confcast.admin.calls import Calls
from confcast.admin.changes import Outcome, expected
from confcast.admin.event_streams import EventStreams
from confcast.admin.fleet_state import Ask, FleetState
from confcast.admin.guard import Guard
from confcast.admin.limits import Limits
from confcast.admin.openapi import document
from confcast.admin.owners import Owners
from confcast.admin.page_files import PageFiles
from confcast.admin.problems import ProblemError, unavailable
from confcast.admin.table import CHANGES, READS, Change, Read
from confcast.admin.tokens import Token, Tokens
from confcast.errors import ConfcastError, ConfigError, OwnerUnavailable
from confcast.log_fields import about

_log = logging.getLogger("confcast.admin")

Handler = Callable[[Request, Token], Awaitable[Response]]


class Admin:
    """The API and the page. For one loop.

    Args:
        owners: The owners.
        calls: Runs what blocks.
        tokens: Who may come in.
        limits: The bounds.
        fleet: Asks for the fleet's state; None where there is no fleet.
    """

    def __init__(self, owners: Owners, calls: Calls, tokens: Tokens, limits: Limits, fleet: Ask | None = None) -> None:
        self._fleet_state = FleetState(fleet)
        self._owners, self._calls, self._tokens, self._limits = owners, calls, tokens, limits
        self._authentication = Authentication(tokens, limits)
        self.streams = EventStreams(owners, calls, tokens, limits)

    def close(self) -> None:
        """End all streams, and tell all who wait: the process ends."""
        self.streams.close()
        self._calls.close()

    def application(self, origins: list[str]) -> ASGIApp:
        """The ASGI application; `origins`: those that are this server."""
        handlers = {ProblemError: _problem, HTTPException: _of_starlette, Exception: _fault}
        app = Starlette(routes=self.routes(), exception_handlers=handlers)
        app.router.redirect_slashes = False  # /v1/set/ is no path: a redirect would be an answer that nothing describes
        return Guard(app, origins, self._tokens)

    def routes(self) -> list[Route]:
        """What is served: the page, and the table."""
        page = PageFiles()
        return [
            Route("/", page.index),
            Route("/static/{path:path}", page.static),
            Route("/v1/owners", self._known(self._all_owners)),
            Route("/v1/session", self._known(self._session)),
            Route("/v1/fleet", self._known(self._fleet)),
            Route("/v1/openapi.json", self._known(self._openapi)),
            Route("/v1/events", self._known(self.streams.open)),
            *(Route(each.path, self._known(partial(self._read, each))) for each in READS),
            *(Route(each.path, self._known(partial(self._change, each)), methods=["POST"]) for each in CHANGES),
        ]

    def _known(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """The handler, for who shows a token."""

        async def known(request: Request) -> Response:
            return await handler(request, self._authentication.token_of(request))

        return known

    async def _all_owners(self, request: Request, token: Token) -> Response:
        found = await self._owners.all()
        return answer({"owners": await self._calls.do("", partial(self._owners.described, found))})

    async def _session(self, request: Request, token: Token) -> Response:
        return answer({"token": token.name, "may_write": token.may_write, "confcast": confcast.__version__})

    async def _fleet(self, request: Request, token: Token) -> Response:
        return answer({"fleet": await self._fleet_state.state()})

    async def _openapi(self, request: Request, token: Token) -> Response:
        return answer(document())

    async def _read(self, route: Read, request: Request, token: Token) -> Response:
        given = dict(request.query_params)
        wanted = given.pop("owner", None)
        try:
            query = msgspec.convert(given, route.query, strict=False)
        except msgspec.ValidationError as error:
            raise ProblemError(400, "query", f"the URL asks for what is not there: {error}") from None
        owner = await self._owners.find(wanted)
        found, number = await self._asked(owner.address, lambda: route.ask(owner.client(), query))
        return answer(found, number)

    async def _change(self, route: Change, request: Request, token: Token) -> Response:
        if not token.may_write:
            text = f"the token {token.name!r} may read only: a change wants one with the role write"
            raise ProblemError(403, "read_only", text)
        expect = expected(request.headers.getlist("if-match")) if route.changes else None
        body = await bodies.read(request, route.body, self._limits)
        owner = await self._owners.find(request.query_params.get("owner"))
        done = await self._asked(
            owner.address, lambda: Outcome(owner.client(f"admin token {token.name}"), route.do, body, expect)
        )
        told = about("admin_change", token=token.name, command=route.command, result=done.event.result)
        _log.info("asked by token %s: %s: %s", token.name, route.command, done.event.result, extra=told)
        response: Response = done.response()
        return response

    async def _asked(self, whom: str, ask: Callable[[], Any]) -> Any:
        """What it returns, in a thread. Raises ProblemError."""
        try:
            return await self._calls.do(whom, ask)
        except ConfigError as error:
            raise ProblemError(422, "refused", str(error), problems=list(error.problems)) from None
        except OwnerUnavailable as error:
            raise unavailable(str(error)) from None
        except ConfcastError as error:
            raise ProblemError(502, "owner_refused", str(error)) from None
        except (ValueError, TypeError) as error:  # of the verbs' arguments
            raise ProblemError(422, "arguments", str(error)) from None


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return error.response()


async def _of_starlette(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {404: ("not_found", "there is no such path"), 405: ("method", "this path has another method")}
    result, text = words.get(error.status_code, ("request", error.detail))
    return ProblemError(error.status_code, result, text, dict(error.headers or {})).response()


async def _fault(request: Request, error: Exception) -> Response:
    return ProblemError(500, "fault", "a fault of confcast's: its log has more").response()
