"""The floor of a reload: the same two rounds over bare socketpairs, without a protocol, run as a program of its own.

It starts as many processes as its first argument says. A round is a message to each of them, and the answers of all;
the first message is as long as a proposed configuration (the second argument, in bytes), the others as a commit and an
answer are. Nothing is encoded, decided, written or remembered. The processes are interpreters of their own, as workers
are: children of one fork would share the memory that each of them needs in its caches.

Each line of standard input is a number of repetitions; the answer is one JSON list with the nanoseconds of each. The
end of standard input is the end.
"""

from __future__ import annotations

import json
import selectors
import socket
import subprocess
import sys
import time

_SHORT = bytes(16)
_READ = 65536
_CHILD = f"""
import socket, sys
pipe = socket.socket(fileno=int(sys.argv[1]))
while pipe.recv({_READ}):
    pipe.send(bytes({len(_SHORT)}))
"""


def main() -> None:
    count, proposal = int(sys.argv[1]), bytes(int(sys.argv[2]))
    selector = selectors.DefaultSelector()
    pipes = [_child() for _ in range(count)]
    for pipe in pipes:
        selector.register(pipe, selectors.EVENT_READ)
    for line in sys.stdin:
        print(json.dumps([_both_rounds(selector, pipes, proposal) for _ in range(int(line))]), flush=True)


def _child() -> socket.socket:
    """This end of a socketpair with a process that answers whatever it hears, and dies with the other end."""
    ours, its = socket.socketpair()
    with its:
        subprocess.Popen([sys.executable, "-c", _CHILD, str(its.fileno())], pass_fds=[its.fileno()])
    return ours


def _both_rounds(selector: selectors.BaseSelector, pipes: list[socket.socket], proposal: bytes) -> int:
    began = time.perf_counter_ns()
    _round(selector, pipes, proposal)
    _round(selector, pipes, _SHORT)
    return time.perf_counter_ns() - began


def _round(selector: selectors.BaseSelector, pipes: list[socket.socket], message: bytes) -> None:
    for pipe in pipes:
        pipe.send(message)
    missing = len(pipes)
    while missing:
        for key, _ in selector.select():
            key.fileobj.recv(_READ)  # type: ignore[union-attr]  # a socket
            missing -= 1


if __name__ == "__main__":
    main()
