"""gunicorn's `max_requests`: workers are replaced one by one, and none leaves while a new one can't attach."""

from __future__ import annotations

import re
import signal

import pytest

from tests.support.gunicorn import Make
from tests.support.leaks import is_running
from tests.support.load import Load
from tests.support.slow import slow
from tests.support.waiting import eventually

STAYS = "has served its max_requests and stays: a new worker could not attach"
ASKS = "confcast: 10 requests are served: leaving when all other workers are attached"


def test_workers_are_replaced_without_a_failed_request(make: Make):
    server = make(above="max_requests = 10").start()
    first = server.ask("read")["pid"]

    with Load(lambda: server.ask("read")["pid"]) as load:
        eventually(lambda: not is_running(first), "the end of the first worker")
        load.go_on()

    assert set(load.answers) - {first}
    assert STAYS not in server.log()


@pytest.mark.parametrize("kind", [slow("asgi"), "uvicorn_worker.UvicornWorker"])
def test_an_asgi_worker_leaves_when_another_one_is_there(make: Make, kind: str):
    """Nobody asks while it leaves: such workers close a connection that has brought no request yet."""
    server = make(above=f"worker_class = '{kind}'\nwsgi_app = 'asgi_app:app'\nmax_requests = 50").start()

    def pid_of_the_last_one() -> int:
        pid: int = server.ask("read")["pid"]
        return pid if "confcast: 50 requests are served" in server.log() else 0

    first = eventually(pid_of_the_last_one, "its number of requests")
    eventually(lambda: not is_running(first), "the end of the first worker")

    second = server.ask("read")["pid"]
    gone = eventually(lambda: re.search(rf"Worker (exiting )?\(pid: ?{first}\)", server.log()), "a line about that")
    assert server.log().index(f"Booting worker with pid: {second}") < gone.start()
    assert STAYS not in server.log()


@pytest.mark.slow
def test_the_only_worker_goes_on_serving_while_none_of_new_code_can_attach(make: Make):
    server = make(above="workers = 1\nmax_requests = 10").start()
    server.add_a_field()  # deployed in place: the owner and the worker have the old code

    with Load(lambda: server.ask("read")) as load:
        server.await_log(STAYS)
        load.go_on(50)

    assert len({answer["pid"] for answer in load.answers}) == 1
    assert "color: str here, absent there" in server.log()


@pytest.mark.slow
def test_others_go_on_serving_once_one_of_new_code_could_not_attach(make: Make):
    server = make(above="workers = 3\nmax_requests = 10").start()
    old = set(server.ask("workers"))
    server.add_a_field()  # deployed in place: the owner and the workers have the old code

    with Load(lambda: server.ask("read")) as load:
        server.await_log(STAYS)
        stay = set(server.ask("workers"))
        assert stay < old
        assert len(stay) == 2  # the first one that had served its number has left, as with gunicorn alone
        for pid in stay:
            server.await_log(f"[{pid}] [INFO] {ASKS}")
        load.go_on(50)
        assert set(server.ask("workers")) == stay
        server.await_log("color: str here, absent there")
        assert "reload the server fully" in server.log()
        number = server.change()
        assert server.hup()[0] == "success"

        server.signal(signal.SIGRTMIN)
        eventually(lambda: all("color" in answer for answer in load.go_on()), "workers of new code only")

    assert {answer.get("color", "red") for answer in load.answers} == {"red"}
    assert {answer["number"] for answer in load.answers if "color" in answer} == {number}
    eventually(lambda: not any(map(is_running, old)), "the end of the old workers")
