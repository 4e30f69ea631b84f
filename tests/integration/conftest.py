"""What the tests with real processes share: a folder, a manager, workers, and a check that nothing stays."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast import ConfigLoader, Replica
from confcast.config.sources.layer import Source
from confcast.master.embedded import EmbeddedManager
from confcast.master.start import launch
from confcast.wire.files import owner_dirs
from confcast.worker.client import known_owners, members, verbs, waiting
from tests.support import beside, gunicorn
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.gate import Gate
from tests.support.leaks import assert_nothing_left, belongings
from tests.support.passing import Passing
from tests.support.served import Serves, serves
from tests.support.server import Server, servers_of
from tests.support.settings import SCHEMA, Settings, write
from tests.support.waiting import DEADLINE
from tests.support.workers import Worker


@pytest.fixture(scope="session", autouse=True)
def forkserver(signals_arrive: None) -> multiprocessing.context.BaseContext:
    """Workers are forked from a process that has imported all they need: quick, and without pytest's threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "tests.support.workers"])
    multiprocessing.resource_tracker.ensure_running()
    multiprocessing.forkserver.ensure_running()
    return context


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines of ours for what an owner does: on a loaded machine its imports alone may take five seconds."""
    monkeypatch.setattr(launch, "_EXIT_TIMEOUT", DEADLINE)
    monkeypatch.setattr(verbs, "_ANSWER_TIMEOUT", DEADLINE)
    monkeypatch.setattr(known_owners, "_EACH", DEADLINE)
    monkeypatch.setattr(known_owners, "_ALL", DEADLINE)
    monkeypatch.setattr(members, "_EACH", DEADLINE)
    monkeypatch.setattr(waiting, "_GRACE", DEADLINE)


@pytest.fixture
def runtime_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where this test's owners live. Not in tmp_path: a socket's path has room for 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="cc-") as folder:
        monkeypatch.setenv("CONFCAST_RUNTIME_DIR", folder)
        yield Path(folder)


@pytest.fixture
def no_other_owners(runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Owners of other programs on this machine are not looked for."""
    monkeypatch.setattr(owner_dirs, "candidates", lambda: iter([runtime_folder]))
    monkeypatch.setattr(owner_dirs, "of_other_users", lambda name=None, master=None: [])


@pytest.fixture(autouse=True)
def nothing_is_left(runtime_folder: Path) -> Iterator[None]:
    """No process, thread, descriptor or folder of a test outlives it."""
    before = belongings()
    yield
    assert_nothing_left(before, runtime_folder)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The file, with the number 1 in it."""
    path = tmp_path / "app.toml"
    write(path, 1)
    return path


@pytest.fixture
def passing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Passing:
    """Has time pass for the owners that are started from now on: a test names it before its manager."""
    return Passing(tmp_path / "passed", monkeypatch)


@pytest.fixture
def start_manager(config: Path, nothing_is_left: None) -> Iterator[StartManager]:
    """Starts a manager of the file; it watches only with an option, so that a test's own trigger is the one.

    Without a probation, in which a test that kills workers would have its versions undone, and each wait takes longer.
    """
    managers: list[Manager] = []

    def start(path: Path = config, *sources: Source, **options: Any) -> Manager:
        manager: Manager = EmbeddedManager(
            ConfigLoader(SCHEMA, path, *sources), **{"watch": False, "vote_timeout": 10.0, "probation": 0, **options}
        )
        managers.append(manager)
        return manager.start()

    yield start
    for manager in managers:
        manager.close()


@pytest.fixture
def manager(start_manager: StartManager) -> Manager:
    """A manager that was started, without workers yet."""
    return start_manager()


@pytest.fixture
def start_worker(
    forkserver: multiprocessing.context.BaseContext, nothing_is_left: None, start_manager: StartManager
) -> Iterator[StartWorker]:
    """Starts a worker that attaches to the manager it is given; without one it waits for the command."""
    workers: list[Worker] = []

    def start(manager: Manager | None = None) -> Worker:
        worker = Worker(forkserver, manager.address if manager is not None else None)
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.end()


@pytest.fixture
def settings(manager: Manager) -> Iterator[Replica[Settings]]:
    """This process's own replica, attached; the manager shares it."""
    replica = Replica(Settings, name="app").attach(ignore_sighup=False)
    yield replica
    replica.close()


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers of the kind that the test's class says, or its file; gunicorns where neither does."""
    kind = getattr(request.cls, "kind", None) or getattr(request.module, "kind", gunicorn.Server)
    folder = tmp_path / "site"
    folder.mkdir()
    with servers_of(kind, folder) as make:
        yield make


@pytest.fixture
def gate(tmp_path: Path, nothing_is_left: None) -> Iterator[Gate]:
    """Holds up the loads of configurations that name it."""
    gate = Gate(tmp_path / "gate")
    yield gate
    gate.open()
    gate.let_go()


@pytest.fixture(scope="module")
def shared_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the `shared_manager`."""
    return tmp_path_factory.mktemp("shared") / "app.toml"


@pytest.fixture(scope="module")
def shared_manager(shared_config: Path, forkserver: multiprocessing.context.BaseContext) -> Iterator[Manager]:
    """One manager for all tests of a file, where starting one for each would take longer than the tests."""
    write(shared_config, 1)
    with tempfile.TemporaryDirectory(prefix="cc-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONFCAST_RUNTIME_DIR", folder)
        loader: ConfigLoader[Settings] = ConfigLoader(SCHEMA, shared_config)
        with EmbeddedManager(loader, watch=False, vote_timeout=10.0, probation=0) as manager:
            manager.get_stats()  # the connection that is kept from now on is no test's own
            yield manager


@pytest.fixture
def serve(
    forkserver: multiprocessing.context.BaseContext, tmp_path: Path, runtime_folder: Path, nothing_is_left: None
) -> Iterator[Serves]:
    """Starts `confcast serve` processes of a file with the number 1, at `c.sock`."""
    write(tmp_path / "app.toml", 1)
    runtime_folder.chmod(0o711)
    with serves(forkserver, tmp_path, runtime_folder / "c.sock") as made:
        yield made


@pytest.fixture
def attached(forkserver: multiprocessing.context.BaseContext, serve: Serves) -> Iterator[Callable[[], Worker]]:
    """Starts processes that attach at the address of `serve`, and hold what they find."""
    started: list[Worker] = []

    def start_one() -> Worker:
        started.append(beside.start(forkserver, beside.Beside))
        started[-1].ask("attach", str(serve.address))
        return started[-1]

    yield start_one
    for each in started:
        with contextlib.suppress(ValueError):  # the test has ended it
            each.end()
