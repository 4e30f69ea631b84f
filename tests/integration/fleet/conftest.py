"""What the tests with real engines share: servers that live as long as the run, and tests that are coroutines."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.engines.server import Program, Server
from tests.support.waiting import DEADLINE


class Servers:
    """Servers that are started at first use, and shared by the tests of this process.

    A test has a key of its own. One that kills its server takes an expendable one: a second server, that is run again
    for the next such test.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[type[Server], Program, bool], Server] = {}

    def of(self, kind: type[Server], program: Program, *, expendable: bool = False) -> Server:
        """One that answers."""
        server = self._found.get((kind, program, expendable))
        if server is None:
            server = self._found[kind, program, expendable] = kind(program)
        if not server.is_running:
            server.start()
        return server

    def close(self) -> None:
        """End all."""
        for server in self._found.values():
            server.__exit__()


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Those of this process."""
    found = Servers()
    yield found
    found.close()


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
        await asyncio.wait(rest, timeout=1.0)
    assert not (left := [task for task in rest if not task.done()]), left
