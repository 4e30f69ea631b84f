"""A worker whose lifespan can't build what is derived leaves; everything else passes through."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

import pytest

from confcast import BuildError, Problem
from confcast.servers.common import lifespan
from confcast.servers.common.lifespan import Lifespan


class Left(Exception):
    """The process would have ended."""


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    statuses: list[int] = []

    def leave(status: int) -> NoReturn:
        statuses.append(status)
        raise Left

    monkeypatch.setattr(lifespan.os, "_exit", leave)
    return statuses


def serve(kind: str, error: BaseException | None, told: list[Any]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        told.append(scope["type"])
        if error is not None:
            raise error

    def leave(why: str) -> NoReturn:
        told.append(why)
        raise SystemExit(1)

    async def main() -> None:
        await Lifespan(app, leave)({"type": kind}, None, None)

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["http", "websocket", "lifespan"])
def test_what_is_served_passes_through(kind: str, exits: list[int]) -> None:
    told: list[Any] = []
    serve(kind, None, told)
    assert (told, exits) == ([kind], [])


def test_a_lifespan_that_can_not_build_ends_the_process_with_status_1_and_says_why(exits: list[int]) -> None:
    told: list[Any] = []
    with pytest.raises(Left):
        serve("lifespan", BuildError("pool", "database", [Problem("database", "pool can't be built")]), told)
    assert (told, exits) == (["lifespan", "database: pool can't be built"], [1])


@pytest.mark.parametrize("kind", ["lifespan", "http"])
def test_another_failure_is_the_server_s(kind: str, exits: list[int]) -> None:
    with pytest.raises(KeyError):
        serve(kind, KeyError("x"), [])
    assert exits == []


def test_a_request_that_can_not_build_is_a_failed_request(exits: list[int]) -> None:
    with pytest.raises(BuildError):
        serve("http", BuildError("pool", "", [Problem("", "no")]), [])
    assert exits == []
