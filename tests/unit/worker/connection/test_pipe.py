"""The socket calls of a pipe: what a peek shows, and what wakes a receive."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast.wire.framing import Deframer
from confcast.wire.messages import Goodbye
from confcast.worker.connection.pipe import is_open_and_empty, limit_sending, receive, shut, try_to_send, wait_of
from tests.support.waiting import eventually, in_thread


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_pipe_is_empty_until_something_or_its_end_has_come(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    assert is_open_and_empty(ours)
    theirs.sendall(b"x")
    assert not is_open_and_empty(ours)
    assert ours.recv(1) == b"x"
    theirs.close()
    assert not is_open_and_empty(ours)


def test_a_peer_that_takes_nothing_counts_as_gone_after_the_send_timeout(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, _ = pair
    assert try_to_send(ours, Goodbye()), "a peer that has room is no gone one"
    limit_sending(ours, 0.05)
    while try_to_send(ours, Goodbye()):
        pass
    assert not try_to_send(ours, Goodbye())


def test_shutting_wakes_the_thread_that_receives(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, _ = pair
    received = in_thread(lambda: receive(ours, Deframer()))
    shut(ours)
    assert received() is None
    shut(ours)  # ended already: nothing is raised


WAITING = """
import resource, socket, sys
from confcast.worker.connection.pipe import wait_of

def switches():
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw

pipe = socket.socket(fileno=int(sys.argv[1]))
wait = wait_of(pipe)
for _ in range(50):
    pipe.send(b"x")
before = switches()
wait()
assert pipe.recv(1) == b"y"
print(switches() - before)
"""


def test_what_waits_sleeps_on_while_the_other_end_reads(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    program = [sys.executable, "-c", WAITING, str(theirs.fileno())]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, pass_fds=[theirs.fileno()]) as waiting:
        state = Path(f"/proc/{waiting.pid}/stat")
        eventually(lambda: ours.recv(50, socket.MSG_PEEK) == 50 * b"x", "all of it is sent")
        for _ in range(50):
            eventually(lambda: state.read_text().rpartition(") ")[2][0] == "S", "the process sleeps")
            assert ours.recv(1) == b"x"
        ours.send(b"y")
        switches, _ = waiting.communicate(timeout=20)
    assert int(switches) < 10, "one is for what was waited for"


class Green(socket.socket):
    """A socket that another library has put in the place of the standard one."""


def test_a_green_socket_waits_where_it_receives() -> None:
    with Green() as green:
        assert wait_of(green)() is None
