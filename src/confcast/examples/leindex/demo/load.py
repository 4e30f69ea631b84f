"""Steady load on the server, over kept and over new connections, and the answer to each request.

Guarantees: every attempt makes exactly one Answer, with the moments at which it was sent and ended (time.monotonic()).
A kept connection that the server closed between two requests is an Answer of its own, `closed`, and the request is sent
again on a new connection, as every HTTP client does; nothing else is repeated. Each thread has one request under way,
so a server that does not answer gets no more requests.
"""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Iterable
from http import HTTPStatus
from typing import NamedTuple

from confcast.examples.leindex.demo.server import WORDS, ask

USERS = [f"user-{number}" for number in range(40)]
KEPT, NEW, RATE = 8, 4, 10
"""How many threads keep a connection, how many make a new one for each request, and each one's requests a second."""

BROKEN = "the connection was broken"
_TIMEOUT = 5.0


class Answer(NamedTuple):
    """One attempt.

    Attributes:
        sent: When the request was sent, in seconds of time.monotonic().
        ended: When the request was answered, or failed.
        pid: The worker; for a failed attempt on a kept connection, the one that answered on it before; 0 if unknown.
        version: The version in the answer; 0 if there was none.
        error: Why it failed; `closed` for a kept connection that was closed; empty for an answer with status 200.
        user: Whose request it was.
    """

    sent: float
    ended: float
    pid: int
    version: int
    error: str
    user: str = ""


class Load:
    """The load on one loopback port, from now on until `stop()`. Any thread may read the answers.

    Attributes:
        answers: Every attempt so far, in the order in which they ended.
    """

    def __init__(self, port: int) -> None:
        self.answers: list[Answer] = []
        self._port = port
        self._stopping = threading.Event()
        keeps = [True] * KEPT + [False] * NEW
        self._threads = [threading.Thread(target=self._run, args=(keep,), daemon=True) for keep in keeps]
        for thread in self._threads:
            thread.start()

    def since(self, moment: float) -> list[Answer]:
        """The attempts that were sent after the moment."""
        return [answer for answer in list(self.answers) if answer.sent > moment]

    def workers_since(self, moment: float) -> set[int]:
        """The workers that answered requests sent after the moment."""
        return {answer.pid for answer in self.since(moment) if not answer.error}

    def stop(self) -> None:
        """Send no more requests, and wait for the answers that are under way."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self, keep: bool) -> None:
        connection, pid = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_TIMEOUT), 0
        while not self._stopping.wait(random.uniform(0.5, 1.5) / RATE):  # noqa: S311
            pid = self._attempt(connection, pid)
            if not keep:
                connection.close()
        connection.close()

    def _attempt(self, connection: http.client.HTTPConnection, pid: int) -> int:
        """Send one request, and once more if a kept connection was closed. Returns the worker that answered."""
        reused = connection.sock is not None
        sent, version, error, user = time.monotonic(), 0, "", random.choice(USERS)  # noqa: S311
        pid = pid if reused else 0
        try:
            status, answer = ask(connection, "GET", "/search?q=" + "+".join(random.sample(WORDS, 2)), user)
            pid, version = answer["pid"], answer["version"]
            error = "" if status == HTTPStatus.OK else f"HTTP {status}"
        except (OSError, http.client.HTTPException, ValueError, LookupError) as failure:
            connection.close()
            no_answer = isinstance(failure, ConnectionResetError | BrokenPipeError)  # http.client's own is a reset, too
            error = "closed" if reused and no_answer else _text(failure)
        self.answers.append(Answer(sent, time.monotonic(), pid, version, error, user))
        return self._attempt(connection, 0) if error == "closed" else pid


def versions_by_user(answers: Iterable[Answer]) -> dict[str, list[int]]:
    """The versions that each user was answered by, in the order of the requests; repetitions are left out."""
    seen: dict[str, list[int]] = {}
    for answer in sorted(answers):
        versions = seen.setdefault(answer.user, [])
        if not answer.error and answer.version not in versions[-1:]:
            versions.append(answer.version)
    return seen


def _text(failure: Exception) -> str:
    if isinstance(failure, TimeoutError):
        return f"no answer in {_TIMEOUT:.0f} s"
    broken = ConnectionResetError | BrokenPipeError | http.client.IncompleteRead
    return BROKEN if isinstance(failure, broken) else repr(failure)
