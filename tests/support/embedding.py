"""The tests that every HTTP server shares, as classes that a server's test file derives from.

`Embedding` has what leaves a server as it found it: one server of two workers, which its tests take turns on.
`Endings` has what a server does not outlive, and what needs one from its start: a server for each test. `InFlight` has
what meets a reload there; by default it runs with one server, since the launchers share what it is about.
A server that can't do all of one has its parts: `SlowRequest`, `SideBySide`, `InPlace`, `Deaths` and `Refusals`.

    class TestUvicorn(Embedding):
        kind = Server

A server that can't do one of these says so in its own class: it overrides the test, and tests what it does instead.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.support.gate import Gate, shut_gate
from tests.support.leaks import is_running
from tests.support.load import Load
from tests.support.server import Server, kill_worker, servers_of
from tests.support.slow import slow
from tests.support.waiting import DEADLINE, eventually, in_thread

Make = Callable[..., Any]
Held = tuple[Gate, Gate, Callable[[], list[int]]]


class Barrier:
    """Requests, none of which may see an older version than the one that stood when it began."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._high_water = server.ask("read")["version"]

    def ask(self) -> Any:
        """One request; fails when its answer is stale."""
        floor = self._high_water
        answer = self._server.ask("read")
        assert answer["version"] >= floor, f"{answer} is stale: {floor} was committed when it was asked for"
        return answer

    def stands_at(self, version: int) -> None:
        """From now on."""
        self._high_water = version


def hold(server: Server, folder: Path) -> Held:
    """Begin a request that has read once when this returns: its two gates, and what waits for the numbers it read."""
    for place in ("call", "body"):
        (folder / place).mkdir(parents=True)
    gates = Gate(folder / "call" / "gate"), Gate(folder / "body" / "gate")
    for gate in gates:
        gate.shut()
    answer = in_thread(lambda: server.ask(f"hold?{folder}"))
    gates[0].await_load()
    return *gates, answer


def let_all_go(held: list[Held]) -> list[list[int]]:
    """Open both gates of each held request; the numbers that they have read."""
    for call, body, _ in held:
        for gate in (body, call):  # it comes to this one last, and would stay at it
            gate.open()
            gate.let_go()
    return [numbers() for _, _, numbers in held]


def pids_in(answers: list[Any]) -> set[int]:
    """The workers that gave them."""
    return {answer["pid"] for answer in answers}


class SlowRequest:
    """A request that reloads come into the middle of. Needs a fixture `server`, which does not watch."""

    def test_a_slow_request_ends_with_the_version_it_began_with(self, server: Server, tmp_path: Path):
        old = server.change()
        server.hup()
        call, body, numbers = hold(server, tmp_path)

        server.change()
        assert server.hup()[0] == "success"
        call.let_go()
        body.await_load()
        newest = server.change()
        assert server.hup()[0] == "success"
        assert server.ask("read")["number"] == newest
        body.let_go()

        assert numbers() == [old, old, old]
        assert {answer["number"] for answer in server.everyone().values()} == {newest}


class SideBySide:
    """Requests at one time, where a worker serves more than one. Needs a fixture `server`, as SlowRequest."""

    def test_requests_side_by_side_each_see_their_own_version(self, server: Server, tmp_path: Path):
        old = server.change()
        server.hup()
        held = [hold(server, tmp_path / "first")]
        newest = server.change()
        assert server.hup()[0] == "success"
        held += [hold(server, tmp_path / name) for name in ("second", "third", "fourth")]  # in one worker, and not

        assert {answer["number"] for answer in server.everyone().values()} == {newest}
        assert let_all_go(held) == [[old] * 3, *[[newest] * 3] * 3]


class InPlace(SlowRequest):
    """A reload in place. Needs a fixture `server`: one of two workers or more, which does not watch."""

    def test_a_hup_under_load_reaches_every_worker_and_replaces_none(self, server: Server):
        before, barrier = server.pids(), Barrier(server)

        with Load(barrier.ask) as load:
            for _ in range(5):
                server.change()
                result, version = server.hup()
                assert result == "success"
                barrier.stands_at(version)
                load.go_on()

        assert pids_in(load.answers) <= before
        answers = server.everyone()
        assert set(answers) == before
        assert {(answer["version"], answer["number"]) for answer in answers.values()} == {(version, server.number)}

    def test_a_hup_for_the_whole_group_kills_nobody_and_makes_one_version(self, server: Server):
        before, owner, version = server.pids(), server.owner(), server.ask("read")["version"]
        number = server.change()

        server.after(lambda: os.killpg(server.pid, signal.SIGHUP), "signal")

        server.ask("reload")  # whatever was triggered twice has been served by the end of this
        answers = server.everyone()
        assert (server.owner(), set(answers)) == (owner, before)
        assert {(answer["version"], answer["number"]) for answer in answers.values()} == {(version + 1, number)}

    def test_an_invalid_file_under_load_changes_nothing_and_says_where_it_is_bad(self, server: Server):
        before, number = server.pids(), server.change()
        server.hup()

        with Load(lambda: server.ask("read")["number"]) as load:
            server.change(f"number = {number}\nname = 5\n")
            result, _ = server.hup()
            load.go_on()

        assert result == "validation_failed"
        assert "app.toml:2:8: name" in server.log()
        assert set(load.answers) == {number}
        assert server.pids() == before

    def test_a_call_from_a_worker_reaches_every_worker(self, server: Server):
        before, number = server.pids(), server.change()

        event = server.ask("reload")

        assert (event["result"], event["latest"], set(event["applied"])) == ("success", number, before)
        assert {answer["number"] for answer in server.everyone().values()} == {number}


class Deaths:
    """Who dies is replaced. Needs a fixture `server`, as InPlace."""

    def test_a_killed_worker_is_replaced_by_one_with_the_current_version(self, server: Server):
        server.change()
        _, version = server.hup()
        victim, *others = sorted(server.pids())

        new = kill_worker(server, victim)

        answers = server.everyone()
        assert set(answers) == {*others, new}
        assert {(answer["version"], answer["number"]) for answer in answers.values()} == {(version, server.number)}

    def test_a_killed_owner_is_replaced_while_workers_serve(self, server: Server):
        before, owner, restarts = server.pids(), server.owner(), server.log().count(": restart: ")
        barrier = Barrier(server)

        with Load(barrier.ask) as load:
            os.kill(owner, signal.SIGKILL)
            server.await_log(": restart: ", restarts + 1)
            server.change()
            event = server.ask("reload")
            barrier.stands_at(event["version"])
            load.go_on()

        assert (event["result"], set(event["applied"])) == ("success", before)
        assert not is_running(owner)
        assert server.pids() == before
        number = server.change()
        assert server.hup()[0] == "success"
        assert {answer["number"] for answer in server.everyone().values()} == {number}


class Refusals:
    """What can't be served is refused at the start. Needs a fixture `make`."""

    def test_a_refused_first_configuration_ends_with_its_problems_and_status_78(self, make: Make):
        server = make()
        server.change("number = 'x'\nname = 5\n")
        server.launch()

        assert server.ended() == 78
        assert "app.toml:1:10: number" in server.log()
        assert "app.toml:2:8: name" in server.log()
        assert server.crashes() == []

    def test_a_schema_that_can_not_be_imported_ends_with_status_3(self, make: Make):
        server = make()
        (server.folder / "settings.py").write_text("import nothing_of_this_name\n")
        server.launch()

        assert server.ended() == 3
        assert "the config owner could not start" in server.log()
        assert "nothing_of_this_name" in server.log()
        assert server.crashes() == []


class Embedding(InPlace, Deaths):
    """What a server with a config owner does while it serves.

    Attributes:
        kind: Which server. Made without options it has two workers, and does not watch.
    """

    kind: ClassVar[type[Server]]

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
        """The one of all tests of this class."""
        with servers_of(cls.kind, tmp_path_factory.mktemp("site")) as make:
            yield make().start()

    def test_a_hup_to_the_owner_does_the_same(self, server: Server):
        before, owner = server.pids(), server.owner()
        number = server.change()

        result, _ = server.after(lambda: os.kill(owner, signal.SIGHUP), "signal")

        answers = server.everyone()
        assert (result, server.owner(), set(answers)) == ("success", owner, before)
        assert {answer["number"] for answer in answers.values()} == {number}

    def test_a_hup_to_a_worker_does_nothing(self, server: Server):
        before, triggers = server.pids(), len(server.events("signal"))
        server.change()

        for pid in before:
            os.kill(pid, signal.SIGHUP)

        answers = server.everyone()
        assert set(answers) == before
        assert server.number not in {answer["number"] for answer in answers.values()}
        assert len(server.events("signal")) == triggers

    def test_a_half_sent_request_begins_when_it_is_whole(self, server: Server):
        with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as half:
            half.sendall(b"GET /read HTTP/1.1\r\nHost: localhost\r\n")
            newest = server.change()
            assert server.hup()[0] == "success"

            half.sendall(b"Connection: close\r\n\r\n")
            answer = b"".join(iter(lambda: half.recv(4096), b""))

        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b'"number": %d,' % newest in answer


class OtherInterface(Embedding):
    """What depends on the interface of an application, for a server whose other one has all of `Embedding`."""

    test_a_hup_to_the_owner_does_the_same = None
    test_a_hup_to_a_worker_does_nothing = None
    test_a_hup_for_the_whole_group_kills_nobody_and_makes_one_version = None
    test_a_killed_worker_is_replaced_by_one_with_the_current_version = None
    test_a_killed_owner_is_replaced_while_workers_serve = None


class Endings(Refusals):
    """How a server with a config owner begins, and how it ends: nothing is left of it in any case.

    Attributes:
        kind: Which server. Made without options it has two workers, and does not watch; with `watch=True` it does.
    """

    kind: ClassVar[type[Server]]

    @pytest.fixture
    def shut(self) -> Iterator[Callable[[Path], Gate]]:
        """Makes gates that are shut, and open to everybody when the test is over, before its server ends."""
        with ExitStack() as opened:
            yield lambda path: opened.enter_context(shut_gate(path))

    def test_an_edited_file_under_load_reaches_every_worker_and_replaces_none(self, make: Make):
        server = make(watch=True).start()
        before, barrier = server.pids(), Barrier(server)

        with Load(barrier.ask) as load:
            for _ in range(3):
                result, version = server.after(server.change, "watch")
                assert result == "success"
                barrier.stands_at(version)
                load.go_on()

        answers = server.everyone()
        assert set(answers) == before
        assert {(answer["version"], answer["number"]) for answer in answers.values()} == {(version, server.number)}

    @pytest.mark.parametrize("number", [signal.SIGTERM, slow(signal.SIGINT)])
    def test_a_stop_of_the_whole_group_ends_all(self, make: Make, number: int):
        server = make().start()
        os.killpg(server.pid, number)

        assert server.ended() == server.stopped_by(number)
        server.assert_nothing_left()
        assert server.crashes() == []

    def test_the_death_of_the_master_ends_all(self, make: Make):
        server = make().start()
        server.signal(signal.SIGKILL)
        server.ended()

        server.assert_nothing_left()


class InFlight:
    """Reloads while workers start, and while they end. Attributes as of `Endings`."""

    kind: ClassVar[type[Server]]
    shut = Endings.shut

    def test_a_worker_that_imports_slowly_serves_nothing_before_it_has_the_newest(
        self, make: Make, shut: Callable[[Path], Gate]
    ):
        server = make()
        gate = shut(server.folder / "booting")
        server.launch()
        gate.await_load()

        for reloads in (1, 2):
            newest = server.change()
            server.signal(signal.SIGHUP)
            server.await_log(" app: signal: ", reloads)
        gate.open()
        gate.let_go()

        server.await_port()
        with Load(lambda: server.ask("read")) as load:
            eventually(lambda: load.failed or len(pids_in(load.answers)) == server.wanted(), "answers of every worker")
        assert {answer["number"] for answer in load.answers} == {newest}

    def test_a_stop_while_a_reload_is_in_flight_answers_what_was_begun(
        self, make: Make, shut: Callable[[Path], Gate], tmp_path: Path
    ):
        server = make().start()
        old = server.number
        call, body, numbers = hold(server, tmp_path)
        voting = shut(tmp_path / "vote")
        server.change(f'number = {old + 1}\nname = "{voting.path}"\n')
        server.signal(signal.SIGHUP)
        voting.await_load()

        server.signal(signal.SIGTERM)
        for gate in (body, call):
            gate.open()
            gate.let_go()

        assert numbers() == [old, old, old]
        assert server.ended() == server.stopped_by(signal.SIGTERM)
        server.assert_nothing_left()
        assert server.crashes() == []
