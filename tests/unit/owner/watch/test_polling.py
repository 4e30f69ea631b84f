"""Polls: which sources have them, what they tell the watcher, and what ends them."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import msgspec
import pytest

from confcast import Secret
from confcast.owner.watch.polling import Polling
from confcast.wire import programs
from tests.support.waiting import DEADLINE, eventually, in_thread

LONG = 1000.0


class Polled:
    """A source whose poll gives what a test says, and notes that it was called."""

    def __init__(self, *pauses: Any, contents: Any = (), hangs: threading.Event | None = None) -> None:
        self.pauses, self.contents, self.content = list(pauses), list(contents), b"0"
        self.hangs = hangs
        self.called: queue.Queue[str] = queue.Queue()

    def poll(self) -> Any:
        if self.contents:
            self.content = self.contents.pop(0)
        self.called.put(threading.current_thread().name)
        if self.hangs is not None:
            self.hangs.wait(DEADLINE)
        found = self.pauses.pop(0) if self.pauses else LONG
        if isinstance(found, BaseException):
            raise found
        return found

    def content_fingerprint(self) -> bytes:
        return self.content


Start = Callable[..., Polling]


@pytest.fixture
def changes() -> queue.Queue[None]:
    return queue.Queue()


@pytest.fixture
def start(changes: queue.Queue[None]) -> Iterator[Start]:
    begun: list[Polling] = []

    def make(*sources: Any) -> Polling:
        begun.append(Polling(sources, lambda: changes.put(None)))
        begun[-1].start()
        return begun[-1]

    yield make
    for each in begun:
        each.close()


def test_only_what_has_a_poll_gets_a_thread(start: Start) -> None:
    before = threading.active_count()
    start(object(), "a file")
    assert threading.active_count() == before
    source = Polled()
    start(object(), source)
    assert source.called.get(timeout=DEADLINE) == "confcast-poll"


def test_a_poll_that_finds_other_content_has_the_watcher_compare(start: Start, changes: queue.Queue[None]) -> None:
    source = Polled(0, 0, 0, 0, contents=[b"0", b"1", b"1", b"2"])
    start(source)
    for _ in range(5):
        source.called.get(timeout=DEADLINE)
    eventually(lambda: changes.qsize() == 2, "two changes")


def test_what_others_have_read_between_two_polls_is_a_change_too(start: Start, changes: queue.Queue[None]) -> None:
    """A question reads, and no load: the next poll finds nothing new, and the watcher has not compared."""
    source = Polled(0.06, LONG)
    polling = Polling([source], lambda: changes.put(None))
    polling.start()
    source.called.get(timeout=DEADLINE)
    source.content = b"1"
    source.called.get(timeout=DEADLINE)
    changes.get(timeout=DEADLINE)
    polling.close()


def test_what_a_poll_finds_after_a_load_has_read_otherwise_is_a_change(changes: queue.Queue[None]) -> None:
    """It is what the poll before has found, and the watcher compares with what the load has read."""
    source = Polled(0.06, LONG, contents=[b"0", b"0"])
    polling = Polling([source], lambda: changes.put(None))
    polling.start()
    source.called.get(timeout=DEADLINE)
    source.content = b"1"
    source.called.get(timeout=DEADLINE)
    changes.get(timeout=DEADLINE)
    polling.close()


def test_a_source_that_has_no_fingerprint_is_compared_at_each_poll(start: Start, changes: queue.Queue[None]) -> None:
    class Plain:
        def poll(self) -> float:
            return LONG

    start(Plain())
    changes.get(timeout=DEADLINE)


@pytest.mark.parametrize("wrong", [ValueError("hunter"), SystemExit(3), None, float("nan"), "5", True])
def test_what_goes_wrong_ends_nothing_and_is_logged_once(
    start: Start, wrong: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("confcast.owner.watch.polling._AFTER_A_FAILURE", 0.0)
    source = Polled(wrong, wrong, LONG)
    polling = start(source)
    for _ in range(3):
        source.called.get(timeout=DEADLINE)
    assert polling.failures == 2
    (said,) = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert said.startswith("the poll of a Polled failed, and is tried again\n")
    assert type(wrong).__name__ in said or "poll() gave" in said


def test_the_traceback_of_a_poll_that_fails_shows_no_secret_of_its_source(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    class WithToken(msgspec.Struct, frozen=True):
        token: Annotated[str, Secret]
        called: Annotated[Any, Secret] = None

        def poll(self) -> float:
            self.called.set()
            raise ConnectionError(f"https://h/?token={self.token} is not reached")

    called = threading.Event()
    polling = start(WithToken("hunter2-hunter2", called))
    assert called.wait(DEADLINE)
    polling.close()
    assert "hunter2" not in caplog.text
    assert "ConnectionError: https://h/?token=********** is not reached" in caplog.text


def test_a_fingerprint_that_raises_ends_nothing(start: Start) -> None:
    class Raising(Polled):
        def content_fingerprint(self) -> bytes:
            raise OSError("gone")

    source = Raising(0, 0)
    start(source)
    for _ in range(3):
        source.called.get(timeout=DEADLINE)


def test_one_that_hangs_delays_no_other(start: Start) -> None:
    over = threading.Event()
    hanging, other = Polled(hangs=over), Polled(0, 0)
    start(hanging, other)
    hanging.called.get(timeout=DEADLINE)
    for _ in range(3):
        other.called.get(timeout=DEADLINE)
    over.set()


def test_no_poll_begins_in_a_pause(start: Start, changes: queue.Queue[None]) -> None:
    source = Polled()
    polling = Polling([source], lambda: changes.put(None))
    polling.pause(on=True)
    polling.start()
    assert source.called.empty()
    polling.pause(on=False)
    source.called.get(timeout=DEADLINE)
    polling.close()


def test_it_ends_at_once_and_begins_no_more(start: Start) -> None:
    source = Polled(LONG)
    polling = start(source)
    source.called.get(timeout=DEADLINE)
    polling.close()
    polling.close()
    assert not [each for each in threading.enumerate() if each.name == "confcast-poll"]


def test_its_end_kills_what_runs_and_waits_no_longer_than_it_may(start: Start, monkeypatch: Any) -> None:
    monkeypatch.setattr("confcast.owner.watch.polling._CLOSE_WITHIN", 0.05)
    over = threading.Event()
    source = Polled(hangs=over)
    polling = start(source)
    source.called.get(timeout=DEADLINE)
    ended = in_thread(lambda: programs.run(["sleep", "600"], float("inf"), 10))
    eventually(lambda: programs._running, "the program")
    polling.close()
    ended()
    over.set()
    eventually(lambda: not [each for each in threading.enumerate() if each.name == "confcast-poll"], "its end")


def test_a_thread_that_can_t_be_started_is_said(monkeypatch: Any, caplog: pytest.LogCaptureFixture) -> None:
    def refused(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    Polling([Polled()], lambda: None).start()
    assert caplog.messages == ["Polled is not polled, and only loads read it: can't start new thread"]
