"""What the tests with real engines share: servers that live as long as the run, and tests that are coroutines."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast.fleet import publishing
from confcast.fleet.engines import engine
from tests.support.certificates import Authority
from tests.support.engines import each_program
from tests.support.engines.server import Program, Server
from tests.support.leaks import assert_nothing_left, belongings
from tests.support.waiting import DEADLINE

_numbers = itertools.count(1)


class Servers:
    """Servers that are started at first use, and shared by the tests of this process.

    A test has a key of its own.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[type[Server], Program, str], Server] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="certificates-")

    def shared(self, kind: type[Server], program: Program) -> Server:
        """One that may be paused and resumed, and no more."""
        return self._running(kind, program, "shared")

    def expendable(self, kind: type[Server], program: Program) -> Server:
        """One that may be killed, restarted and emptied: it is run again for the next test that takes it."""
        return self._running(kind, program, "expendable")

    def secured(self, kind: type[Server], program: Program) -> Server:
        """One that asks for a password, which may be rotated, and serves TLS if the program can."""
        return self._running(kind, program, "secured")

    @property
    def pids(self) -> set[int]:
        """Those that run now."""
        return {server.pid for server in self._found.values() if server.is_running}

    def close(self) -> None:
        """End all."""
        for server in self._found.values():
            server.__exit__()
        self._folder.cleanup()

    def _running(self, kind: type[Server], program: Program, what: str) -> Server:
        server = self._found.get((kind, program, what))
        if server is None:
            server = self._found[kind, program, what] = kind(program)
            if what == "secured":
                server.with_password("right-1")
                if program.has_tls:
                    server.with_tls(self.certificates())
        if not server.is_running:
            server.start()
        return server

    def certificates(self) -> Authority:
        """Whose certificate is for 127.0.0.1, and no name."""
        authority = Authority(Path(tempfile.mkdtemp(dir=self._folder.name)))  # each server's own
        certificate, key = authority.pair("the engine", address="127.0.0.1")
        authority.put(authority.keyfile, key)
        authority.put(authority.certfile, certificate)
        return authority


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Those of this process."""
    found = Servers()
    yield found
    found.close()


@pytest.fixture(autouse=True)
def nothing_is_left(servers: Servers, runtime_folder: Path) -> Iterator[None]:
    """Nothing of a test outlives it, but the servers."""
    before = belongings()
    yield
    assert_nothing_left(before, runtime_folder, servers.pids)


@pytest.fixture(params=list(each_program()))
def chosen(request: pytest.FixtureRequest) -> Any:
    """The class of a server, and its program: each engine in turn."""
    return request.param


@pytest.fixture
def server(chosen: Any, servers: Servers) -> Server:
    """See `Servers.shared`."""
    return servers.shared(*chosen)


@pytest.fixture
def expendable(chosen: Any, servers: Servers) -> Server:
    """See `Servers.expendable`."""
    return servers.expendable(*chosen)


@pytest.fixture
def secured(chosen: Any, servers: Servers) -> Server:
    """See `Servers.secured`."""
    return servers.secured(*chosen)


@pytest.fixture(autouse=True)
def notices_come(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real engine on a busy machine takes more than the product's second or two to tell of what was written."""
    monkeypatch.setattr(publishing, "TIDY_WITHIN", DEADLINE)
    if {"server", "expendable", "primary"} & set(request.fixturenames):
        for name, seconds in (("etcd", "_SILENT"), ("postgres", "_PROOF")):
            monkeypatch.setattr(importlib.import_module(f"{engine.__package__}.{name}"), seconds, DEADLINE / 2)


@pytest.fixture
def key() -> str:
    """One that no other test has."""
    return f"shop-{os.getpid()}-{next(_numbers)}e"  # no key is another one less its last sign


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine function; it must leave no task, and nothing that a loop has to complain about."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    complaints: list[dict[str, Any]] = []
    asyncio.run(_run(pyfuncitem.obj, arguments, complaints))
    assert not complaints, complaints
    return True


async def _run(test: Any, arguments: dict[str, Any], complaints: list[dict[str, Any]]) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    async with asyncio.timeout(DEADLINE):
        await test(**arguments)
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    if rest:
        await asyncio.wait(rest, timeout=DEADLINE)
    assert not (left := [task for task in rest if not task.done()]), left
    await _until_closed()


async def _until_closed() -> None:
    """Wait for open sockets, five seconds at the most: asyncpg waits for no other side's end of a refused TLS."""
    transports: Any = getattr(asyncio.get_running_loop(), "_transports", {})  # asyncio's own loops have them
    with contextlib.suppress(TimeoutError):  # what is still open then is a leak, which is found as ever
        async with asyncio.timeout(5.0):
            while any(getattr(each, "_sock", None) is not None for each in list(transports.values())):
                await asyncio.sleep(0.001)
