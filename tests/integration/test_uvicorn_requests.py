"""uvicorn by each interface: what is one request sees one version, and what comes after it the newest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.embedding import hold, let_all_go
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


def test_a_request_sees_one_version_to_the_last_byte_of_its_body(server: Alone, tmp_path: Path):
    old = server.change()
    server.hup()
    call, body, numbers = hold(server, tmp_path)
    server.change()
    assert server.hup()[0] == "success"
    call.let_go()
    body.await_load()
    server.change()
    assert server.hup()[0] == "success"
    body.let_go()

    assert numbers() == [old] * 3


def test_what_comes_after_a_request_sees_the_newest_in_the_same_thread_too(server: Alone, tmp_path: Path):
    """The threads of the last test are the ones that wait for work longest; so many requests meet each of them."""
    newest = server.change()
    server.hup()

    assert {server.ask("read")["number"] for _ in range(30)} == {newest}


def test_requests_side_by_side_each_see_their_own_version(server: Alone, tmp_path: Path):
    old = server.change()
    server.hup()
    held = [hold(server, tmp_path / "first")]
    newest = server.change()
    assert server.hup()[0] == "success"
    held += [hold(server, tmp_path / name) for name in ("second", "third")]

    assert server.ask("read")["number"] == newest
    assert let_all_go(held) == [[old] * 3, [newest] * 3, [newest] * 3]


@pytest.mark.parametrize("server", ["asgi"], indirect=True)
class TestUvicorn(WebSockets):
    """A master that is its only worker."""
