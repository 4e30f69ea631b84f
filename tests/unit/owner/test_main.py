"""What a person reads who starts the config owner by hand."""

from __future__ import annotations

import socket
import subprocess
import sys

import msgspec
import pytest

from confcast.wire.framing import frame
from tests.support.leaks import is_running
from tests.support.waiting import eventually


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["7"], ["-1"], ["9" * 20], ["app:loader"]])
def test_the_config_owner_says_what_it_is_and_that_it_is_not_started_by_hand(arguments):
    command = [sys.executable, "-m", "confcast.owner", *arguments]
    run = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert run.returncode == 2
    assert run.stderr.startswith("python -m confcast.owner is the config owner of a server, a program that")
    assert "It can't be started by hand." in run.stderr
    assert "python -m confcast check --loader MODULE:NAME" in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


def test_for_a_master_of_another_version_the_text_asks_for_a_reload():
    """The package was replaced in place, and its master goes on with the code that it began with."""
    mine, its = socket.socketpair()
    mine.sendall(frame(msgspec.msgpack.encode({"type": "Orders"})))
    command = [sys.executable, "-c", "import sys; from confcast.owner.__main__ import run; run(sys.argv[1:])"]
    with mine, its:
        run = subprocess.run(
            [*command, str(its.fileno())], check=False, capture_output=True, text=True, pass_fds=[its.fileno()]
        )
    assert run.returncode == 3
    assert "the master runs another version of confcast than the one that is installed now" in run.stderr
    assert "Traceback" not in run.stderr


def test_an_owner_whose_master_sends_nothing_ends_in_words():
    """The master has died just now, and a child of its holds the channel open."""
    mine, its = socket.socketpair()
    program = "import sys; from confcast.owner import __main__ as it; it._STARTUP_WITHIN = 0.1; it.run(sys.argv[1:])"
    with mine, its:
        run = subprocess.run(
            [sys.executable, "-c", program, str(its.fileno())],
            check=False,
            capture_output=True,
            text=True,
            pass_fds=[its.fileno()],
        )
    assert (run.returncode, run.stderr) == (3, "the config owner was sent nothing by its master: timed out\n")


def test_no_program_outlives_an_owner_whose_thread_has_begun_it_late():
    """A poll under way may begin one after those that ran were ended, and no thread is waited for."""
    program = """
import threading, time
from confcast.owner import __main__ as it
from confcast.wire import programs

def main(arguments):
    programs.end_all()
    run = lambda: programs.run(["sleep", "600"], time.monotonic() + 600, 10)
    threading.Thread(target=run, daemon=True).start()
    while not programs._running:
        time.sleep(0.01)
    print(*programs._running, flush=True)
    return 0

it.main = main
it.run([])
"""
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    eventually(lambda: not is_running(int(run.stdout)), "the end of the program")
