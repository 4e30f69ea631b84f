"""A replica's pipe, against an owner that the test plays itself on a real control socket."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast.errors import ConfcastError, Problem
from confcast.wire.files import about, snapshot_file
from confcast.wire.files.about import About
from confcast.wire.framing import frame
from confcast.wire.messages import (
    Applied,
    Goodbye,
    Hello,
    Install,
    Observe,
    Observed,
    Outcome,
    Prepare,
    Refused,
    Reload,
    ReloadEvent,
    ReloadResult,
    Settled,
    Stats,
    StatsRequest,
    Vote,
    encode,
)
from confcast.worker.connection import discovery
from confcast.worker.connection import link as link_module
from confcast.worker.connection.link import Link
from confcast.worker.connection.machine import CannotBuild, Machine, Terminate
from tests.support.forking import holds_in_child
from tests.support.links import Listener, Owner, control_socket
from tests.support.waiting import DEADLINE, eventually, in_thread


def test_closing_says_goodbye(link: Link, owner: Owner) -> None:
    link.close()

    assert owner.receive() == Goodbye()
    assert owner.receive() is None


def test_a_close_that_the_reading_thread_is_ahead_of_says_goodbye_all_the_same(link: Link, owner: Owner) -> None:
    """It stops after the frame that it is busy with, before `close()` has said anything."""
    eventually(lambda: link.connected, "the pipe")
    link._stop.set()
    with contextlib.suppress(ConnectionError):  # it looks at the clock, too, and may have stopped already
        owner.say(Settled(1))
    eventually(lambda: not link.connected, "the end of the conversation")
    link.close()

    assert owner.receive() == Goodbye()


def test_what_is_installed_is_answered_and_the_listener_knows_that_it_is_the_newest(
    owner: Owner, listener: Listener
) -> None:
    owner.say(Install(3, b"digest", b"payload"))

    assert owner.receive() == Applied(3)
    assert eventually(lambda: len(listener.told) == 2 and listener.told, "both") == [("swapped", 3), "caught up"]


def test_a_process_that_is_served_sleeps_until_its_owner_sends_something(
    link: Link, owner: Owner, listener: Listener
) -> None:
    """Before, it looks when the snapshot file is due."""
    connection = link._opened
    assert connection is not None
    eventually(lambda: connection.gettimeout() is not None, "a wait that ends by itself")
    owner.say(Install(3, b"digest", b"payload"))
    assert owner.receive() == Applied(3)
    eventually(lambda: connection.gettimeout() is None, "a wait that does not")


def test_an_open_call_ends_without_an_answer_when_the_pipe_does(
    link: Link, owner: Owner, listening: socket.socket
) -> None:
    answer = in_thread(lambda: link.ask(StatsRequest, 30.0))
    assert isinstance(owner.receive(), StatsRequest)
    owner.close()

    assert answer() is None
    again = Owner(listening)
    assert isinstance(again.receive(), Hello)
    again.close()


def test_a_frame_that_is_no_message_ends_the_pipe_and_a_new_one_is_opened(
    owner: Owner, listening: socket.socket
) -> None:
    owner.push(frame(b"\xc1"))

    assert owner.receive() is None
    again = Owner(listening)
    assert isinstance(again.receive(), Hello)
    again.close()


def test_what_the_observers_made_is_reported_once_the_owner_knows_of_this_process_and_to_each_owner_anew(
    link: Link, owner: Owner, listening: socket.socket
) -> None:
    link.report(Observed(0, 1, "rebuild: KeyError"))
    owner.say(Install(3, b"digest", b"payload"))
    assert [owner.receive(), owner.receive()] == [Applied(3), Observed(0, 1, "rebuild: KeyError")]
    link.report(Observed(7, 2, "rebuild: ValueError", (), ("slow",)))
    link.report(Observed(7, 1, "rebuild: KeyError"))  # of another thread, and overtaken
    assert [owner.receive(), owner.receive()] == [
        Observed(7, 2, "rebuild: ValueError", (), ("slow",)),
        Observed(7, 1, "rebuild: KeyError"),
    ]
    owner.close()
    again = Owner(listening)
    assert isinstance(again.receive(), Hello)
    again.say(Install(3, b"digest", b"payload"))
    assert [again.receive(), again.receive()] == [Applied(3), Observed(0, 2, "rebuild: ValueError")]
    again.close()


def test_the_owner_s_question_about_observers_reaches_the_listener(owner: Owner, listener: Listener) -> None:
    owner.say(Install(3, b"digest", b"payload"))
    owner.say(Observe(4))
    assert eventually(lambda: ("asked", 4) in listener.told, "the question")


def test_an_answer_that_comes_in_pieces_reaches_its_caller_and_no_other(link: Link, owner: Owner) -> None:
    first = in_thread(lambda: link.ask(StatsRequest, 30.0))
    asked_first = owner.receive()
    second = in_thread(lambda: link.ask(lambda number: Reload(number), 30.0))
    asked_second = owner.receive()
    assert isinstance(asked_first, StatsRequest)
    assert isinstance(asked_second, Reload)

    event = ReloadEvent(timestamp=1.0, result=ReloadResult.UNCHANGED)
    for byte in frame(encode(Outcome(asked_second.id, event))) + frame(encode(Stats(asked_first.id, {"version": 7}))):
        owner.push(bytes([byte]))
    assert second() == Outcome(asked_second.id, event)
    assert first() == Stats(asked_first.id, {"version": 7})


def test_an_answer_after_its_caller_has_gone_is_dropped(link: Link, owner: Owner) -> None:
    eventually(lambda: link.connected, "the pipe")
    assert link.ask(StatsRequest, 0.0) is None
    late = owner.receive()
    assert isinstance(late, StatsRequest)
    owner.push(frame(encode(Stats(late.id, {}))))

    answer = in_thread(lambda: link.ask(StatsRequest, 30.0))
    next_one = owner.receive()
    assert isinstance(next_one, StatsRequest)
    assert next_one.id != late.id
    owner.push(frame(encode(Stats(next_one.id, {"version": 1}))))
    assert answer() == Stats(next_one.id, {"version": 1})


def test_a_caller_who_waits_for_a_pipe_is_answered_when_the_link_is_closed(
    listening: socket.socket, listener: Listener
) -> None:
    Path(listening.getsockname()).unlink()
    with linked(listening, listener) as link:
        waiting = in_thread(lambda: link.ask(StatsRequest, 2 * DEADLINE))
        link.close()
        assert waiting() is None


def test_a_caller_in_the_reading_thread_is_refused_in_words(listening: socket.socket, listener: Listener) -> None:
    links: list[Link] = []
    received: list[str] = []

    def check(number: int, old: Any, new: Any) -> tuple[Problem, ...]:
        with pytest.raises(ConfcastError, match="can't call the owner") as caught:
            links[0].ask(StatsRequest, 30.0)
        received.append(str(caught.value))
        return ()

    with linked(listening, listener, Machine(lambda payload: payload, check, lambda: True)) as link:
        links.append(link)
        owner = Owner(listening)
        owner.receive()
        owner.push(frame(encode(Install(1, b"one", b"one"))) + frame(encode(Prepare(1, b"two", b"two"))))
        assert [owner.receive(), owner.receive()] == [Applied(1), Vote(1, True)]
        owner.close()
    assert len(received) == 1


def test_a_final_refusal_is_reported_and_ends_the_attempts(
    link: Link, owner: Owner, listener: Listener, listening: socket.socket
) -> None:
    refused = Refused("another schema", True, {"number": "int"})
    owner.say(refused)

    assert eventually(lambda: listener.told, "the refusal") == [Terminate(refused)]
    link._thread.join(DEADLINE)
    assert not link._thread.is_alive()
    assert link.connected is False
    assert link.ask(StatsRequest, 30.0) is None
    listening.settimeout(0)
    with pytest.raises(BlockingIOError):
        listening.accept()


def test_whoever_is_refused_for_now_connects_again_ever_more_slowly(
    link: Link, owner: Owner, listening: socket.socket, listener: Listener
) -> None:
    pauses = []
    again = owner
    for _ in range(3):
        again.say(Refused("not yet", False))
        again.close()
        again = Owner(listening)
        again.receive()
        pauses.append(link._pause)
    assert pauses == [0.1, 0.2, 0.4]

    again.say(Install(1, b"d", b"p"))
    assert again.receive() == Applied(1)
    assert link._pause == 0.05
    again.close()
    assert [told for told in listener.told if isinstance(told, Terminate)] == []


def test_a_first_version_that_can_t_be_built_is_given_up_though_the_owner_receives_no_goodbye(
    listening: socket.socket, listener: Listener
) -> None:
    owners: list[Owner] = []

    def build(payload: bytes) -> Any:
        owners[0].close()  # the Goodbye that follows can't be sent
        raise CannotBuild(Problem("", "no"))

    with linked(listening, listener, Machine(build, lambda number, old, new: (), lambda: True)) as link:
        owners.append(Owner(listening))
        owners[0].receive()
        owners[0].say(Install(1, b"d", b"p"))
        assert eventually(lambda: listener.told, "the end") == [Terminate(None, (Problem("", "no"),))]
        link._thread.join(DEADLINE)
        assert not link._thread.is_alive()


def test_a_fault_in_the_reading_thread_costs_the_pipe_only(
    listening: socket.socket, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    faults = [ZeroDivisionError("a defect")]

    def build(payload: bytes) -> bytes:
        if faults:
            raise faults.pop()
        return payload

    with (
        linked(listening, listener, Machine(build, lambda number, old, new: (), lambda: True)),
        caplog.at_level(logging.ERROR),
    ):
        first = Owner(listening)
        first.receive()
        first.say(Install(1, b"d", b"p"))
        assert first.receive() is None
        second = Owner(listening)
        second.receive()
        second.say(Install(1, b"d", b"p"))
        assert second.receive() == Applied(1)
        first.close()
        second.close()
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_without_a_descriptor_to_spare_it_goes_on_trying(
    listening: socket.socket, listener: Listener, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = socket.socket
    failures = [OSError(errno.EMFILE, "Too many open files")]

    def scarce(*arguments: Any, **options: Any) -> socket.socket:
        if threading.current_thread().name == "confcast-app" and failures:
            raise failures.pop()
        return real(*arguments, **options)

    monkeypatch.setattr(socket, "socket", scarce)
    with linked(listening, listener):
        owner = Owner(listening)
        assert isinstance(owner.receive(), Hello)
        owner.close()
    assert "Too many open files" in caplog.text


def test_a_close_in_a_precommit_function_keeps_what_is_held(listening: socket.socket, listener: Listener) -> None:
    links: list[Link] = []

    def check(number: int, old: Any, new: Any) -> tuple[Problem, ...]:
        links[0].close()
        return ()

    with linked(listening, listener, Machine(lambda payload: payload, check, lambda: True)) as link:
        links.append(link)
        owner = Owner(listening)
        owner.receive()
        owner.say(Install(1, b"one", b"one"))
        assert owner.receive() == Applied(1)
        owner.say(Install(2, b"two", b"two"))
        assert owner.receive() == Goodbye()
        link._thread.join(DEADLINE)
        owner.close()
    assert ("swapped", 2) not in listener.told


def test_a_forked_child_closes_its_copy_and_says_nothing(link: Link, owner: Owner) -> None:
    eventually(lambda: link.connected, "the pipe")

    def closed() -> bool:
        link.after_fork()
        return link._socket is not None and link._socket.fileno() == -1

    assert holds_in_child(closed)
    owner.say(Install(1, b"d", b"p"))
    assert owner.receive() == Applied(1)


# ---- the next owner, when this one is gone for good


@pytest.fixture
def elsewhere() -> Iterator[socket.socket]:
    with control_socket() as listening:
        yield listening


def lost(link: Link, owner: Owner, listening: socket.socket, elsewhere: socket.socket) -> Owner:
    """The owner's end, after it has given version 1; what connects to the next one."""
    owner.say(Install(1, b"one", b"payload"))
    assert owner.receive() == Applied(1)
    link._owner._finder.find = elsewhere.getsockname  # type: ignore[method-assign]
    listening.close()
    owner.close()
    following = Owner(elsewhere)
    hello = following.receive()
    assert isinstance(hello, Hello)
    assert (hello.version, hello.digest) == (1, b"one")
    return following


def test_a_next_owner_counts_once_it_has_given_a_version(
    link: Link, owner: Owner, listening: socket.socket, elsewhere: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    old, new = link.address, elsewhere.getsockname()
    following = lost(link, owner, listening, elsewhere)
    assert (link.connected, link.address) == (False, old)
    assert link.ask(StatsRequest, 0.2) is None  # nobody else's owner is asked anything, also once its pipe is read

    following.say(Install(2, b"two", b"payload"))

    assert following.receive() == Applied(2)
    eventually(lambda: (link.connected, link.address) == (True, new), "the next owner is the one")
    following.say(Settled(2))
    following.close()
    again = Owner(elsewhere)
    assert isinstance(again.receive(), Hello)
    gone = "the config owner of 'app' at {} is gone: this process goes on with version {}, and looks for the next one"
    again.close()
    assert [record.getMessage() for record in caplog.records] == [
        gone.format(old, 1),
        f"a config owner of 'app' was found again, at {new}",
        gone.format(new, 2),
    ]


def test_what_the_owner_writes_of_its_server_is_known_before_its_version_is(
    link: Link, owner: Owner, listening: socket.socket, listener: Listener
) -> None:
    """Whoever waits for the version may end the server at once, and with it goes what was reported."""
    told = About("app", "s:S", "S", "", [], "/srv", "")
    about.save(Path(listening.getsockname()).parent, told)
    known: list[About | None] = []
    listener.swapped = lambda old, new: known.append(discovery._known.get(link.address))  # type: ignore[method-assign]

    owner.say(Install(1, b"one", b"payload"))

    assert owner.receive() == Applied(1)
    assert known == [told]


def test_a_next_owner_that_says_nothing_is_not_waited_for(
    link: Link,
    owner: Owner,
    listening: socket.socket,
    elsewhere: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link_module, "_TRIAL_TIMEOUT", 0.05)
    following = lost(link, owner, listening, elsewhere)

    assert following.receive() is None

    again = Owner(elsewhere)
    assert isinstance(again.receive(), Hello)
    again.close()
    following.close()


def test_a_next_owner_that_refuses_is_reported_and_the_search_goes_on(
    link: Link, owner: Owner, listening: socket.socket, elsewhere: socket.socket, listener: Listener
) -> None:
    following = lost(link, owner, listening, elsewhere)
    refused = Refused("another schema", True, {"number": "int"})

    following.say(refused)

    assert following.receive() is None
    assert listener.told[-1] == (elsewhere.getsockname(), refused)
    assert Path(elsewhere.getsockname()).parent in link._owner._finder._refused
    again = Owner(elsewhere)
    assert isinstance(again.receive(), Hello)
    again.close()
    following.close()


# ---- the snapshot file


def test_where_the_owner_accepts_and_says_nothing_the_snapshot_file_is_taken(
    listening: socket.socket, listener: Listener
) -> None:
    save(listening, 5)
    with linked(listening, listener, open_saved=lambda saved: saved.payload, patience=0.1) as link:
        owner = Owner(listening)
        hello = owner.receive()
        assert isinstance(hello, Hello)
        assert hello.version == 0
        assert eventually(lambda: listener.told, "the file") == [("swapped", 5)]
        assert link.connected

        owner.say(Install(6, b"six", b"payload"))
        assert owner.receive() == Applied(6)
        owner.close()


def test_where_nobody_listens_too_and_the_next_hello_reports_what_is_held(
    listening: socket.socket, listener: Listener
) -> None:
    save(listening, 5)
    path = Path(listening.getsockname())
    path.rename(path.with_name("elsewhere"))
    with linked(listening, listener, open_saved=lambda saved: saved.payload, patience=0.1) as link:
        assert eventually(lambda: listener.told, "the file") == [("swapped", 5)]
        assert link.connected is False
        path.with_name("elsewhere").rename(path)
        owner = Owner(listening)
        hello = owner.receive()
        assert isinstance(hello, Hello)
        assert (hello.version, hello.digest) == (5, b"digest")
        owner.close()


@pytest.mark.parametrize("content", [b"", b"\x95\x01", b"no msgpack at all"])
def test_a_torn_snapshot_file_is_passed_over_until_the_owner_answers(
    content: bytes, listening: socket.socket, listener: Listener
) -> None:
    Path(listening.getsockname()).with_name(snapshot_file.FILE).write_bytes(content)
    with linked(listening, listener, open_saved=lambda saved: pytest.fail("it was opened"), patience=0.01) as link:
        owner = Owner(listening)
        owner.receive()
        before = link._fallback._at
        eventually(lambda: link._fallback._at > before, "a look at the file")
        assert listener.told == []
        owner.say(Install(6, b"six", b"payload"))
        assert owner.receive() == Applied(6)
        owner.close()


def save(listening: socket.socket, version: int) -> None:
    snapshot_file.save(Path(listening.getsockname()).parent, b"schema", version, b"digest", b"payload")


@contextlib.contextmanager
def linked(
    listening: socket.socket,
    listener: Listener,
    machine: Machine | None = None,
    open_saved: Callable[[snapshot_file.Saved], Any] = lambda saved: None,
    patience: float = 10.0,
) -> Iterator[Link]:
    machine = machine or Machine(lambda payload: payload, lambda number, old, new: (), lambda: True)
    link = Link(listening.getsockname(), "app", b"schema", machine, listener, open_saved, patience)
    link.start()
    try:
        yield link
    finally:
        link.close()
