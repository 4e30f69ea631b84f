"""The clients: some connections that ask all the time, and record of each request when it began and ended.

Requests are of several kinds: short, waiting between looks, streamed; for an entity or for none; over a connection that
is kept, or over a new one.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

from tests.torture.history import Recorder, Request, Seen, now
from tests.torture.options import Options

PATIENCE = 8.0
"""Seconds that a client waits for an answer: longer than a worker is ever stopped."""


class Wish(NamedTuple):
    """What a request is to do: look so often again, after so many seconds each; streamed; for whom; how connected."""

    waits: int
    pause: float
    stream: bool
    entity: str
    fresh: bool


class Answer(NamedTuple):
    """What came back; `error` if that is none of the application's."""

    status: int
    worker: int = 0
    seen: list[Seen] = []  # noqa: RUF012 - a tuple's default; nobody changes it
    error: str = ""


class Lost(Exception):
    """A request has no answer, and none will come."""


class Asker(Protocol):
    """One connection's way to ask. Raises OSError, or Lost, where no answer comes."""

    def ask(self, wish: Wish) -> Answer: ...

    def close(self) -> None: ...


class Http:
    """Asks an HTTP server."""

    def __init__(self, port: Callable[[], int]) -> None:
        self._port = port
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, wish: Wish) -> Answer:
        if wish.fresh or self._connection is None:
            self.close()
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port(), timeout=PATIENCE)
        try:
            return self._ask(self._connection, wish)
        except BaseException:
            self.close()
            raise

    def _ask(self, connection: http.client.HTTPConnection, wish: Wish) -> Answer:
        headers = {"X-Entity": wish.entity} if wish.entity else {}
        path = f"/look?waits={wish.waits}&pause={wish.pause:.3f}&stream={int(wish.stream)}"
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return answer(response.status, response.read())

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def answer(status: int, body: bytes) -> Answer:
    """What a body says."""
    try:
        return of_data(status, json.loads(body))
    except (ValueError, TypeError, KeyError) as error:
        return Answer(status, error=f"no answer of the application ({error}): {body[:80]!r}")


def of_data(status: int, data: Any) -> Answer:
    """What an answer's data say."""
    return Answer(status, data["pid"], [Seen(*look) for look in data["seen"]])


class Clients:
    """All of them, each in a thread.

    Args:
        asker: Makes one connection's way to ask.
        seed: Of the run: it says which requests are made.
        recorder: Where they are recorded.
        options: How many there are, and how often they ask.
    """

    def __init__(self, asker: Callable[[], Asker], seed: int, recorder: Recorder, options: Options) -> None:
        self._make, self._seed, self._recorder, self._options = asker, seed, recorder, options
        self._over = threading.Event()
        self._pool, self._runs = ThreadPoolExecutor(options.clients), list[Future[None]]()

    def start(self) -> None:
        self._runs += [self._pool.submit(self._run, each) for each in range(self._options.clients)]

    def stop(self) -> None:
        """Return when each has its last answer. Raises what has ended one of them too early."""
        self._over.set()
        self._pool.shutdown()
        for each in self._runs:
            each.result()

    def _run(self, number: int) -> None:
        chance, asker = random.Random(f"{self._seed} {number}"), self._make()
        interval = self._options.clients / self._options.rate
        try:
            while not self._over.is_set():
                began = now()
                request = self._one(asker, number, self._wish(chance))
                self._recorder.write(request)
                self._over.wait(max(0.05 if request.error else 0.0, began + interval - now()))
        finally:
            asker.close()

    def _wish(self, chance: random.Random) -> Wish:
        kind = chance.choices(("short", "waiting", "stream"), (75, 15, 10))[0]
        waits = 0 if kind == "short" else chance.randint(1, 3)
        entity = f"entity-{chance.randrange(self._options.entities)}" if chance.random() < 0.5 else ""
        return Wish(waits, chance.uniform(0.01, 0.15), kind == "stream", entity, chance.random() < 0.3)

    def _one(self, asker: Asker, number: int, wish: Wish) -> Request:
        began = time.monotonic()
        try:
            found = asker.ask(wish)
        except (OSError, http.client.HTTPException, Lost) as error:
            found = Answer(0, error=f"{type(error).__name__}: {error}")
        return Request(
            at=now(),
            by=os.getpid(),
            began=began,
            client=number,
            worker=found.worker,
            status=found.status,
            entity=wish.entity,
            seen=found.seen,
            error=found.error,
        )
