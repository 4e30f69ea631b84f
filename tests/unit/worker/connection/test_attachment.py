"""Attaching a replica to an owner that the test plays: from threads, interrupted, refused, and after a fork."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import pytest

from confcast.config.codec import Codec, digest
from confcast.config.schema.kinds import Secret
from confcast.errors import ConfcastError, ConfigError, NotAttached, OwnerUnavailable, Problem
from confcast.wire.files import snapshot_file
from confcast.wire.messages import (
    Applied,
    Commit,
    Goodbye,
    Hello,
    Install,
    Message,
    Prepare,
    Vote,
    Working,
)
from confcast.worker import registry
from confcast.worker.replica import Replica
from confcast.worker.snapshot import Snapshot
from tests.support import links
from tests.support.forking import holds_in_child
from tests.support.leaks import belongings
from tests.support.waiting import DEADLINE, eventually, in_thread


@dataclass(frozen=True)
class Settings:
    """The schema; small, and no pydantic."""

    number: int = 0


@dataclass(frozen=True)
class Secretive:
    """A schema with a secret."""

    number: int
    token: Annotated[str, Secret]


CODEC = Codec(Settings)
S = TypeVar("S")


class Owner:
    """A control socket, and one worker's pipe at a time."""

    def __init__(self, listening: socket.socket) -> None:
        self.listening = listening
        self.address = listening.getsockname()
        self._pipes: list[links.Owner] = []

    def accept(self) -> Hello:
        self._pipes.append(links.Owner(self.listening))
        hello = self.receive()
        assert isinstance(hello, Hello)
        return hello

    def install(self, version: int) -> None:
        payload = CODEC.encode(Settings(version))
        self.say(Install(version, digest(payload), payload))

    def prepare(self, round_: int, number: int) -> None:
        payload = CODEC.encode(Settings(number))
        self.say(Prepare(round_, digest(payload), payload))

    def say(self, message: Message) -> None:
        self._pipes[-1].say(message)

    def receive(self) -> Message | None:
        return self._pipes[-1].receive()

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.close()


@pytest.fixture
def owner() -> Iterator[Owner]:
    with links.control_socket() as listening, contextlib.closing(Owner(listening)) as owner:
        yield owner


@contextlib.contextmanager
def declared(schema: type[S]) -> Iterator[Replica[S]]:
    """Afterwards it is as if there had been none."""
    replica = Replica(schema, name="attaching")
    yield replica
    replica.close()
    registry.withdraw(replica)


@pytest.fixture
def replica() -> Iterator[Replica[Settings]]:
    with declared(Settings) as replica:
        yield replica


def attached(replica: Replica[Settings], owner: Owner, version: int = 1) -> None:
    attaching = in_thread(lambda: replica.attach(owner.address))
    owner.accept()
    owner.install(version)
    assert attaching() is replica
    assert owner.receive() == Applied(version, follows=False)


def test_of_two_threads_one_attaches_and_both_have_a_version(owner: Owner, replica: Replica[Settings]) -> None:
    both = [in_thread(lambda: replica.attach(owner.address).latest.number) for _ in range(2)]
    owner.accept()
    owner.install(3)
    assert [attaching() for attaching in both] == [3, 3]
    owner.listening.settimeout(0)
    with pytest.raises(BlockingIOError):
        owner.listening.accept()


def test_an_interrupt_while_it_waits_leaves_no_thread_and_nobody_on_the_roster(
    owner: Owner, replica: Replica[Settings]
) -> None:
    class Stop(BaseException):
        """As KeyboardInterrupt: none of the application's errors."""

    def stop(number: int, frame: Any) -> None:
        raise Stop

    before = belongings().threads
    handler = signal.signal(signal.SIGUSR1, stop)

    def interrupt() -> Hello:
        hello = owner.accept()
        os.kill(os.getpid(), signal.SIGUSR1)
        return hello

    interrupting = in_thread(interrupt)
    try:
        with pytest.raises(Stop):
            replica.attach(owner.address)
    finally:
        signal.signal(signal.SIGUSR1, handler)
    interrupting()
    assert owner.receive() == Goodbye()
    assert belongings().threads == before
    with pytest.raises(NotAttached):
        replica.reload()
    attached(replica, owner)


def test_where_no_thread_can_be_started_that_is_said_and_it_may_be_tried_again(
    owner: Owner, replica: Replica[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that takes any other exception at a worker's start for a fault in the application stops as a whole."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)

        with pytest.raises(ConfcastError, match="can't be started: can't start new thread"):
            replica.attach(owner.address)

    assert isinstance(owner.accept(), Hello)  # by which it said its Goodbye, after all
    attached(replica, owner)


def test_a_close_wakes_the_thread_that_waits_for_a_first_version(owner: Owner, replica: Replica[Settings]) -> None:
    attaching = in_thread(lambda: replica.attach(owner.address, timeout=2 * DEADLINE))
    owner.accept()

    replica.close()

    with pytest.raises(NotAttached, match="was closed while it was being attached"):
        attaching()
    assert owner.receive() == Goodbye()
    attached(replica, owner)


@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError(), ValueError("no")])
def test_whatever_a_precommit_function_raises_is_a_no_and_the_next_version_goes_through(
    error: BaseException, owner: Owner, replica: Replica[Settings]
) -> None:
    @replica.precommit
    def judge(old: Settings, new: Settings) -> None:
        if new.number == 2:
            raise error

    attached(replica, owner)
    owner.prepare(1, 2)
    working, vote = owner.receive(), owner.receive()
    assert isinstance(working, Working)
    assert isinstance(vote, Vote)
    assert not vote.ok
    assert vote.problems[0].message.endswith(f"judge: {str(error) or type(error).__name__}")
    owner.prepare(2, 3)
    assert [owner.receive(), owner.receive()] == [Working(2, working.function), Vote(2, True)]


def test_a_vote_and_a_swap_take_few_calls(owner: Owner, replica: Replica[Settings]) -> None:
    """A worker that slept has none of this in its processor's caches: each function that it runs costs some 2 µs."""
    calls: list[str] = []

    def note(frame: Any, event: str, argument: object) -> None:
        if event == "call" and "/codec/" not in frame.f_code.co_filename:
            calls.append(frame.f_code.co_name)

    threading.setprofile(note)
    try:
        attached(replica, owner)
    finally:
        threading.setprofile(None)
    for round_ in range(1, 13):
        if round_ == 3:
            calls.clear()  # what the install has left to do is done
        owner.prepare(round_, round_)
        assert owner.receive() == Vote(round_, True)
        owner.say(Commit(round_, round_ + 1))
        assert owner.receive() == Applied(round_ + 1, follows=False)
    # 36 or 37 in each; the thread has a little to do after Applied, which may be counted with the next round.
    assert len(calls) <= 38 * 10, calls[-50:]


@dataclass(frozen=True)
class Frank:
    """Its repr shows its secret, as any dataclass's does."""

    number: int
    token: Annotated[str, Secret] = "a-secret-of-the-configuration"


@pytest.fixture
def frank() -> Iterator[Replica[Frank]]:
    with declared(Frank) as replica:
        yield replica


def test_no_frame_below_a_precommit_function_shows_a_configuration(owner: Owner, frank: Replica[Frank]) -> None:
    """An error tracker may send the variables of all of them with whatever the function logs."""
    leaks: list[str] = []
    codec = Codec(Frank)

    @frank.precommit
    def judge(old: Frank, new: Frank) -> None:
        below = sys._getframe().f_back
        while below is not None:
            shown = {name: repr(value) for name, value in below.f_locals.items()}
            leaks.extend(f"{below.f_code.co_qualname} {name}" for name, text in shown.items() if "a-secret" in text)
            below = below.f_back

    attaching = in_thread(lambda: frank.attach(owner.address, ignore_sighup=False))
    owner.accept()
    payloads = [codec.encode(Frank(number)) for number in range(4)]
    owner.say(Install(1, digest(payloads[1]), payloads[1]))
    assert owner.receive() == Applied(1, follows=False)
    attaching()
    owner.say(Prepare(1, digest(payloads[2]), payloads[2]))
    assert [type(owner.receive()), owner.receive()] == [Working, Vote(1, True)]
    owner.say(Install(2, digest(payloads[3]), payloads[3]))
    assert [type(owner.receive()), owner.receive()] == [Working, Applied(2, follows=False)]
    assert leaks == []


class Judge:
    def __call__(self, old: Settings, new: Settings, secret: str = "") -> None:
        """Agrees."""


def test_before_each_function_it_is_said_which_one_runs(owner: Owner, replica: Replica[Settings]) -> None:
    """In the process that is asked, so that the owner can name it when it takes long. A repr might show a secret."""
    for function in (partial(Judge(), secret="s3cret"), Judge().__call__, lambda old, new: None):
        replica.precommit(function)
    attached(replica, owner)
    owner.prepare(1, 2)
    here = f"{__name__}:"
    said = [owner.receive() for _ in range(4)]
    assert said[:2] == [Working(1, f"{here}Judge"), Working(1, f"{here}Judge.__call__")]
    assert isinstance(said[2], Working)
    assert said[2].function.endswith("<lambda>")
    assert said[3] == Vote(1, True)


def test_without_functions_nothing_is_said_before_the_vote(owner: Owner, replica: Replica[Settings]) -> None:
    attached(replica, owner)
    owner.prepare(1, 2)
    assert owner.receive() == Vote(1, True)


def test_the_owner_says_how_long_an_answer_can_take(owner: Owner, replica: Replica[Settings]) -> None:
    assert replica._answers_within() == 71.0
    attached(replica, owner)
    payload = CODEC.encode(Settings(2))
    owner.say(Install(2, digest(payload), payload, answers_within=12.0))
    owner.receive()
    assert replica._answers_within() == 12.0


def test_what_a_precommit_function_says_of_keys_keeps_them_and_shows_no_secret(owner: Owner) -> None:
    replica = Replica(Secretive, name="app")
    try:

        @replica.precommit
        def judge(old: Secretive, new: Secretive) -> None:
            said: list[Any] = [
                Problem("number", "must be even"),
                Problem(f"table.{new.token}", f"no {new.token}", f"{new.token}.toml:1:1"),
                Problem("", ""),
                "only words",
            ]
            raise ConfigError(said)

        codec = Codec(Secretive)

        def payload(number: int) -> tuple[bytes, bytes]:
            encoded = codec.encode(Secretive(number, "hunter2hunter2"))
            return digest(encoded), encoded

        attaching = in_thread(lambda: replica.attach(owner.address, ignore_sighup=False))
        owner.accept()
        owner.say(Install(1, *payload(1)))
        attaching()
        assert owner.receive() == Applied(1, follows=False)
        owner.say(Prepare(1, *payload(2)))
        assert isinstance(owner.receive(), Working)
        vote = owner.receive()
    finally:
        replica.close()
    assert isinstance(vote, Vote)
    name = judge.__qualname__
    assert vote.problems == (
        Problem("number", f"{name}: must be even"),
        Problem("table.**********", f"{name}: no **********", "**********.toml:1:1"),
        Problem("", f"{name}: ConfigError"),
        Problem("", f"{name}: only words"),
    )


@pytest.mark.parametrize("error", [KeyError("s3cret"), SystemExit("s3cret")], ids=["an error", "an exit"])
def test_a_payload_that_breaks_the_codec_is_a_no_that_shows_no_value(
    error: BaseException, owner: Owner, replica: Replica[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a registered type's `decode` raises comes out as it is, if it is no Exception."""
    attached(replica, owner)

    def broken(codec: Any, payload: bytes) -> Any:
        raise error

    monkeypatch.setattr(Codec, "decode", broken)
    owner.prepare(1, 2)
    vote = owner.receive()
    assert isinstance(vote, Vote)
    assert not vote.ok
    assert [problem.message for problem in vote.problems] == [f"can't be decoded: {type(error).__name__}"]


def test_even_a_short_timeout_leaves_time_for_the_snapshot_file(owner: Owner, replica: Replica[Settings]) -> None:
    payload = CODEC.encode(Settings(9))
    folder = Path(owner.address).parent
    snapshot_file.save(folder, CODEC.fingerprint, 9, digest(payload), payload)

    def attached_in_time() -> bool:  # some time: a busy machine may take longer over the file than is left for it
        with contextlib.suppress(OwnerUnavailable):
            replica.attach(owner.address, timeout=0.5)
        return replica.connected

    eventually(attached_in_time, "a value, though there is no answer within half a second")
    assert (replica.version, replica.latest.number) == (9, 9)


@pytest.mark.parametrize("change", [{"schema": b"another"}, {"digest": b"torn"}])
def test_a_snapshot_file_that_is_of_no_use_is_reported_once_and_not_served(
    change: dict[str, bytes], owner: Owner, replica: Replica[Settings], caplog: pytest.LogCaptureFixture
) -> None:
    payload = CODEC.encode(Settings(9))
    fields = {"schema": CODEC.fingerprint, "version": 9, "digest": digest(payload), "payload": payload, **change}
    snapshot_file.save(Path(owner.address).parent, **fields)

    def told() -> int:  # a busy machine may not come to it before the time is over
        with pytest.raises(OwnerUnavailable):
            replica.attach(owner.address, timeout=0.4)
        return caplog.text.count("torn or of another schema")

    assert eventually(told, "a word about the file") == 1


def test_a_child_forked_in_the_middle_of_a_swap_has_one_version(replica: Replica[Settings]) -> None:
    one, two = Snapshot(Settings(1), 1, b""), Snapshot(Settings(2), 2, b"")
    replica._take(one)
    type(replica).__dict__["latest"].__set__(replica, two.config)
    replica._after_fork()
    assert replica.latest is replica.current is one.config


def test_a_child_forked_while_another_thread_attaches_may_attach(owner: Owner, replica: Replica[Settings]) -> None:
    attaching = in_thread(lambda: replica.attach(owner.address))
    owner.accept()

    def may_attach() -> bool:
        with pytest.raises(OwnerUnavailable):  # nobody accepts it; but it is not stuck
            replica.attach(owner.address, timeout=0.05)
        return True

    assert holds_in_child(may_attach)
    owner.install(1)
    attaching()


def test_closing_in_an_observer_and_attaching_again_there_goes_on(owner: Owner, replica: Replica[Settings]) -> None:
    told: list[int] = []
    begun = threading.Event()

    def observer(old: Settings, new: Settings) -> None:
        told.append(new.number)
        if new.number == 2:
            replica.close()
            begun.set()
            replica.attach(owner.address)

    replica.subscribe(observer)
    attached(replica, owner)
    owner.install(2)
    assert begun.wait(DEADLINE)
    hello = owner.accept()
    assert hello.version == 2
    owner.install(3)
    eventually(lambda: told == [2, 3], "both versions")


# ---- patches


@dataclass(frozen=True)
class Part:
    """A part of the frozen schema."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Parts:
    """A schema that two versions may share parts of."""

    number: int
    part: Part
    table: dict[str, int]


def parts(number: int) -> Parts:
    return Parts(number, Part(("word",) * 1000), {"a": 1, "b": number})


def test_a_patch_is_applied_and_what_has_not_changed_is_the_same_object(owner: Owner) -> None:
    codec, replica = Codec(Parts), Replica(Parts, name="patched")
    payloads = [codec.encode(parts(number)) for number in range(4)]
    digests = [digest(payload) for payload in payloads]

    def patch(old: int, new: int) -> bytes:
        found = codec.patch(parts(old), payloads[old], payloads[new])
        assert found is not None
        return found.patch

    try:
        attaching = in_thread(lambda: replica.attach(owner.address, ignore_sighup=False))
        hello = owner.accept()
        assert (hello.patches, hello.masked) == (True, True)
        owner.say(Install(1, digests[0], payloads[0]))
        assert owner.receive() == Applied(1, follows=False)
        attaching()
        first = replica.latest
        owner.say(Prepare(1, digests[1], patch(0, 1), digests[0]))
        assert owner.receive() == Vote(1, True)
        owner.say(Commit(1, 2))
        assert owner.receive() == Applied(2, follows=False)
        assert (replica.latest, replica.latest.part is first.part) == (parts(1), True)
        assert first == parts(0)

        replica.latest.table.clear()
        owner.say(Prepare(2, digests[2], patch(1, 2), digests[1]))
        assert owner.receive() is None
        again = owner.accept()
        assert (again.version, again.digest, again.patches) == (2, digests[1], False)
        owner.say(Prepare(2, digests[2], payloads[2]))
        assert owner.receive() == Vote(2, True)
        owner.say(Commit(2, 3))
        assert owner.receive() == Applied(3, follows=False)
        assert replica.latest == parts(2)
    finally:
        replica.close()
        registry.withdraw(replica)
