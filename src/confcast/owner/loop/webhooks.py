"""Webhooks are delivered beside the loop: what is owed, to whom, and when it is tried again.

Guaranteed. No load, vote, commit or answer waits for a webhook: the loop reads and notes what is owed while nothing
else is under way, and each try has a thread of its own, which ends with it, 15 s later at the most. A webhook has one
try at a time, so a receiver that hangs costs one thread and one connection, whatever is owed. While nothing is owed
there is no thread and no timer. While another generation takes over nothing is begun, so that two owners do not send
the same.

When it is tried again. A webhook that has failed rests: 5 s, doubled with each further failure up to an hour, a fifth
more or less by chance. A message that was not tried yet is tried after a minute of that rest: a receiver that refuses
one message gets the others, and one that is back is noticed soon. `Retry-After` (of 429 and 503) counts for all
messages, an hour at the most. After a success the rest is over, and what failed before is tried at once. So messages
may come in another order than events: a receiver goes by `timestamp`. The rest is kept in the journal, by the
date; where that is set back, the rest is over.

Logged: the first failure in a row, what is dropped, the receiver's end, and that it takes messages again.

Rejected: a thread that waits for messages (an owner has few, and none at night), and asyncio (an owner without sources
that follow has no loop of that kind).
"""

from __future__ import annotations

import logging
import random
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from confcast.errors import ConfcastError
from confcast.log_fields import about
from confcast.owner.loop.event_loop import EventLoop
from confcast.owner.loop.webhook_post import LONGEST_PAUSE, Verdict, deliver
from confcast.owner.store.deliveries import OLDEST, Deliveries, Delivery, Row
from confcast.wire.webhooks import Webhook

_log = logging.getLogger("confcast.owner")

_FIRST_PAUSE = 5.0
_FRESH_AFTER = 60.0
_MOST_DOUBLINGS = 10
_JOURNAL_AGAIN = 30.0
_SLACK = 1.0

Deliver = Callable[[Webhook, Delivery], Verdict]


class Rest(NamedTuple):
    """Until when a webhook rests, in seconds since 1970: `due`, and `due_fresh` for messages not tried yet."""

    due: float
    due_fresh: float


def rest_after(failures: int, asked: float, now: float, chance: float) -> Rest:
    """How long a webhook rests after a failure.

    Args:
        failures: How often it had failed in a row before this one.
        asked: For how many seconds its receiver asks to be left alone.
        now: The date.
        chance: From 0.0 to 1.0.
    """
    pause = min(_FIRST_PAUSE * 2.0 ** min(failures, _MOST_DOUBLINGS), LONGEST_PAUSE) * (0.8 + 0.4 * chance)
    pause = min(pause, LONGEST_PAUSE)
    return Rest(now + max(pause, asked), now + max(min(pause, _FRESH_AFTER), asked))


def wait_for(row: Row, owed: Delivery, now: float) -> float:
    """The seconds until a webhook is sent this message; 0.0: now."""
    wait = (row.due if owed.attempts else row.due_fresh) - now
    return wait if 0.0 < wait <= LONGEST_PAUSE + _SLACK else 0.0  # longer: the date was set back


class _Tried(NamedTuple):
    webhook: Webhook
    owed: Delivery
    verdict: Verdict


class Webhooks:
    """The webhooks of one owner. All but the tries themselves is for the loop's thread.

    Args:
        webhooks: They.
        deliveries: What they are owed.
        deliver: Tries once, in a thread of its own.
        date: The date, in seconds since 1970.
    """

    def __init__(
        self,
        webhooks: tuple[Webhook, ...],
        deliveries: Deliveries,
        deliver: Deliver = deliver,
        date: Callable[[], float] = time.time,
    ) -> None:
        self._webhooks, self._deliveries = webhooks, deliveries
        self._deliver, self._date = deliver, date
        self._names = {each.key: f"{number}, {each.shown}" for number, each in enumerate(webhooks, 1)}
        self._busy = set[str]()  # by key: a try is under way, or what came of it is not noted yet
        self._tried = deque[_Tried]()  # the threads of tries append to it
        self._dropped: dict[str, int] = {}  # how much had been dropped when that was looked at last
        self._dropping = set[str]()  # whose drops are logged since a message was taken
        self._paused = False
        self._done_r, self._done_w = socket.socketpair()
        for end in (self._done_r, self._done_w):
            end.setblocking(False)

    def start(self, loop: EventLoop, *, afresh: bool, paused: bool) -> None:
        """Deliver from now on, in this loop. `afresh`: a server starts; otherwise its owner was restarted."""
        self._loop, self._paused = loop, paused
        loop.watch_channel(self._done_r, self._take_done)
        try:
            lost = self._deliveries.begin(afresh=afresh)
        except ConfcastError as error:
            extra = about("webhooks_wait", error=error)
            _log.error("what webhooks are owed can't be looked through: %s", error, extra=extra)
        else:
            if lost:
                text = "messages of webhooks that are not named any more are dropped: %d"
                _log.warning(text, lost, extra=about("webhooks_forgotten", dropped=lost))
        for each in self._webhooks:
            if afresh and each.can_be_read:
                extra = about("webhook_in_clear", webhook=self._names[each.key])
                text = "the webhook %s has no TLS: whoever is on the way reads it"
                _log.warning(text, self._names[each.key], extra=extra)
        self._deliveries.changed = self._look
        self._look()

    def pause(self, *, on: bool) -> None:
        """Begin no try from now on; or, with `on=False`, go on."""
        self._paused = on
        self._look()

    def rests(self) -> bool:
        """Whether no try is under way."""
        return not self._busy

    def close(self, *, last: bool) -> None:
        """Begin no try any more. What one that is under way brings is not noted: the next owner sends it again.

        `last`: there is no next owner, and the journal goes with this one.
        """
        self._paused = True
        self._deliveries.changed = lambda: None
        with suppress(ConfcastError):
            if last and (lost := sum(map(self._deliveries.owed, self._names))):
                text = "messages of webhooks that were not taken end with the server, since it has no state_dir: %d"
                _log.warning(text, lost, extra=about("webhooks_lost", dropped=lost))
        self._done_r.close()
        self._done_w.close()

    def _look(self) -> None:
        self._loop.when_idle(self._tend)

    def _take_done(self) -> bool:
        with suppress(BlockingIOError):
            self._done_r.recv(4096)
        self._look()
        return True

    # ---- while the owner is idle

    def _tend(self) -> float:
        """Note what tries have brought, and begin those that are due. Returns the seconds until the next one, or 0."""
        try:
            while self._tried:
                self._note(self._tried[0])
                self._busy.discard(self._tried.popleft().webhook.key)
            waits = [wait for each in self._webhooks if (wait := self._attend(each))]
        except ConfcastError as error:
            extra = about("webhooks_wait", error=error)
            _log.error("webhooks wait, since what they are owed can't be read or noted: %s", error, extra=extra)
            return _JOURNAL_AGAIN
        return min(waits, default=0.0)

    def _attend(self, webhook: Webhook) -> float:
        """Begin a try, if one is due. Returns the seconds until then, or 0 if nothing is to be waited for."""
        key = webhook.key
        if self._paused or key in self._busy:
            return 0.0
        now = self._date()
        self._deliveries.drop_old(key, now)
        row = self._deliveries.row(key)
        self._log_dropped(key, row)
        owed = None if row.gone else self._deliveries.next(key)
        if owed is None:
            return 0.0
        if (wait := wait_for(row, owed, now)) == 0.0:
            self._begin(webhook, owed)
        return wait

    def _begin(self, webhook: Webhook, owed: Delivery) -> None:
        """Begin a try. Where no thread can be started, that is the failure."""
        self._busy.add(webhook.key)
        thread = threading.Thread(target=self._try, args=(webhook, owed), name="confcast-webhook", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._tried.append(_Tried(webhook, owed, Verdict(f"no thread can be started: {error}")))
            self._look()

    def _try(self, webhook: Webhook, owed: Delivery) -> None:
        """Try once, in a thread of its own."""
        self._tried.append(_Tried(webhook, owed, self._deliver(webhook, owed)))
        with suppress(OSError):  # full: the loop is woken already; closed: the owner ends
            self._done_w.send(b"\0")

    # ---- what came of a try

    def _note(self, tried: _Tried) -> None:
        webhook, owed, verdict = tried
        key, name = webhook.key, self._names[webhook.key]
        row, now = self._deliveries.row(key), self._date()
        if not verdict.failure:
            self._deliveries.delivered(key, owed)
            self._dropping.discard(key)
            if row.failures:
                pending = self._deliveries.owed(key)
                extra = about("webhook_takes_again", webhook=name, pending=pending)
                _log.info("the webhook %s takes messages again; waiting: %d", name, pending, extra=extra)
        elif verdict.gone:
            dropped = self._deliveries.end(key, verdict.failure, now)
            self._dropped.pop(key, None)
            extra = about("webhook_gone", webhook=name, error=verdict.failure, dropped=dropped)
            text = "the webhook %s %s: it is sent nothing until the server is started again; messages dropped: %d"
            _log.warning(text, name, verdict.failure, dropped, extra=extra)
        else:
            rest = rest_after(row.failures, verdict.pause, now, random.random())  # noqa: S311 (no secret)
            self._deliveries.failed(key, owed, verdict.failure, *rest)
            if not row.failures:
                text = "the webhook %s does not take a message: %s; it is tried again, for %d days at the most"
                extra = about("webhook_not_taken", webhook=name, error=verdict.failure)
                _log.warning(text, name, verdict.failure, OLDEST // 86400, extra=extra)

    def _log_dropped(self, key: str, row: Row) -> None:
        """Log that messages are dropped, once until one is taken again."""
        if row.dropped > self._dropped.get(key, row.dropped) and key not in self._dropping:
            self._dropping.add(key)
            text = "the webhook %s is owed too much, or for too long: the oldest messages are dropped, and counted"
            extra = about("webhook_drops", webhook=self._names[key], dropped=row.dropped)
            _log.warning(text, self._names[key], extra=extra)
        self._dropped[key] = row.dropped
