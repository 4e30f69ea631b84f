"""gunicorn's dirty workers, where no running gunicorn is needed."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.dirty.arbiter import DirtyArbiter

from confcast import Replica
from confcast.servers.common.owners import CalledOff
from confcast.servers.gunicorn.dirty_workers import DirtyArbiters, check, keep_pid_file_of_another, pin, why_imported
from confcast.servers.gunicorn.master_signals import MasterSignals
from tests.support.number import Settings

GONE = 2**22 + 1  # no process has this pid


class Server:
    """The part of gunicorn's arbiter that is used here, with a dirty arbiter."""

    def __init__(self, pidfile: Path) -> None:
        self.pid = os.getpid()
        self.cfg = SimpleNamespace(dirty_workers=1, dirty_apps=["shop:App"])
        self.WORKERS: dict[int, Any] = {}
        self.log = logging.getLogger("dirty arbiters")
        self.dirty_pidfile = str(pidfile)
        self.dirty_arbiter_pid = GONE
        self.dirty_arbiter: Any = SimpleNamespace(socket_path="/former")

    def spawn_dirty_arbiter(self) -> None:
        self.dirty_arbiter_pid, self.dirty_arbiter = GONE + 1, SimpleNamespace(socket_path="/next")


@pytest.mark.parametrize(
    ("apps", "workers", "words"),
    [
        ([], 2, ""),
        (["shop:App"], 0, ""),
        (["shop:App:1"], 2, ""),
        (
            ["a:A", "b:B:2", "c:C"],
            1,
            "by gunicorn, for a:A, c:C in dirty_apps; one with a number, as a:A:1, is not imported",
        ),
    ],
)
def test_it_is_said_how_gunicorn_imports_modules_in_its_master(apps: list[str], workers: int, words: str):
    assert why_imported(SimpleNamespace(dirty_apps=apps, dirty_workers=workers)) == words


def test_a_call_sees_one_version_and_all_else_is_the_application_s_own():
    settings = Replica(Settings, name="dirty")

    class App:
        stashes = ("sessions",)

        def __call__(self, action: str, *args: Any, **options: Any) -> Any:
            before = settings.current.number
            fake.push(Settings(2))
            return action, args, options, before, settings.current.number

        def close(self) -> str:
            return "closed"

    dirty = SimpleNamespace(apps={"shop:App": App()})
    with settings.override(Settings(1)) as fake:
        pin(dirty, [settings])
        (app,) = dirty.apps.values()

        assert app("read", 3, of="it") == ("read", (3,), {"of": "it"}, 1, 1)
        assert settings.current.number == 2
    assert (app.close(), app.stashes) == ("closed", ("sessions",))


@pytest.mark.parametrize("text", [str(GONE), "4711", "no number", None])
def test_only_the_former_s_own_pid_file_is_taken_away(text: str | None, tmp_path: Path):
    pidfile = tmp_path / "gunicorn-dirty-shop.pid"
    if text is None:
        pidfile.mkdir()
    else:
        pidfile.write_text(text)
    server = Server(pidfile)

    DirtyArbiters(server).renew()

    assert pidfile.exists() is (text != str(GONE))
    assert server.dirty_arbiter_pid == GONE + 1


def test_a_link_in_the_place_of_the_pid_file_stays(tmp_path: Path):
    (tmp_path / "other").write_text(str(GONE))
    pidfile = tmp_path / "gunicorn-dirty-shop.pid"
    pidfile.symlink_to(tmp_path / "other")

    DirtyArbiters(Server(pidfile)).renew()

    assert pidfile.is_symlink()


@pytest.mark.parametrize("entry", ["shop.tasks", "shop:App:many", "shop:App:0", "a:b:c:d"])
def test_a_full_reload_with_an_entry_that_gunicorn_can_t_read_is_called_off(entry: str):
    check(SimpleNamespace(dirty_apps=[entry], dirty_workers=0))
    check(SimpleNamespace(dirty_apps=["shop:App", "shop:App:2"], dirty_workers=1))

    with pytest.raises(CalledOff, match=f"dirty_apps in the conf file can't be used: '{entry}': "):
        check(SimpleNamespace(dirty_apps=["shop:App", entry], dirty_workers=1))


@pytest.mark.parametrize("error", [BlockingIOError("no more processes"), SystemExit("no licence")])
@pytest.mark.parametrize("former", [GONE, 0])
def test_a_dirty_arbiter_that_can_t_be_started_ends_nothing_and_the_former_goes_on(
    former: int, error: BaseException, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    def fail() -> None:
        raise error

    server = Server(tmp_path / "none")
    server.dirty_arbiter_pid = former
    server.dirty_arbiter = server.dirty_arbiter if former else None
    server.spawn_dirty_arbiter = fail  # type: ignore[method-assign]
    arbiters = DirtyArbiters(server)

    arbiters.renew()
    server.spawn_dirty_arbiter()  # as gunicorn does in its next turn

    assert server.dirty_arbiter_pid == former
    assert arbiters.pids() == frozenset({former} - {0})
    words = f"confcast: no new dirty arbiter could be started: {type(error).__name__}: {error}"
    assert caplog.messages == [words] * 2


@pytest.mark.parametrize("application", ["dirty_that_exits:App", "shop:App:1"])
def test_a_dirty_arbiter_that_can_t_be_started_leaves_no_folder(
    application: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """gunicorn makes it first, imports the applications then, and forks at last."""

    def spawn() -> None:
        server.dirty_arbiter = DirtyArbiter(cfg, server.log)
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "dirty_that_exits.py").write_text("import sys\nsys.exit('no licence')\n")
    cfg = Config()
    cfg.set("dirty_apps", [application])
    server = Server(tmp_path / "none")
    server.dirty_arbiter_pid, server.dirty_arbiter = 0, None
    server.spawn_dirty_arbiter = spawn  # type: ignore[method-assign]

    DirtyArbiters(server).renew()

    assert list((tmp_path / "tmp").iterdir()) == []
    assert server.dirty_arbiter is None


def test_a_dirty_arbiter_itself_may_end(tmp_path: Path):
    """It is forked within the same call."""
    server = Server(tmp_path / "none")
    server.spawn_dirty_arbiter = sys.exit  # type: ignore[method-assign]
    arbiters = DirtyArbiters(server)
    server.pid = os.getppid()

    with pytest.raises(SystemExit):
        arbiters.renew()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The recorded signals and their receivers; no signal is sent."""
    kills: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: kills.append((pid, number)))
    return kills


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        yield process


def former_of(server: Server, pid: int, *workers: int) -> DirtyArbiters:
    server.dirty_arbiter_pid = pid
    server.WORKERS = dict.fromkeys(workers)
    arbiters = DirtyArbiters(server)
    arbiters.renew()
    return arbiters


def test_a_former_dirty_arbiter_is_sent_usr1_for_rotated_logs_and_ended_when_its_workers_are_gone(
    child: subprocess.Popen[bytes], sent: list[tuple[int, int]], tmp_path: Path
):
    server = Server(tmp_path / "none")
    arbiters = former_of(server, child.pid, 7)

    arbiters.tick()
    arbiters.send(signal.SIGUSR1)
    server.WORKERS = {8: None}
    arbiters.tick()

    assert sent == [(child.pid, signal.SIGUSR1), (child.pid, signal.SIGTERM)]


def test_the_pid_of_a_former_dirty_arbiter_that_gunicorn_has_reaped_is_sent_nothing(
    child: subprocess.Popen[bytes], sent: list[tuple[int, int]], tmp_path: Path
):
    server = Server(tmp_path / "none")
    arbiters = former_of(server, os.getpid())  # a living process that is no child
    arbiters.tick()
    taken_over = former_of(server, child.pid, 7)
    server.WORKERS = {child.pid: None}

    taken_over.tick()
    taken_over.send(signal.SIGUSR1)
    taken_over.close()

    assert sent == []
    assert child.pid not in taken_over.pids()


def test_usr1_for_rotated_logs_is_sent_to_former_dirty_arbiters_too(
    child: subprocess.Popen[bytes], sent: list[tuple[int, int]], tmp_path: Path
):
    server: Any = Server(tmp_path / "none")
    server.cfg.uid = os.geteuid()
    server.handle_usr1 = server.spawn_worker = lambda: None
    hup: Any = MasterSignals(server, conf=Any, recycling=Any)  # type: ignore[arg-type]
    server.dirty_arbiter_pid = child.pid
    hup.dirty.renew()

    server.handle_usr1()

    assert sent == [(child.pid, signal.SIGUSR1)]


@pytest.mark.parametrize(("text", "stays"), [(str(GONE), False), (str(GONE + 1), True), ("", True)])
def test_a_dirty_arbiter_that_ends_takes_its_own_pid_file_away_only(text: str, stays: bool, tmp_path: Path):
    """In a full reload the next one has written the file anew by then."""
    pidfile = tmp_path / "gunicorn-dirty-shop.pid"
    cfg = Config()
    cfg.set("dirty_apps", ["shop:App:1"])
    arbiter = DirtyArbiter(cfg, logging.getLogger("dirty arbiters"), pidfile=str(pidfile))
    arbiter.pid = GONE
    keep_pid_file_of_another(arbiter)
    pidfile.write_text(text)

    arbiter._cleanup_sync()

    assert pidfile.exists() is stays
    assert not Path(arbiter.tmpdir).exists()
