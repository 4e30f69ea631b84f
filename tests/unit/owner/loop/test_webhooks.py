"""When webhooks are tried, by a clock that jumps: days of a receiver that fails, hangs, refuses one, or comes back."""

from __future__ import annotations

import itertools
import json
import logging
import select
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from confcast import Webhook
from confcast.owner.loop import webhooks as module
from confcast.owner.loop.mailbox import IdleTasks, Job
from confcast.owner.loop.webhook_post import Verdict
from confcast.owner.loop.webhooks import Webhooks, rest_after, wait_for
from confcast.owner.store import deliveries
from confcast.owner.store.deliveries import OLDEST, Deliveries, Delivery, Row
from confcast.owner.store.journal import Journal, JournalError
from confcast.wire.messages import ReloadEvent, ReloadResult
from tests.support.receiver import SECRET
from tests.support.waiting import eventually

HOUR, DAY = 3600.0, 86400.0
BEGAN = 1_700_000_000.0
HOOK = Webhook("https://ops.example/hunter2", SecretStr(SECRET))
OTHER = Webhook("https://ops.example/other", SecretStr(SECRET))
DOWN = Verdict("answers with status 500")


class Days:
    """An owner's loop of which only the idle tasks are left; its clock stands still while a try is under way.

    Attributes:
        now: Seconds since its beginning.
        set_back: How much the date is behind.
        answer: What comes of a try.
        tries: When each was, and of which version.
        jumps: How often the clock has jumped: each is a wakeup of the owner.
    """

    def __init__(self, path: Path, *webhooks: Webhook) -> None:
        self.now, self.set_back, self.jumps = 0.0, 0.0, 0
        self.tries: list[tuple[float, int]] = []
        self.answer: Callable[[Webhook, int], Verdict] = lambda webhook, version: Verdict()
        self._idle = IdleTasks()
        self._version = 0
        hooks = webhooks or (HOOK,)
        self.deliveries = Deliveries(hooks, "app", "web-3")
        self.journal = Journal(path, deliveries=self.deliveries)
        self.webhooks = Webhooks(hooks, self.deliveries, self._deliver, lambda: BEGAN + self.now - self.set_back)
        self.webhooks.start(self, afresh=True, paused=False)  # type: ignore[arg-type]

    def when_idle(self, job: Job) -> None:
        self._idle.add(job)

    def watch_channel(self, channel: socket.socket, receive: Callable[[], bool]) -> None:
        self._channel, self._receive = channel, receive

    def _deliver(self, webhook: Webhook, owed: Delivery) -> Verdict:
        version = json.loads(owed.body)["data"]["version"]
        self.tries.append((self.now, version))
        return self.answer(webhook, version)

    def settles(self, count: int = 1) -> None:
        """So many versions more."""
        for _ in range(count):
            self._version += 1
            how = {"timestamp": BEGAN + self.now, "result": ReloadResult.SUCCESS, "version": self._version}
            self.journal.add_event(ReloadEvent(**how, previous_version=self._version - 1))  # type: ignore[arg-type]
        self.journal.fold()

    def turn(self) -> float | None:
        """All that is due, and what comes of tries; when something is due next."""
        while True:
            self._idle.do(self.now)
            if not self.webhooks.rests():
                select.select([self._channel], [], [], 20.0)
                self._receive()
            elif (due := min(self._idle.next(), default=None)) is None or due > self.now:
                return due

    def passes(self, seconds: float) -> None:
        """Time."""
        until = self.now + seconds
        while (due := self.turn()) is not None and due <= until:
            self.now, self.jumps = due, self.jumps + 1
        self.now = until

    def close(self) -> None:
        self.webhooks.close(last=False)
        self.journal.close()


@pytest.fixture
def days(tmp_path: Path) -> Iterator[Days]:
    found = Days(tmp_path / "journal")
    yield found
    found.close()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "confcast")
    return caplog


def fails(webhook: Webhook, version: int) -> Verdict:
    return DOWN


def test_a_receiver_that_is_away_for_days_is_asked_ever_more_seldom_and_then_no_more(
    days: Days, log: pytest.LogCaptureFixture
) -> None:
    days.answer = fails
    days.settles()
    days.passes(OLDEST + 2 * HOUR)
    times = [when for when, _ in days.tries]
    pauses = [later - when for when, later in itertools.pairwise(times)]
    for number, pause in enumerate(pauses):
        usual = min(5.0 * 2**number, HOUR)
        assert 0.79 * usual <= pause <= min(1.21 * usual, HOUR + 1)
    assert times[0] == 0.0
    assert 72 <= len(times) <= 72 * 1.25 + 12
    refused, dropped = log.messages
    assert refused.startswith(
        "the webhook 1, https://ops.example/*** does not take a message: answers with status 500;"
    )
    assert refused.endswith("; it is tried again, for 3 days at the most")
    assert dropped.startswith("the webhook 1, https://ops.example/*** is owed too much, or for too long: ")
    told = days.journal.totals()["webhooks"][0]
    assert (told["pending"], told["dropped"], told["failed"]) == (0, 1, len(times))
    jumps = days.jumps
    days.passes(30 * DAY)
    assert days.jumps == jumps, "while nothing is owed nobody wakes up"


def test_a_receiver_that_hangs_for_a_day_grows_nothing(days: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "MOST", 50)
    threads = threading.active_count()
    days.answer = lambda webhook, version: Verdict("no whole answer within 15 s")
    for _ in range(24):
        days.settles(4)
        days.passes(HOUR)
    eventually(lambda: threading.active_count() == threads, "the end of the last try's thread")
    assert days.deliveries.owed(HOOK.key) == 50
    assert days.deliveries.row(HOOK.key).dropped == 24 * 4 - 50
    assert len(days.tries) <= 24 * 4 + 24 + 12, "each message soon, and one of them an hour"
    assert Path(days.journal._database.path).stat().st_size < 512 * 1024
    days.answer = lambda webhook, version: Verdict()
    days.passes(HOUR)
    assert days.deliveries.owed(HOOK.key) == 0, "all that is owed is taken once the receiver is back"


def test_one_that_is_back_gets_all_and_that_is_logged(days: Days, log: pytest.LogCaptureFixture) -> None:
    days.answer = fails
    days.settles(5)
    days.passes(10 * HOUR)
    days.answer = lambda webhook, version: Verdict()
    days.passes(HOUR)
    assert days.deliveries.owed(HOOK.key) == 0
    assert log.messages[1:] == ["the webhook 1, https://ops.example/*** takes messages again; waiting: 4"]
    assert {version for _, version in days.tries[-5:]} == {1, 2, 3, 4, 5}


def test_a_message_that_is_refused_holds_up_no_other_for_longer_than_a_minute(days: Days) -> None:
    days.answer = lambda webhook, version: DOWN if version == 1 else Verdict()
    days.settles()
    days.passes(20 * HOUR)
    for version in (2, 3, 4):
        days.settles()
        before = days.now
        days.passes(60.0)
        (when,) = [when for when, which in days.tries if which == version]
        assert when - before <= 60.0
        days.passes(5 * HOUR)
    assert days.deliveries.owed(HOOK.key) == 1
    assert len(days.tries) < 150, "and is not asked about more often for it"


def test_webhooks_hold_up_each_other_in_nothing(tmp_path: Path) -> None:
    days = Days(tmp_path / "journal", HOOK, OTHER)
    try:
        days.answer = lambda webhook, version: DOWN if webhook is HOOK else Verdict()
        days.settles(3)
        days.passes(1.0)
        assert [each["delivered"] for each in days.journal.totals()["webhooks"]] == [0, 3]
    finally:
        days.close()


def test_what_a_receiver_asks_for_counts_for_every_message_and_for_an_hour_at_the_most(days: Days) -> None:
    days.answer = lambda webhook, version: Verdict("answers with status 429", pause=HOUR)
    days.settles()
    days.passes(1.0)
    days.settles()
    days.passes(HOUR - 2.0)
    assert len(days.tries) == 1
    days.passes(2.0)
    assert len(days.tries) == 2


def test_a_date_that_is_set_back_ends_the_rest(days: Days) -> None:
    days.answer = fails
    days.settles()
    days.passes(1.0)
    days.set_back = 300 * DAY
    days.passes(10.0)
    before = len(days.tries)
    days.settles()
    days.passes(HOUR)
    assert len(days.tries) > before


def test_what_was_delivered_and_can_t_be_noted_is_not_sent_again_at_once(
    days: Days, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    def full(*about: object) -> None:
        raise JournalError("the journal can't be written: database or disk is full")

    days.settles(2)
    monkeypatch.setattr(days.deliveries, "delivered", full)
    days._idle.do(days.now)
    select.select([days._channel], [], [], 20.0)
    days._receive()
    for _ in range(4):
        days._idle.do(days.now)
        assert not days.webhooks.rests()
        days.now += 30.0
    assert len(days.tries) == 1
    assert "can't be read or noted: the journal can't be written" in log.messages[0]
    monkeypatch.undo()
    days.passes(60.0)
    assert [version for _, version in days.tries] == [1, 2]
    assert days.journal.totals()["webhooks"][0]["delivered"] == 2


def test_where_no_thread_can_be_started_it_is_tried_later(days: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    days.settles()
    days._idle.do(days.now)
    days._idle.do(days.now)
    assert days.journal.totals()["webhooks"][0]["error"] == "no thread can be started: can't start new thread"
    monkeypatch.undo()
    days.passes(10.0)
    assert days.deliveries.owed(HOOK.key) == 0


def test_while_it_is_paused_nothing_begins_and_what_is_under_way_is_noted(days: Days) -> None:
    days.settles(2)
    days._idle.do(days.now)
    days.webhooks.pause(on=True)
    days.turn()
    assert (len(days.tries), days.deliveries.owed(HOOK.key), days.webhooks.rests()) == (1, 1, True)
    days.settles()
    days.passes(DAY)
    assert len(days.tries) == 1
    days.webhooks.pause(on=False)
    days.turn()
    assert days.deliveries.owed(HOOK.key) == 0


def test_the_end_is_logged_with_what_is_lost(days: Days, log: pytest.LogCaptureFixture) -> None:
    days.answer = fails
    days.settles(3)
    days.turn()
    log.clear()
    days.webhooks.close(last=True)
    assert log.messages == [
        "messages of webhooks that were not taken end with the server, since it has no state_dir: 3"
    ]
    days.deliveries.use(days.journal._database)


def test_at_a_start_what_is_named_no_more_and_what_has_no_tls_is_logged(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    days = Days(tmp_path / "journal")
    days.answer = fails
    days.settles(3)
    days.close()
    log.clear()
    Days(tmp_path / "journal", Webhook("http://ops.example/hook", SecretStr(SECRET))).close()
    assert log.messages == [
        "messages of webhooks that are not named any more are dropped: 3",
        "the webhook 1, http://ops.example/*** has no TLS: whoever is on the way reads it",
    ]


def test_the_next_owner_goes_on_with_the_rest(tmp_path: Path) -> None:
    days = Days(tmp_path / "journal")
    days.answer = fails
    days.settles()
    days.passes(2 * HOUR)
    before = days.deliveries.row(HOOK.key)
    days.close()
    following = Deliveries((HOOK,), "app", "web-3")
    journal = Journal(tmp_path / "journal", deliveries=following)
    following.begin(afresh=False)
    assert following.row(HOOK.key) == before
    assert before.failures > 8
    journal.close()


def test_how_long_a_webhook_rests() -> None:
    assert rest_after(0, 0.0, 100.0, 0.5) == (105.0, 105.0)
    assert rest_after(3, 0.0, 100.0, 0.5) == (140.0, 140.0)
    assert rest_after(5, 0.0, 100.0, 0.5) == (260.0, 160.0)
    assert rest_after(10_000, 0.0, 100.0, 1.0) == (3700.0, 160.0)
    assert rest_after(0, 90.0, 100.0, 0.5) == (190.0, 190.0)
    tried, fresh = Delivery(1, "", 1, b""), Delivery(1, "", 0, b"")
    row = Row(due=200.0, due_fresh=150.0)
    assert (wait_for(row, tried, 100.0), wait_for(row, fresh, 100.0), wait_for(row, tried, 300.0)) == (100.0, 50.0, 0.0)
    assert module._JOURNAL_AGAIN == 30.0
