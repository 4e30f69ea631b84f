"""One owner is asked for its numbers: by one scrape at a time, within a deadline, and its last answer is kept.

Guarantees. `reading()` never raises, since the metrics of a whole application are lost with one collector that does;
and it returns within the deadline, whatever the owner does: it is stopped, restarted, of an earlier build, or gone.
Scrapes that come while a question is under way get its answer. A forked child shares no
lock and no question with its parent, and needs nothing to be made anew. An owner that is silent is logged once, and
once when it answers again.

Rejected: the replica's own pipe (an owner of an earlier build ends a pipe on which it does not understand a message,
and a worker would lose its own with each scrape), and a thread that asks by itself every few seconds (it would wake a
process that nobody scrapes).
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from concurrent.futures import CancelledError, Future
from typing import Any, NamedTuple

from confcast import Client, ConfigReloadManager, Replica
from confcast.errors import ConfcastError, OwnerUnavailable
from confcast.log_fields import about
from confcast.wire.messages import Measured, MetricsRequest
from confcast.worker.client.owner_client import OwnerClient

Asked = Client | ConfigReloadManager[Any] | Replica[Any]
"""What knows which owner is meant."""

_log = logging.getLogger("confcast.metrics")


class Reading(NamedTuple):
    """What is known of one owner at a scrape.

    Attributes:
        config: The configuration's name.
        answer: The newest answer; None: there was none yet.
        is_up: Whether it is the answer to this scrape's question.
        age: How many seconds ago it came.
    """

    config: str
    answer: Measured | None
    is_up: bool
    age: float


class Asking:
    """Asks one owner. Safe from any thread, and after a fork.

    Args:
        client: What knows which owner is meant.
        timeout: Seconds within which it must answer.
    """

    def __init__(self, client: Asked, timeout: float) -> None:
        self._client = client
        self._timeout = timeout
        self._newest: tuple[Measured, float] | None = None  # replaced in one step
        self._is_silent = False
        self._after_fork()

    def reading(self) -> Reading:
        """What is known now; the owner is asked for it, by this call or by one that is under way."""
        if self._pid != os.getpid():
            self._after_fork()
        is_up = self._asked_now()
        answer, came = self._newest or (None, 0.0)
        age = max(0.0, time.monotonic() - came) if answer is not None and not is_up else 0.0
        return Reading(self._name, answer, is_up, age)

    @property
    def _name(self) -> str:
        """The configuration's name: the one that its owner has told, as a client may know only the address."""
        newest = self._newest
        return _name(self._client) if newest is None else newest[0].name

    def _after_fork(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._question: Future[bool] | None = None

    def _asked_now(self) -> bool:
        """Ask, or wait for the question that is under way. Returns whether an answer came in time."""
        with self._lock:
            question = self._question
            if question is None:
                mine = self._question = Future()
        if question is not None:
            with contextlib.suppress(TimeoutError, CancelledError):
                return question.result(self._timeout)
            return False
        try:
            mine.set_result(self._ask())
        finally:
            self._question = None
            mine.cancel()  # no effect on one that has its result
        return mine.result()

    def _ask(self) -> bool:
        try:
            answer = _owner(self._client)._ask(MetricsRequest, self._timeout)
        except Exception as error:
            known = isinstance(error, (ConfcastError, OSError))
            self._is_heard_of(_first_line(error) if known else f"{type(error).__name__}: {error}")
            return False
        if not isinstance(answer, Measured):
            self._is_heard_of(f"it has not answered within {self._timeout:g} s, or is of an earlier build")
            return False
        self._newest = answer, time.monotonic()
        self._is_heard_of("")
        return True

    def _is_heard_of(self, trouble: str) -> None:
        """Log the first question without an answer, and the first answer after it."""
        if trouble and not self._is_silent:
            name = self._name
            said = about("metrics_without_answer", name=name, error=trouble)
            _log.warning("the config owner of %r gives no metrics: %s", name, trouble, extra=said)
        elif not trouble and self._is_silent:
            name = self._name
            _log.info("the config owner of %r gives metrics again", name, extra=about("metrics_answered", name=name))
        self._is_silent = bool(trouble)


def _name(client: Asked) -> str:
    return client._name if isinstance(client, Client) else client.name


def _first_line(error: Exception) -> str:
    """Why there is no owner; further lines have the commands of all that runs here, which is not for a log."""
    return str(error).partition("\n")[0].removesuffix(". What runs here:")


def _owner(client: Asked) -> OwnerClient:
    """The owner, for one question. Raises OwnerUnavailable, NotAttached."""
    if isinstance(client, Client):
        return client._owner()
    address = client.address if isinstance(client, ConfigReloadManager) else client._owner_address
    if not address:
        raise OwnerUnavailable(f"no config owner of {client.name!r} was found yet")
    return OwnerClient(address, client.name)
