"""A worker that was taken over says on its pipe whatever it likes: it speaks for itself, and for nobody else.

What it may do as any worker may, the guide's page on threats says. Here is what it can't.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from confcast import Problem, ReloadResult
from confcast.config.codec import Codec
from confcast.wire.framing import Deframer
from confcast.wire.messages import (
    PROTOCOL,
    Applied,
    Counts,
    Declined,
    Goodbye,
    Hello,
    Install,
    Message,
    Observed,
    Prepare,
    Tried,
    Unhealthy,
    Vote,
    WorkersRequest,
    Working,
    decode_to_worker,
)
from tests.integration.test_strangers import Stranger
from tests.support.fixtures import Manager, StartWorker
from tests.support.settings import Settings, write
from tests.support.waiting import eventually, in_thread
from tests.support.workers import Worker

SCHEMA = Codec(Settings).fingerprint
ELSEWHERE = 1  # a pid that is not its own


class Rogue(Stranger):
    """A process on the roster: this one, whatever it calls itself."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self._deframer, self._bodies = Deframer(), list[bytes]()
        self.says(Hello(PROTOCOL, ELSEWHERE, "replica", "app", SCHEMA))
        self.awaits(Install)

    def awaits(self, kind: type[Message]) -> Message:
        """The next message of this kind; others are dropped."""
        while True:
            while self._bodies:
                message = decode_to_worker(self._bodies.pop(0))
                if isinstance(message, kind):
                    return message
            data = self.socket.recv(65536)
            assert data, f"its pipe was closed before {kind.__name__} came"
            self._bodies += self._deframer.feed(data)


@contextmanager
def attached(manager: Manager) -> Iterator[Rogue]:
    rogue = Rogue(manager.address)
    try:
        yield rogue
        rogue.says(Goodbye())
        eventually(lambda: os.getpid() not in {each.pid for each in manager.workers()}, "its place on the roster")
    finally:
        rogue.socket.close()


@pytest.fixture
def worker(shared_manager: Manager, start_worker: StartWorker) -> Worker:
    return start_worker(shared_manager)


@pytest.fixture(autouse=True)
def begins_alike(shared_manager: Manager, worker: Worker, shared_config: Path) -> None:
    write(shared_config, worker.ask("read")[1])
    assert shared_manager.reload().result is ReloadResult.UNCHANGED


def test_its_yes_outvotes_no_other_workers_no(shared_manager: Manager, worker: Worker, shared_config: Path) -> None:
    """Whatever round it is for, and however often it is said; and what it has applied is not committed."""
    version, before = worker.ask("read")
    worker.ask("object_to", "this number is none")
    with attached(shared_manager) as rogue:
        write(shared_config, before + 1)
        rogue.says(*(Vote(number, ok=True) for number in range(-1, 200)))
        rogue.says(Applied(version + 1), Tried(version + 1), Observed(1))
        reloading = in_thread(shared_manager.reload)
        rogue.says(*[Vote(rogue.awaits(Prepare).round, ok=True)] * 3)  # type: ignore[attr-defined]
        event = reloading()
        assert (event.result, event.version) == (ReloadResult.REJECTED, version), event
        assert worker.ask("read") == (version, before)
    worker.ask("object_to", "")


def test_its_no_has_its_own_pid_whatever_it_says(shared_manager: Manager, worker: Worker, shared_config: Path) -> None:
    """The pid is the kernel's. So whoever has to act knows which process to look at."""
    version, before = worker.ask("read")
    with attached(shared_manager) as rogue:
        write(shared_config, before + 1)
        reloading = in_thread(shared_manager.reload)
        prepared = rogue.awaits(Prepare)
        assert isinstance(prepared, Prepare)
        rogue.says(Vote(prepared.round, ok=False, problems=(Problem("number", "no", f"worker {ELSEWHERE}"),)))
        event = reloading()
    assert (event.result, shared_manager.status().version) == (ReloadResult.REJECTED, version)
    assert f"worker {os.getpid()}" in str(event.problems[0])


def test_a_pipe_that_is_no_workers_has_no_word_in_anything(shared_manager: Manager, worker: Worker) -> None:
    """A client that votes, objects or takes its leave is closed, and nothing has changed."""
    version = shared_manager.status().version
    said = [Vote(1, ok=False), Applied(version), Declined(version), Unhealthy(version, "x"), Counts(version, 99, 99)]
    for message in [*said, Tried(version), Observed(1), Working(1, "f")]:
        stranger = Stranger(shared_manager.address)
        with stranger.socket:
            stranger.says(Hello(PROTOCOL, worker.pid, "client", "app"), message)
            assert stranger.receives() == []
    assert [each.state for each in shared_manager.workers() if each.pid == worker.pid] == ["current"]
    assert shared_manager.status().evidence == []


def test_it_ends_no_other_workers_membership(shared_manager: Manager, worker: Worker, shared_config: Path) -> None:
    """Neither by a Goodbye, nor by a Hello with the other's pid: the roster knows processes by the kernel."""
    with attached(shared_manager):
        assert {os.getpid(), worker.pid} <= {each.pid for each in shared_manager.workers()}
    stranger = Stranger(shared_manager.address)
    with stranger.socket:
        stranger.says(Hello(PROTOCOL, worker.pid, "replica", "app", SCHEMA), Goodbye())
        assert stranger.receives() != []
    write(shared_config, number := worker.ask("read")[1] + 1)
    event = shared_manager.reload()
    assert worker.pid in event.applied
    assert worker.ask("read")[1] == number


def test_nothing_that_it_says_undoes_a_version_that_is_good(shared_manager: Manager, worker: Worker) -> None:
    """It is told, and counted. What is provisional it can have undone, as any worker can."""
    version = shared_manager.status().version
    with attached(shared_manager) as rogue:
        rogue.says(Unhealthy(version, "all is lost"), Counts(version, 10**6, 10**6), Unhealthy(version - 1, "x"))
        rogue.says(WorkersRequest(7))
        assert shared_manager.status().version == version
    assert shared_manager.wait().result is not ReloadResult.UNDONE
    assert worker.ask("read")[0] == version


@pytest.mark.parametrize("text", ["${file:/etc/passwd}", "@/etc/passwd", "!include /etc/passwd", "${HOME}", "{HOME}"])
def test_what_it_sets_is_a_text_that_leads_the_owner_to_nothing(
    text: str, shared_manager: Manager, worker: Worker
) -> None:
    event = shared_manager.set({"name": text})
    try:
        assert [(each.key, each.new) for each in event.changes] == [("name", text)]
        assert worker.ask("read")[0] == event.version
    finally:
        assert shared_manager.unset(["name"])


def test_a_frame_is_refused_by_its_claimed_length_before_it_comes(shared_manager: Manager, worker: Worker) -> None:
    with attached(shared_manager):
        other = Stranger(shared_manager.address)
        with other.socket:
            other.sends((1024 * 1024 + 1).to_bytes(4, "big"))
            assert other.receives() == []
