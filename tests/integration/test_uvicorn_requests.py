"""uvicorn by each interface: what is one request sees one version, and what comes after it the newest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.embedding import SideBySide, SlowRequest
from tests.support.server import servers_of
from tests.support.uvicorn import Alone
from tests.support.websockets import WebSockets

INTERFACES = {
    "asgi": ("asgi_app:app",),
    "wsgi": ("app:app", "--interface", "wsgi"),
}  # others: tests/unit/servers/uvicorn/


@pytest.fixture(scope="module", params=INTERFACES)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    application, *arguments = INTERFACES[request.param]
    with servers_of(Alone, tmp_path_factory.mktemp("site")) as make:
        yield make(application=application).start(*arguments)


class TestUvicornRequests(SlowRequest, SideBySide):
    """A master that is its only worker."""


def test_what_comes_after_a_request_sees_the_newest_in_the_same_thread_too(server: Alone, tmp_path: Path):
    """The threads of the last test are the ones that wait for work longest; so many requests meet each of them."""
    newest = server.change()
    server.hup()

    assert {server.ask("read")["number"] for _ in range(30)} == {newest}


@pytest.mark.parametrize("server", ["asgi"], indirect=True)
class TestUvicorn(WebSockets):
    """A master that is its only worker."""
