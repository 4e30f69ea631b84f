"""What a process says against its version: who is asked when, what is told, and what hangs."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from confcast.errors import NotAttached
from confcast.wire.messages import Counts, Message, Unhealthy
from confcast.worker.health.health import Health
from confcast.worker.pins import Pin
from confcast.worker.snapshot import Snapshot
from tests.support.waiting import DEADLINE, eventually, in_thread

SECRET = "hunter2"


class Judged:
    """What a replica is to its health."""

    def __init__(self) -> None:
        self._pinned: ContextVar[Pin[str] | None] = ContextVar("pinned", default=None)
        self._snapshot = Snapshot("config", 12, b"")
        self._provider = None

    @property
    def snapshot(self) -> Snapshot[str]:
        pin = self._pinned.get()
        return self._snapshot if pin is None or pin.snapshot is None else pin.snapshot


class Owner:
    """Keeps what it is told, while it `answers`."""

    def __init__(self) -> None:
        self.told: list[Message] = []
        self.answers = True

    def send(self, message: Message) -> bool:
        if self.answers:
            self.told.append(message)
        return self.answers

    def reasons(self, version: int = 12) -> list[str]:
        return [each.reason for each in self.told if isinstance(each, Unhealthy) and each.version == version]

    def counts(self, version: int = 12) -> tuple[int, int]:
        """The last ones."""
        found = [each for each in self.told if isinstance(each, Counts) and each.version == version]
        return (found[-1].answered, found[-1].failed) if found else (0, 0)


@pytest.fixture
def replica() -> Judged:
    return Judged()


@pytest.fixture
def owner() -> Owner:
    return Owner()


def mask(text: str, instead: str, *configs: object) -> str:
    return text.replace(SECRET, "***")


LOOP: list[asyncio.AbstractEventLoop] = []


@pytest.fixture
def health(replica: Judged, owner: Owner) -> Iterator[Health]:
    health = Health(replica, "unit", mask, lambda: LOOP[0] if LOOP else None)
    health.interval, health.deadline = 0.005, DEADLINE
    health.report_to(owner.send)
    yield health
    health.close()
    eventually(lambda: health._thread is None, "the end of the thread")


async def end_all() -> None:
    """Every other task of the loop."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@pytest.fixture
def loop(health: Health) -> Iterator[asyncio.AbstractEventLoop]:
    """Bound; another thread runs it, and no check is left on it."""
    loop = asyncio.new_event_loop()
    LOOP.append(loop)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    health.close()
    eventually(lambda: health._thread is None, "nothing is judged any more")

    def nothing_runs() -> bool:  # a check that is called late may come to the loop when the others have ended there
        asyncio.run_coroutine_threadsafe(end_all(), loop).result(DEADLINE)
        return "confcast-health" not in [each.name for each in threading.enumerate()]

    eventually(nothing_runs, "the end of the checks")
    LOOP.clear()
    loop.call_soon_threadsafe(loop.stop)
    thread.join(DEADLINE)
    loop.close()


# ---- checks


def test_a_check_is_called_again_and_again_while_the_version_is_provisional(health: Health, owner: Owner) -> None:
    called: list[int] = []
    health.declare(lambda: called.append(1))

    health.provisional(12, 60.0)
    eventually(lambda: len(called) > 3, "it is called again")
    health.provisional(12, 0.0)

    eventually(lambda: health._thread is None, "the thread ends with what is provisional")
    assert owner.told == []


def test_the_thread_ends_by_itself_when_the_time_is_over(health: Health, owner: Owner) -> None:
    health.provisional(12, 0.02)
    eventually(lambda: health._thread is None, "the end of the thread")


def test_nothing_is_started_while_nothing_is_provisional(health: Health) -> None:
    health.declare(lambda: False)
    health.provisional(12, 0.0)
    health.owner_is_back()
    assert health._thread is None


def test_another_version_than_the_provisional_one_is_not_judged(health: Health, replica: Judged, owner: Owner) -> None:
    judged: list[int] = []
    health.declare(lambda: judged.append(replica.snapshot.version))
    health.provisional(13, 60.0)
    replica._snapshot = Snapshot("config", 13, b"")
    eventually(lambda: judged, "it is judged once it runs here")
    assert set(judged) == {13}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda: False, "<lambda>: it returned False"),
        (lambda: {}["templates"], "<lambda>: KeyError: 'templates'"),
        (lambda: exit(3), "<lambda>: SystemExit: 3"),
        (lambda: {}[SECRET], "<lambda>: KeyError: '***'"),
    ],
)
def test_false_and_every_error_is_a_no(
    health: Health, owner: Owner, answer: Callable[[], Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    health.declare(answer)
    health.provisional(12, 60.0)
    eventually(lambda: owner.reasons() == [reason], "the owner is told, once a second")
    eventually(lambda: reason in caplog.text, "it is logged")
    assert SECRET not in caplog.text


@pytest.mark.parametrize("answer", [None, True, 1])
def test_all_else_is_a_yes(health: Health, owner: Owner, answer: Any) -> None:
    called: list[int] = []
    health.declare(lambda: called.append(1) or answer)
    health.provisional(12, 60.0)
    eventually(lambda: len(called) > 3, "it is called")
    assert owner.told == []


def test_a_canary_judges_what_is_on_trial_and_pins_it(health: Health, replica: Judged, owner: Owner) -> None:
    health.declare(lambda: replica.snapshot.version == 12)
    health.on_trial(Snapshot("config", 13, b""))
    eventually(lambda: owner.reasons(13), "the version on trial is judged")
    assert owner.reasons(12) == []
    health.on_trial(None)
    eventually(lambda: health._thread is None, "the end of the thread")


def test_one_that_hangs_is_a_no_and_holds_up_nothing(health: Health, replica: Judged, owner: Owner) -> None:
    goes_on, hung, others = threading.Event(), [], []

    def hangs() -> bool:
        hung.append(threading.current_thread())
        goes_on.wait(DEADLINE)
        return False

    health.deadline = 0.05
    health.declare(hangs)
    health.provisional(12, 60.0)
    eventually(owner.reasons, "it is a no")
    health.deadline = DEADLINE
    health.declare(lambda: others.append(1))
    eventually(lambda: len(others) > 3, "the other one is called meanwhile")
    replica._snapshot._tally.answered += 1
    eventually(lambda: owner.counts() == (1, 0), "requests are counted meanwhile")

    name = f"{test_one_that_hangs_is_a_no_and_holds_up_nothing.__name__}.<locals>.hangs"
    assert owner.reasons() == [f"{name}: it has not answered within 0.05 s"]
    assert len(hung) == 1
    goes_on.set()
    hung[0].join(DEADLINE)
    assert not hung[0].is_alive()
    assert len(owner.reasons()) == 1 or owner.reasons()[-1] == f"{name}: it returned False"  # a call that came later


def test_one_that_still_runs_for_an_older_version_is_named_in_the_log(
    health: Health, replica: Judged, owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    goes_on = threading.Event()
    health.deadline = 0.05
    health.declare(lambda: goes_on.wait(DEADLINE))
    health.provisional(12, 60.0)
    eventually(owner.reasons, "it is a no")

    replica._snapshot = Snapshot("config", 13, b"")
    health.provisional(13, 60.0)
    eventually(lambda: "its call for version 12 has not ended" in caplog.text, "it is not called beside itself")
    assert owner.reasons(13) == []
    goes_on.set()


def test_an_async_one_is_awaited_on_the_bound_loop(
    health: Health, replica: Judged, owner: Owner, loop: asyncio.AbstractEventLoop
) -> None:
    async def check() -> bool:
        assert asyncio.get_running_loop() is loop
        return replica.snapshot.version != 12

    health.declare(check)
    health.provisional(12, 60.0)
    eventually(owner.reasons, "it is a no")
    assert owner.reasons()[0].endswith("check: it returned False")


def test_an_async_one_that_hangs_is_a_no(health: Health, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
    async def check() -> None:
        await asyncio.Event().wait()

    health.deadline = 0.05
    health.declare(check)
    health.provisional(12, 60.0)
    eventually(owner.reasons, "it is a no")
    assert "0.05 s" in owner.reasons()[0]


@pytest.mark.parametrize("is_hidden", [False, True])
def test_an_async_one_without_a_loop_is_not_called_and_that_is_said_once(
    health: Health, owner: Owner, caplog: pytest.LogCaptureFixture, is_hidden: bool
) -> None:
    called: list[int] = []

    async def check() -> bool:
        called.append(1)
        return False

    others: list[int] = []
    health.declare((lambda: check()) if is_hidden else check)
    health.declare(lambda: others.append(1))
    health.provisional(12, 60.0)
    eventually(lambda: len(others) > 3, "the other one is called")
    assert caplog.text.count("no loop is bound") == 1
    assert (called, owner.told) == ([], [])


def test_the_end_of_the_loop_is_no_evidence(
    health: Health, owner: Owner, loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    """`asyncio.run` cancels all tasks when the application ends."""
    caplog.set_level(logging.INFO)
    begun = threading.Event()

    async def check() -> None:
        begun.set()
        await asyncio.Event().wait()

    def end() -> None:
        for task in asyncio.all_tasks(loop):
            task.cancel()

    health.deadline = DEADLINE
    health.declare(check)
    health.provisional(12, 60.0)
    assert begun.wait(DEADLINE)
    loop.call_soon_threadsafe(end)
    eventually(lambda: "its event loop ends" in caplog.text, "the check has no answer")
    assert owner.told == []


def test_what_is_cut_shows_no_part_of_a_secret(health: Health, owner: Owner) -> None:
    class Empty(list[object]):
        def __repr__(self) -> str:
            return "x" * 97 + SECRET  # cut after three letters of it, nobody would know it any more

    health.declare(Empty)
    health.provisional(12, 60.0)
    eventually(lambda: owner.reasons(), "a no")
    assert owner.reasons()[0].endswith("***")


def test_an_application_that_leaves_is_not_judged(health: Health, owner: Owner) -> None:
    goes_on, begun = threading.Event(), threading.Event()

    def check() -> bool:
        begun.set()
        goes_on.wait(DEADLINE)
        return False

    health.deadline = DEADLINE
    health.declare(check)
    health.provisional(12, 60.0)
    assert begun.wait(DEADLINE)
    health.serves(leaves=True)
    goes_on.set()
    begun.clear()
    replied = in_thread(lambda: begun.wait(0.05))
    assert replied() is False  # nor is it called again
    assert owner.told == []


def test_what_can_t_be_called_is_refused(health: Health) -> None:
    with pytest.raises(TypeError, match="is called without arguments"):
        health.declare(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("is_on_a_loop", [False, True])
def test_nothing_is_kept_of_a_version_once_its_check_has_ended(
    health: Health, replica: Judged, loop: asyncio.AbstractEventLoop, is_on_a_loop: bool
) -> None:
    """What is derived of a version is open as long as anything has its snapshot."""

    class Config:
        """Any."""

    judged: list[int] = []

    async def on_the_loop() -> None:
        judged.append(replica.snapshot.version)

    health.declare(on_the_loop if is_on_a_loop else lambda: judged.append(replica.snapshot.version))
    config: Any = Config()
    former = weakref.ref(config)
    replica._snapshot = Snapshot(config, 13, b"")
    health.provisional(13, 60.0)
    eventually(lambda: 13 in judged, "it is judged")

    replica._snapshot = Snapshot("config", 14, b"")
    health.provisional(14, 0.0)
    del config
    eventually(lambda: health._thread is None, "the end of the thread")
    eventually(lambda: (gc.collect(), former() is None)[1], "nothing has it")


# ---- unhealthy


def test_unhealthy_is_told_at_any_time_and_the_thread_ends(health: Health, owner: Owner) -> None:
    health.unhealthy(f"no answer from {SECRET}\n")
    eventually(lambda: owner.told == [Unhealthy(12, "no answer from ***\\n")], "the owner is told")
    eventually(lambda: health._thread is None, "the end of the thread")


def test_it_is_against_the_pinned_version(health: Health, replica: Judged, owner: Owner) -> None:
    with Pin(replica, replica._snapshot):
        replica._snapshot = Snapshot("config", 13, b"")
        health.unhealthy("pinned")
        eventually(lambda: owner.reasons(12) == ["pinned"], "the pinned one")
    health.unhealthy("newest")
    eventually(lambda: owner.reasons(13) == ["newest"], "the newest")


def test_a_reason_at_each_request_is_one_message_and_a_count(health: Health, owner: Owner) -> None:
    health.unhealthy("again")
    eventually(lambda: owner.reasons() == ["again"], "the owner is told")
    known = health.complaints._known[12, "again"]
    known.next_at += DEADLINE  # a slow machine takes more than a second for what comes now
    for _ in range(1000):
        health.unhealthy("again")
    eventually(lambda: health._thread is None, "nothing is to be told")
    assert owner.reasons() == ["again"]
    known.next_at = 0.0
    health.unhealthy("again")
    eventually(lambda: owner.reasons()[1:] == ["again (1000 more times)"], "the next message has the rest")
    assert health.complaints.made == 1002


def test_a_missing_owner_is_told_when_it_is_back(
    health: Health, owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    owner.answers = False
    health.unhealthy("first")
    eventually(lambda: "no config owner answers" in caplog.text, "it is logged")
    eventually(lambda: health._thread is None, "nobody polls for an owner")
    owner.answers = True
    health.owner_is_back()
    eventually(lambda: owner.reasons() == ["first"], "the next owner is told")


def test_reasons_without_an_end_are_bounded(health: Health, owner: Owner) -> None:
    owner.answers = False
    for number in range(40):
        health.unhealthy(f"reason {number}")
    assert (len(health.complaints.due()), health.complaints.dropped) == (32, 8)
    eventually(lambda: health._thread is None, "the end of the thread")


def test_reasons_that_differ_each_time_are_told_at_most_32_times_a_second(
    health: Health, replica: Judged, owner: Owner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("confcast.worker.health.complaints.INTERVAL", 10 * DEADLINE)  # a slow machine: all in one
    for number in range(40):
        health.unhealthy(f"no answer to request {number}")
        eventually(lambda: not health.complaints.due(), "what is due is told")
    assert (len(owner.reasons()), health.complaints.dropped) == (32, 8)
    eventually(lambda: "the others are only counted" in caplog.text, "it is logged")
    replica._snapshot = Snapshot("config", 13, b"")
    health.unhealthy("no answer to request 40")
    eventually(lambda: len(owner.reasons(13)) == 1, "noise against one version hides nothing against another")
    assert caplog.text.count("the others are only counted") == 1


def test_a_thread_that_an_error_has_ended_is_started_anew(
    health: Health, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[object] = []
    monkeypatch.setattr(threading, "excepthook", ended.append)

    def send(message: Message) -> bool:
        raise RuntimeError("a fault, as that of a filter of the application's log")

    health.report_to(send)
    health.unhealthy("first")
    eventually(lambda: ended and health._thread is not None and not health._thread.is_alive(), "the thread's end")
    health.report_to(owner.send)
    health.unhealthy("second")
    eventually(lambda: owner.reasons() == ["first", "second"], "both are told")


def test_a_long_reason_is_cut(health: Health, owner: Owner) -> None:
    health.unhealthy("x" * 5000)
    eventually(lambda: [len(each) for each in owner.reasons()] == [2000], "it is cut")


def test_nothing_is_raised_where_nothing_is_attached(
    health: Health, owner: Owner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def snapshot(_: Judged) -> None:
        raise NotAttached("not attached")

    monkeypatch.setattr(Judged, "snapshot", property(snapshot))
    health.unhealthy("early")
    assert "it is not attached" in caplog.text
    assert health.complaints.made == 1


# ---- counts


def test_counts_are_sent_while_something_is_provisional_if_they_have_changed(
    health: Health, replica: Judged, owner: Owner
) -> None:
    former = replica._snapshot
    former._tally.answered, former._tally.failed = 900, 1
    replica._snapshot = Snapshot("config", 13, b"")
    health.before = (12, former._tally)
    assert owner.told == []

    health.provisional(13, 60.0)
    eventually(lambda: owner.counts(12) == (900, 1), "the version before")
    for _ in range(10):
        replica._snapshot._tally.add(failed=True)
    eventually(lambda: owner.counts(13) == (10, 10), "the version that runs")
    told = len(owner.told)
    assert not threading.Event().wait(0.05)
    assert len(owner.told) == told


def test_a_next_owner_is_told_all_again(health: Health, replica: Judged, owner: Owner) -> None:
    replica._snapshot._tally.answered = 7
    health.provisional(12, 60.0)
    eventually(lambda: owner.counts() == (7, 0), "the owner is told")
    owner.told.clear()
    health.provisional(12, 60.0)
    eventually(lambda: owner.counts() == (7, 0), "so is the next one")


def test_an_owner_that_comes_while_counts_are_sent_is_told_them_too(
    health: Health, replica: Judged, owner: Owner
) -> None:
    def send(message: Message) -> bool:
        health.report_to(owner.send)
        health.provisional(12, 60.0)  # as the next owner's Install says, in the reading thread
        return True

    health.report_to(send)
    replica._snapshot._tally.answered = 7
    health.provisional(12, 60.0)
    eventually(lambda: owner.counts() == (7, 0), "the next owner is told")


def test_a_forked_child_begins_to_count_anew(health: Health, replica: Judged) -> None:
    health.provisional(12, 60.0)
    former = health._thread
    replica._snapshot._tally.answered = 7
    health.after_fork()
    assert (replica._snapshot._tally.answered, health._thread, health._judged(0.0)) == (0, None, [])
    assert former is not None
