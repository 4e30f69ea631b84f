"""The load: eight clients, each of which asks twenty-five times a second over a new connection; and the answers.

A client that waits longer than its time for an answer asks again at once, and not for all that it has missed.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from threading import Event, Thread
from time import monotonic
from typing import NamedTuple

CLIENTS = 8
EVERY = 0.04
_TIMEOUT = 10.0
_CUT = ("RemoteDisconnected:", "ConnectionResetError:", "IncompleteRead:")


class Answer(NamedTuple):
    """One request, and what came of it. Times are of CLOCK_MONOTONIC.

    Attributes:
        began: When it was sent.
        ended: When its answer was complete, or when it failed.
        left: What it showed first; empty if it failed.
        right: And then.
        pid: The worker; 0 if it failed.
        why: It failed.
    """

    began: float
    ended: float
    left: str = ""
    right: str = ""
    pid: int = 0
    why: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it is the application's answer."""
        return not self.why

    @property
    def is_cut(self) -> bool:
        """Whether its connection ended before there was an answer."""
        return self.why.startswith(_CUT)


def fetch(port: int, path: str, timeout: float = _TIMEOUT) -> str:
    """The body. Raises OSError, and HTTPException if there is no good answer."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)) as connection:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        body = answer.read().decode()
        if answer.status != 200:
            raise http.client.HTTPException(f"status {answer.status}")
        return body


def ask(port: int) -> Answer:
    """One request."""
    began = monotonic()
    try:
        left, right, pid = fetch(port, "/").split()
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(began, monotonic(), why=f"{type(error).__name__}: {error}")
    return Answer(began, monotonic(), left, right, int(pid))


@contextmanager
def loading(asked: Callable[[], Answer]) -> Iterator[list[Answer]]:
    """Ask all the time, until the end of the context; the list grows."""
    answers: list[Answer] = []
    over = Event()

    def client(number: int) -> None:
        due = monotonic() + EVERY * number / CLIENTS
        while not over.wait(max(0.0, due - monotonic())):
            answers.append(asked())
            due = max(due + EVERY, monotonic())

    threads = [Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        over.set()
        for thread in threads:
            thread.join()
