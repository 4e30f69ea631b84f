"""One owner with two workers, and one admin server, for all tests of a file."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from confcast import ConfigLoader
from confcast.master.embedded import EmbeddedManager
from tests.support.admin import AdminServer, Api
from tests.support.fixtures import Manager
from tests.support.leaks import assert_nothing_left, belongings
from tests.support.settings import SCHEMA, Settings, write
from tests.support.workers import Worker


class Site(NamedTuple):
    """What the tests share."""

    manager: Manager
    config: Path
    workers: list[Worker]
    server: AdminServer

    def api(self, role: str = "write") -> Api:
        """Somebody with a token."""
        return self.server.start().client(role)


@pytest.fixture(autouse=True)
def nothing_is_left(runtime_folder: Path) -> None:
    """Looked at once, when what the tests share has ended: an owner that a test kills is followed by another."""


@pytest.fixture(scope="module")
def _nothing_is_left_of_all(forkserver: multiprocessing.context.BaseContext) -> Iterator[None]:
    """No process, thread or descriptor of these tests outlives them."""
    with tempfile.TemporaryDirectory(prefix="cc-") as folder:
        before = belongings()
        yield
        assert_nothing_left(before, Path(folder))


@pytest.fixture(scope="module")
def _site(
    tmp_path_factory: pytest.TempPathFactory,
    forkserver: multiprocessing.context.BaseContext,
    _nothing_is_left_of_all: None,
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    write(config := folder / "app.toml", 1)
    with tempfile.TemporaryDirectory(prefix="cc-") as runtime, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONFCAST_RUNTIME_DIR", runtime)
        loader: ConfigLoader[Settings] = ConfigLoader(SCHEMA, config)
        with EmbeddedManager(loader, watch=False, vote_timeout=10.0, probation=0) as manager:
            workers = [Worker(forkserver, manager.address) for _ in range(2)]
            server = AdminServer(folder, "--address", manager.address).start()
            manager.get_stats()
            yield Site(manager, config, workers, server)
            server.close()
            for each in workers:
                each.end()


@pytest.fixture
def site(_site: Site) -> Site:
    """The site, with the number 1 in its file and everywhere, nothing held and nothing set."""
    write(_site.config, 1)
    if _site.manager.status().provisional:
        assert _site.manager.confirm()
    if names := [each.key for each in _site.manager.status().overrides]:
        assert _site.manager.unset(names)
    assert _site.manager.resume()
    assert _site.manager.current.number == 1
    _site.server.start()
    return _site


@pytest.fixture
def start_admin(tmp_path: Path, nothing_is_left: None) -> Iterator[Callable[..., AdminServer]]:
    """Starts further admin servers."""
    started: list[AdminServer] = []

    def start(*arguments: str, program: tuple[str, ...] = ("confcast", "admin")) -> AdminServer:
        folder = tmp_path / f"admin-{len(started)}"
        folder.mkdir()
        started.append(AdminServer(folder, *arguments, program=program))
        return started[-1].start()

    yield start
    for each in started:
        each.close()
