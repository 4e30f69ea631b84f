"""One handler of SIGHUP for all managers of a process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from confcast.master import sighup
from tests.support.forking import said_in_child
from tests.support.waiting import in_thread


def own(number: int, frame: FrameType | None) -> None:
    """The program's handler."""


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.signal(signal.SIGHUP, own)
    yield
    signal.signal(signal.SIGHUP, before)
    assert sighup._entries == []


def hup() -> None:
    signal.raise_signal(signal.SIGHUP)  # the handler has run when it returns


def test_every_configuration_is_reloaded_once_and_one_that_ended_no_more() -> None:
    calls: list[str] = []

    def one() -> None:
        calls.append("one")

    def two() -> None:
        calls.append("two")

    sighup.reload_on_hup(one, "one")
    sighup.reload_on_hup(two, "two")
    hup()
    assert calls == ["one", "two"]
    sighup.no_longer(one)
    hup()
    assert calls == ["one", "two", "two"]
    sighup.no_longer(two)
    sighup.no_longer(two)
    assert signal.getsignal(signal.SIGHUP) is own


def test_a_handler_that_was_set_in_between_is_left_alone() -> None:
    def theirs(number: int, frame: FrameType | None) -> None:
        """A server's."""

    sighup.reload_on_hup(hup, "app")
    signal.signal(signal.SIGHUP, theirs)
    sighup.no_longer(hup)
    assert signal.getsignal(signal.SIGHUP) is theirs


def test_in_another_thread_nothing_is_set(caplog: pytest.LogCaptureFixture) -> None:
    in_thread(lambda: sighup.reload_on_hup(hup, "app"))()
    assert signal.getsignal(signal.SIGHUP) is own
    assert "SIGHUP will not reload 'app'" in caplog.text


def test_a_forked_child_reloads_what_it_has_started_itself_and_nothing_of_its_parent_s() -> None:
    calls: list[int] = []

    def parents() -> None:
        calls.append(0)

    def childs() -> None:
        calls.append(os.getpid())

    def in_child() -> bool:
        hup()
        sighup.reload_on_hup(childs, "app")
        hup()
        sighup.no_longer(childs)
        return calls == [os.getpid()] and signal.getsignal(signal.SIGHUP) is own

    sighup.reload_on_hup(parents, "app")
    assert said_in_child(in_child) == "True"
    sighup.no_longer(parents)
