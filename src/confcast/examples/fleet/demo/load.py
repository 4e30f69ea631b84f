"""Steady load on each host, and the answer to each request."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Iterable
from typing import NamedTuple

_THREADS, _RATE = 3, 10.0  # for each host: threads, and each one's requests a second
_TIMEOUT = 5.0


class Answer(NamedTuple):
    """One request.

    Attributes:
        sent: When it was sent, in seconds of time.monotonic().
        port: The host's.
        greeting: What it was answered with; empty for a failure.
        error: Why it failed; empty if it did not.
    """

    sent: float
    port: int
    greeting: str
    error: str


class Load:
    """The load on these ports, from now on until `stop()`. Each request has a connection of its own.

    Attributes:
        answers: Every request so far, in the order in which they ended.
    """

    def __init__(self, ports: Iterable[int]) -> None:
        self.answers: list[Answer] = []
        self._stopping = threading.Event()
        each = [port for port in ports for _ in range(_THREADS)]
        self._threads = [threading.Thread(target=self._run, args=(port,), daemon=True) for port in each]
        for thread in self._threads:
            thread.start()

    def newest(self, moment: float) -> dict[int, set[str]]:
        """What each host's answers to requests since this moment said."""
        found: dict[int, set[str]] = {}
        for answer in list(self.answers):
            if answer.sent >= moment and not answer.error:
                found.setdefault(answer.port, set()).add(answer.greeting)
        return found

    def stop(self) -> None:
        """Send no more requests, and wait for the answers that are under way."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self, port: int) -> None:
        while not self._stopping.wait(random.uniform(0.5, 1.5) / _RATE):  # noqa: S311
            sent, greeting, error = time.monotonic(), "", ""
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
            try:
                connection.request("GET", "/")
                response = connection.getresponse()
                content = response.read()
                error = "" if response.status == 200 else f"HTTP {response.status}"
                greeting = json.loads(content)["greeting"] if not error else ""
            except (OSError, http.client.HTTPException, ValueError, LookupError) as failure:
                error = f"{type(failure).__name__}: {failure}"
            finally:
                connection.close()
            self.answers.append(Answer(sent, port, greeting, error))
