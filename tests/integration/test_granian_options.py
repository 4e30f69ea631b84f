"""granian's own options under confcast's launcher, and what is special in it."""

from __future__ import annotations

import os
import re
import signal

from tests.support.embedding import Make
from tests.support.gate import Gate
from tests.support.granian import Server
from tests.support.waiting import eventually

kind = Server


def test_a_worker_that_dies_stops_the_server_unless_an_option_of_granian_says_otherwise(make: Make):
    server = make(arguments=()).start()
    victim, _ = server.pids()
    os.kill(victim, signal.SIGKILL)

    assert server.ended() == 1
    server.assert_nothing_left()


def test_workers_of_other_code_are_tried_again_while_the_others_serve(make: Make):
    server = make(arguments=("--respawn-failed-workers", "--respawn-interval", "0")).start()
    victim, other = server.pids()
    server.add_a_field()
    os.kill(victim, signal.SIGKILL)

    server.await_log("this worker can't attach and exits", 2)

    assert "color: str here, absent there" in server.log()
    assert server.ask("workers") == [other]


def test_with_granians_reload_a_hup_replaces_no_worker_and_the_owner_is_watched(make: Make):
    server = make(arguments=("--reload", "--reload-paths", "watched", "--respawn-failed-workers"))
    (server.folder / "watched").mkdir()
    server.start()
    before, number = server.pids(), server.change()

    assert server.hup()[0] == "success"
    os.kill(server.owner(), signal.SIGKILL)
    server.await_log(": restart: ")
    eventually(lambda: len(server.ask("workers")) == 2, "both workers attached")
    assert server.pids() == before

    (server.folder / "watched" / "module.py").write_text("")
    server.await_log("Spawning worker-", 4)
    answers = server.await_workers().everyone()
    assert not before & set(answers)
    assert {answer["number"] for answer in answers.values()} == {number}


def test_a_worker_that_is_spawned_attaches_and_boots_through_a_hup_for_the_group(make: Make):
    """As granian's are on Python 3.14; by the function for programs."""
    server = make(program=SPAWNING)
    gate = Gate(server.folder / "booting")
    gate.shut()
    try:
        server.launch()
        gate.await_load()
        newest = server.change()
        os.killpg(server.pid, signal.SIGHUP)
        server.await_log(" app: signal: ")
    finally:
        gate.open()
        gate.let_go()

    answers = server.await_workers().everyone()
    assert len(re.findall("Spawning worker-", server.log())) == len(answers) == 2
    assert {answer["number"] for answer in answers.values()} == {newest}
    server.signal(signal.SIGTERM)
    assert server.ended() == 0
    assert server.log().endswith("served, own handlers: True\n")


def test_a_refused_configuration_leaves_no_pid_file(make: Make):
    server = make(arguments=("--pid-file", "pid"))
    server.change("number = 'x'\n")
    server.launch()

    assert server.ended() == 78
    assert not (server.folder / "pid").exists()


def test_requests_that_could_not_be_pinned_are_refused_in_words(make: Make):
    server = make(arguments=("--task-impl", "rust"))
    server.launch()

    assert server.ended() == 3
    assert "task implementation 'rust' can't pin requests" in server.log()
    assert server.crashes() == []


SPAWNING = """\
import multiprocessing
import signal
import sys
from confcast.servers import granian
from sources import loader

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    options = {"watch": False, "vote_timeout": 10.0}
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    granian.run("asgi_app:app", loader, manager=options, interface="asgi", port=int(sys.argv[1]), workers=2)
    own_handlers = [signal.getsignal(number) for number in signal.valid_signals()] == handlers
    print("served, own handlers:", own_handlers)
"""
