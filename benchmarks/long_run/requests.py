"""The requests of a long run: so many for each reload, whatever a reload takes, while the reloads go on."""

from __future__ import annotations

import http.client
import json
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.server import PATIENCE

_CLIENTS, _MOST = 2, 50
"""Threads that ask; and how many requests they may be behind before a reload waits for them."""
_ENTITIES = 12


class Requests:
    """Some clients, each in a thread, which ask as often as they are told to.

    Args:
        port: Where.

    Attributes:
        answered: How many were.
        lost: How many were not: a worker that is killed has one under way.
        torn: How many saw two versions.
    """

    def __init__(self, port: Callable[[], int]) -> None:
        self._port = port
        self._wishes = queue.Queue[int](_MOST)
        self._turn = threading.Lock()
        self._number = 0
        self.answered = self.lost = self.torn = 0

    def wish(self, count: int) -> None:
        """Have so many requests made."""
        for _ in range(count):
            self._number += 1
            self._wishes.put(self._number, timeout=PATIENCE * 3)

    def await_rest(self) -> None:
        """Return when all of them have ended."""
        self._wishes.join()

    def run(self) -> None:
        """Ask until a wish is 0."""
        while number := self._wishes.get():
            status, is_one = self._ask(number)
            with self._turn:
                self.answered += status == 200
                self.lost += status == 0
                self.torn += status == 500 or not is_one
            self._wishes.task_done()

    def _ask(self, number: int) -> tuple[int, bool]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port(), timeout=PATIENCE)
        headers = {"X-Entity": f"entity-{number % _ENTITIES}"} if number % 2 else {}
        try:
            connection.request("GET", "/look", headers=headers)
            response = connection.getresponse()
            body = response.read()
            return response.status, response.status == 200 and bool(json.loads(body)["one"])
        except (OSError, http.client.HTTPException):
            return 0, True
        finally:
            connection.close()

    def end(self) -> None:
        """Have each thread end after what was wished for."""
        for _ in range(_CLIENTS):
            self._wishes.put(0)


@contextmanager
def asking(port: Callable[[], int]) -> Iterator[Requests]:
    """Requests, whose threads end with the block."""
    requests = Requests(port)
    threads = [threading.Thread(target=requests.run) for _ in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield requests
    finally:
        requests.end()
        for thread in threads:
            thread.join()
