"""Clients that wait for an answer that is not there yet: of the thread that loads, or of the next change.

Whoever shows an owner's status asks to be told when it has changed (NewsRequest), and then asks for the status. So an
idle owner is asked nothing, and an owner that nobody looks at pays nothing: what can change is only looked at while
somebody waits, once after each turn of the loop.

Guarantees. A client is told of each change that comes after the state which it names, if need be at once; several that
come together are one. It is answered within its time, whatever happens. Few may wait: past `MOST` the one that has
waited longest is answered, and may ask again. Rejected: to send statuses to who listens (a client that does not read
would have to be forgotten), and to ask again and again (a page that is open all night would keep owner and CPU awake).
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from confcast.owner.loop.questions import Answered, OpenQuestion, Questions
from confcast.wire.messages import LONGEST_NEWS, Answer, News, NewsRequest

MOST = 16
"""How many clients may wait for news."""

Send = Callable[[int, Answer], object]


class _Waiting(NamedTuple):
    pipe: int
    request: int
    until: float


class WaitingClients:
    """The clients that wait. For the loop's thread.

    Args:
        limit: Seconds that a question may take.
        send: Sends an answer on a pipe, if that is still open.
        submit: Gives a question to the thread that loads.
        state: What a client is told of when it differs: anything that can be compared.
    """

    def __init__(
        self, limit: float, send: Send, submit: Callable[[OpenQuestion], None], state: Callable[[], Any]
    ) -> None:
        self._send, self._submit, self._state = send, submit, state
        self._questions = Questions(limit)
        self._news: deque[_Waiting] = deque()
        self._seen: Any = None
        self._number = 0
        self._since = f"{os.getpid()}.{time.time_ns()}"

    def deadline(self) -> float | None:
        """When `expire` has something to do, on the monotonic clock; None if nobody waits."""
        times = [each.until for each in self._news]
        if (limit := self._questions.deadline()) is not None:
            times.append(limit)
        return min(times, default=None)

    def expire(self, now: float, hangs: Callable[[], str]) -> None:
        """Answer those whose time is over; `hangs`: what the thread that loads waits for, in words."""
        if (limit := self._questions.deadline()) is not None and limit <= now:
            for pipe, answer in self._questions.expired(now, hangs()):
                self._send(pipe, answer)
        if any(each.until <= now for each in self._news):
            self._answer(lambda each: each.until <= now)

    # ---- questions

    def ask(self, pipe: int, ask: OpenQuestion | Answer) -> None:
        """Have a question answered by the thread that loads; or give this answer, which needs no thread."""
        answer = self._questions.add(pipe, ask, time.monotonic()) if isinstance(ask, OpenQuestion) else ask
        if answer is not None:
            self._send(pipe, answer)
        self._submit_next()

    def answered(self, given: Answered) -> None:
        """The thread that loads has answered."""
        if (found := self._questions.answered(given)) is not None:
            self._send(*found)
        self._submit_next()

    def _submit_next(self) -> None:
        if (ask := self._questions.next()) is not None:
            self._submit(ask)

    # ---- news

    def await_news(self, pipe: int, request: NewsRequest) -> None:
        """Answer once something has changed since the state that this client knows."""
        self._look()
        seconds = min(max(0.0, request.seconds), LONGEST_NEWS)
        self._news.append(_Waiting(pipe, request.id, time.monotonic() + seconds))
        if request.after != self._name():
            self._answer(lambda each: each is self._news[-1])
        elif len(self._news) > MOST:
            self._answer(lambda each: each is self._news[0])

    def tell(self) -> None:
        """Answer all, if something has changed; to be called after each turn."""
        if self._news and self._look():
            self._answer(lambda each: True)

    def forget(self) -> None:
        """Tell all at the next turn, whatever has changed."""
        self._seen = None

    def _look(self) -> bool:
        """Whether the state is another one than when it was looked at last."""
        seen = self._state()
        if seen == self._seen:
            return False
        self._seen = seen
        self._number += 1
        return True

    def _name(self) -> str:
        return f"{self._since}.{self._number}"

    def _answer(self, whom: Callable[[_Waiting], bool]) -> None:
        told = [each for each in self._news if whom(each)]
        self._news = deque(each for each in self._news if each not in told)
        for each in told:
            self._send(each.pipe, News(each.request, self._name()))
