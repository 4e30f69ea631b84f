"""Real servers whose application derives something: built once it is imported; a worker that can't build it leaves."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support import granian, gunicorn, hypercorn, uvicorn
from tests.support.server import Server, servers_of
from tests.support.slow import slow
from tests.support.waiting import eventually

APPLICATION = """\
import os
from pathlib import Path
import asgi_app
from app import app as wsgi, settings

def log(text):
    with open("built", "a") as file:
        file.write(f"{text}\\n")

def make(number):
    if not Path("database").exists():
        raise ConnectionError("no database")
    log(f"{os.getpid()} {number}")
    return number

async def make_on_the_loop(number):
    return make(number)

IS_ASYNC = False
pool = settings.derive(make_on_the_loop if IS_ASYNC else make, lambda c: c.number, name="pool")

async def asgi(scope, receive, send):
    if scope["type"] != "lifespan":
        await asgi_app.app(scope, receive, send)
        return
    await receive()
    try:
        await settings.aattach()
    except Exception as error:
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        raise
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await settings.aclose()
    await send({"type": "lifespan.shutdown.complete"})
"""

LEAVES = "this worker can't attach and exits: number: pool can't be built: ConnectionError: no database"
TWO = "workers = 2\nworker_class = {!r}\nwsgi_app = {!r}"
GUNICORN: dict[str, Any] = {"above": "", "below": TWO.format("sync", "derived_app:wsgi")}
GEVENT: dict[str, Any] = {"above": "", "below": TWO.format("gevent", "derived_app:wsgi")}
ASGI: dict[str, Any] = {"above": "", "below": TWO.format("uvicorn_worker.UvicornWorker", "derived_app:asgi")}
KINDS = {
    "gunicorn": (gunicorn.Server, GUNICORN, False),
    "gunicorn, in a lifespan": (gunicorn.Server, ASGI, True),
    "uvicorn": (uvicorn.Server, {"application": "derived_app:asgi"}, False),
    "uvicorn, in a lifespan": (uvicorn.Server, {"application": "derived_app:asgi"}, True),
    "gunicorn, gevent": (gunicorn.Server, GEVENT, False),
    "hypercorn": (hypercorn.Server, {"application": "derived_app:asgi"}, False),
    "hypercorn, in a lifespan": (hypercorn.Server, {"application": "derived_app:asgi"}, True),
    "granian": (granian.Server, {"application": "derived_app:asgi"}, False),
    "granian, in a lifespan": (granian.Server, {"application": "derived_app:asgi"}, True),
}

QUICK = ("gunicorn", "uvicorn, in a lifespan")
ENDS = ("hypercorn", "hypercorn, in a lifespan")  # with the first worker that dies


@pytest.fixture(params=[*QUICK, *(slow(each) for each in KINDS if each not in QUICK + ENDS)])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server of two workers, started with a database that is there."""
    kind, options, is_async = KINDS[request.param]
    folder = tmp_path / "site"
    folder.mkdir()
    text = APPLICATION.replace("IS_ASYNC = False", f"IS_ASYNC = {is_async}")
    with ExitStack() as stack:
        make: Callable[..., Any] = stack.enter_context(servers_of(kind, folder))
        made = make(**options)
        (made.folder / "derived_app.py").write_text(text)
        (made.folder / "database").touch()
        yield made.start()


def built(server: Server) -> list[tuple[int, int]]:
    """Which worker has built for which number."""
    return [
        (int(pid), int(number)) for pid, number in map(str.split, (server.folder / "built").read_text().splitlines())
    ]


def test_it_is_built_after_the_import_and_at_each_vote_and_a_worker_that_can_not_build_it_leaves(
    server: Server,
) -> None:
    pids = check_that_it_is_built(server)

    (server.folder / "database").unlink()
    victim = min(pids)
    os.kill(victim, signal.SIGKILL)
    server.await_log(LEAVES)
    assert server.ask("read")["pid"] in pids - {victim}
    (server.folder / "database").touch()
    eventually(lambda: len(server.ask("workers")) == 2 and len(server.pids() - {victim}) == 2, "two workers again")
    assert pids - {victim} < server.pids()


@pytest.mark.slow
@pytest.mark.parametrize("server", ENDS, indirect=True)
def test_it_is_built_after_the_import_and_at_each_vote(server: Server) -> None:
    check_that_it_is_built(server)


def check_that_it_is_built(server: Server) -> set[int]:
    """In each worker, for the version in hand and for the next one. Returns the workers."""
    pids = server.pids()
    assert sorted(built(server)) == sorted((pid, 1) for pid in pids)
    server.change()
    server.signal(signal.SIGHUP)
    eventually(lambda: {each["number"] for each in server.everyone().values()} == {2}, "the second number")
    assert {pid for pid, number in built(server) if number == 2} == pids
    return pids
