"""Asks a celery worker: a request is a task, and its answer is the task's result.

All clients share one connection to the broker, and one to where results are: celery's own are not for several threads.
"""

from __future__ import annotations

import json
import threading
from typing import Any

import celery
import redis

from tests.torture.client import PATIENCE, Answer, Lost, Wish, of_data
from tests.torture.history import now

_PAUSE = 0.01


class Broker:
    """A connection to the broker, and one to the results.

    Args:
        url: The Redis that is both.
    """

    def __init__(self, url: str) -> None:
        self._app = celery.Celery("clients", broker=url, backend=None, set_as_current=False)
        self._sends = self._app.connection_for_write()
        self._results = redis.Redis.from_url(url)
        self._lock = threading.Lock()

    def send(self, wish: Wish) -> str:
        """The task's id."""
        headers = {"x-entity": wish.entity} if wish.entity else {}
        with self._lock:
            sent = self._app.send_task(
                "tasks.look", (wish.waits, wish.pause), headers=headers, connection=self._sends, expires=PATIENCE
            )
        return str(sent.id)

    def result(self, task: str) -> dict[str, Any] | None:
        """What became of it, once it has ended."""
        found = self._results.get(f"celery-task-meta-{task}")
        meta = json.loads(found) if found else None
        return meta if meta and meta["status"] in ("SUCCESS", "FAILURE", "REVOKED") else None

    def close(self) -> None:
        self._sends.release()
        self._results.close()
        self._app.close()


class Tasks:
    """One client's way to ask: it waits for each answer before it asks again."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def ask(self, wish: Wish) -> Answer:
        task, end, pause = self._broker.send(wish), now() + PATIENCE, threading.Event()
        while (meta := self._broker.result(task)) is None:
            if now() > end:
                raise Lost("no result in time")
            pause.wait(_PAUSE)
        if meta["status"] != "SUCCESS":
            raise Lost(f"{meta['status']}: {meta['result']}")
        return of_data(meta["result"]["status"], meta["result"])

    def close(self) -> None:
        """The broker is everybody's."""
