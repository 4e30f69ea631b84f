"""granian under confcast's launcher: how it begins, and how it ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.embedding import Endings, InFlight, Make, hold, let_all_go
from tests.support.granian import Server, WsgiServer
from tests.support.leaks import is_running
from tests.support.server import servers_of
from tests.support.slow import slow
from tests.support.stopping import stop
from tests.support.waiting import eventually

WOKEN = """
import signal
from pathlib import Path
from {} import app
heed = signal.getsignal(signal.SIGRTMIN)
def note(*arguments):
    with Path("woken").open("ab") as file:
        file.write(b".")
    heed(*arguments)
signal.signal(signal.SIGRTMIN, note)
"""


class TestGranianEnds(Endings):
    kind = Server

    def test_workers_that_a_stop_of_the_group_ends_before_the_master_are_no_failure(self, make: Make):
        server = make().start()
        workers = server.pids()

        stop(server.pid)
        os.killpg(server.pid, signal.SIGTERM)
        try:
            eventually(lambda: not any(map(is_running, workers)), "the end of both workers")
        finally:
            server.signal(signal.SIGCONT)

        assert server.ended() == 0
        server.assert_nothing_left()


@pytest.mark.slow
class TestGranianInFlight(InFlight):
    kind = Server


@pytest.fixture(params=[Server, slow(WsgiServer)])
def woken(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """One of one worker, whose file `woken` has a byte for each time that the worker was woken."""
    with servers_of(request.param, tmp_path / "site") as make:
        server = make(workers=1, application="woken_app:app")
        module = server.APPLICATION.partition(":")[0]
        (server.folder / "woken_app.py").write_text(WOKEN.format(module))
        (server.folder / "woken").touch()
        yield server


def await_woken(server: Server, times: int) -> None:
    eventually(lambda: (server.folder / "woken").stat().st_size >= times, f"a worker that is woken {times} times")


@pytest.mark.parametrize("send", [os.kill, slow(os.killpg)])
def test_a_request_that_takes_long_is_finished_after_a_stop(
    woken: Server, send: Callable[[int, int], None], tmp_path: Path
):
    """The handler of a worker of granian's waits for ever where TERM comes three times."""
    woken.start()
    held = hold(woken, tmp_path)

    send(woken.pid, signal.SIGTERM)
    await_woken(woken, 3)

    assert let_all_go([held]) == [[woken.number] * 3]
    assert woken.ended() == 0
    assert woken.crashes() == []


@pytest.mark.slow
def test_a_stop_that_is_asked_for_three_times_is_one(woken: Server, tmp_path: Path):
    woken.start()
    held = hold(woken, tmp_path)

    for times in (1, 2, 3):
        os.killpg(woken.pid, signal.SIGINT)
        await_woken(woken, times)  # by then the worker has heard it

    assert let_all_go([held]) == [[woken.number] * 3]
    assert woken.ended() == 0
    assert woken.crashes() == []


def test_a_worker_that_a_full_reload_replaces_is_woken_too(woken: Server, tmp_path: Path):
    woken.start("--respawn-interval", "0.1")
    held = hold(woken, tmp_path)

    woken.signal(signal.SIGRTMIN)
    await_woken(woken, 2)

    assert let_all_go([held]) == [[woken.number] * 3]
    woken.await_log("Stopped old worker-1")
    assert woken.hup()[0] == "unchanged"
