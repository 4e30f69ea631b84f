"""hypercorn's own options under confcast's launcher, and what is special in it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

import pytest

from confcast import ConfcastError, ConfigLoader
from confcast.servers import hypercorn
from tests.support.embedding import Make
from tests.support.hypercorn import Server
from tests.support.leaks import is_running
from tests.support.load import Load
from tests.support.settings import SCHEMA
from tests.support.slow import slow
from tests.support.waiting import eventually

kind = Server


@pytest.mark.slow
def test_a_worker_that_has_served_its_requests_is_replaced_by_one_with_the_newest(make: Make):
    server = make(workers=1, arguments=("--max-requests", "20")).start()
    server.change()
    first = server.ask("reload")["applied"]

    def another() -> Any:
        try:
            answer = server.ask("read")
        except ConnectionError:  # it came to the first one at its end
            return None
        return answer if answer["pid"] not in first else None

    answer = eventually(another, "an answer of another worker")
    assert (answer["version"], answer["number"]) == (2, server.number)


def test_a_worker_that_is_sent_term_is_replaced_and_the_other_serves(make: Make):
    server = make().start()
    victim, other = server.pids()
    os.kill(victim, signal.SIGTERM)

    eventually(lambda: not is_running(victim), "its end")
    with Load(lambda: server.ask("read")) as load:
        eventually(lambda: load.failed or {a["pid"] for a in load.answers} - {other}, "a worker in its place")
    assert other in {answer["pid"] for answer in load.answers}


@pytest.mark.slow
def test_with_hypercorns_reload_a_hup_replaces_no_worker_and_edited_code_all(make: Make):
    server = make(arguments=("--reload",)).start()
    before, number = server.pids(), server.change()
    assert server.hup()[0] == "success"
    assert server.pids() == before

    module = server.folder / "asgi_app.py"
    os.utime(module, (module.stat().st_mtime + 10,) * 2)
    eventually(lambda: not any(map(is_running, before)), "the end of both workers")

    answers = server.everyone()
    assert not before & set(answers)
    assert {answer["number"] for answer in answers.values()} == {number}


@pytest.mark.slow
def test_an_old_worker_that_fails_at_its_end_does_not_end_the_new_ones(make: Make):
    """hypercorn takes it for a worker that died, and would stop all."""
    server = make(application="leaving_app:app")
    (server.folder / "leaving_app.py").write_text(FAILS_AT_ITS_END)
    before = set(server.start().pids())
    server.signal(signal.SIGRTMIN)

    answers = new_workers(server, before)
    assert server.log().count("which was replaced, has ended with status 3") == 2
    number = server.change()
    assert server.hup()[0] == "success"
    assert {answer["number"] for answer in server.everyone().values()} == {number}
    assert set(server.everyone()) == set(answers)


def by_rtmin(server: Any) -> None:
    server.signal(signal.SIGRTMIN)


def by_edited_code(server: Any) -> None:
    module = server.folder / "asgi_app.py"
    os.utime(module, (module.stat().st_mtime + 10,) * 2)


@pytest.mark.parametrize(
    ("reloader", "replace"),
    [(False, by_rtmin), slow(True, by_rtmin), slow(True, by_edited_code)],
)
def test_an_old_worker_that_does_not_end_is_killed_at_a_deadline_and_new_ones_serve(
    make: Make, reloader: bool, replace: Callable[[Any], None]
):
    options = f"workers=2, graceful_timeout=0.5, shutdown_timeout=0.5, use_reloader={reloader}"
    server = make(program=PROGRAM.replace("workers=2", options))
    module = server.folder / "asgi_app.py"
    module.write_text(module.read_text() + NEVER_ENDS)
    before = set(server.start().pids())
    replace(server)

    answers = new_workers(server, before)
    assert all(f"worker {pid} did not end within 6 s: killed" in server.log() for pid in before)
    assert not any(map(is_running, before))
    for pid in answers:  # hypercorn's own stop would wait for them, too
        os.kill(pid, signal.SIGKILL)
    server.ended()
    assert "served: 1, owner: None" in server.log()
    server.assert_nothing_left()


def test_an_owner_is_not_left_when_the_port_is_taken(make: Make):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = make(arguments=("--bind", f"127.0.0.1:{taken.getsockname()[1]}"))
        server.launch()

        assert server.ended() == 1
        assert "Address already in use" in server.log()
        server.assert_nothing_left()


def test_a_program_serves_by_a_function_and_goes_on_afterwards(make: Make):
    server = make(program=PROGRAM).start()
    before, number = server.pids(), server.change()
    assert server.hup()[0] == "success"
    assert set(server.everyone()) == before
    assert server.ask("read")["number"] == number

    server.signal(signal.SIGTERM)
    assert server.ended() == 0
    assert server.log().endswith("served: 0, owner: None, own handlers: True\n")


def test_what_hypercorn_has_not_is_refused():
    loader = ConfigLoader(SCHEMA, "app.toml")
    with pytest.raises(TypeError, match="'wokers'"):
        hypercorn.run("app:app", loader, wokers=2)
    with pytest.raises(ConfcastError, match="with 0 workers"):
        hypercorn.run("app:app", loader, workers=0)


def new_workers(server: Any, before: set[int]) -> dict[int, Any]:
    """Wait until every worker is a new one; their answers."""

    def new() -> dict[int, Any]:
        with contextlib.suppress(OSError):
            answers: dict[int, Any] = server.everyone()
            return answers if not before & set(answers) else {}
        return {}

    return eventually(new, "new workers only")


FAILS_AT_ITS_END = """\
import os
import threading
from asgi_app import app

def fail():
    threading.main_thread().join()
    os._exit(3)

threading.Thread(target=fail).start()
"""
NEVER_ENDS = """
import multiprocessing
import threading
if multiprocessing.parent_process():  # with `--reload` the master imports this, too
    threading.Thread(target=threading.Event().wait).start()
"""
PROGRAM = """\
import os
import signal
from confcast.servers import hypercorn
from sources import loader

if __name__ == "__main__":
    options = {"watch": False, "vote_timeout": 10.0}
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    status = hypercorn.run("asgi_app:app", loader, manager=options, bind="127.0.0.1:0", workers=2)
    own_handlers = [signal.getsignal(number) for number in signal.valid_signals()] == handlers
    print(f"served: {status}, owner: {os.environ.get('CONFCAST_ADDRESS_APP')}, own handlers: {own_handlers}")
"""
