"""gunicorn's upgrade (USR2): a new master with an owner of its own, beside the old one, until one of them is ended."""

from __future__ import annotations

import os
import signal

import pytest

from tests.support.gunicorn import Make
from tests.support.leaks import is_running
from tests.support.load import Load
from tests.support.waiting import eventually


def test_it_brings_new_schema_code_and_old_workers_are_served_by_the_old_owner_to_their_end(make: Make):
    server = make(above="workers = 2").start()
    server.change()
    server.hup()
    old, workers = server.owner(), server.pids()
    server.add_a_field()
    server.change()

    with Load(lambda: server.ask("read")) as load:
        server.upgrade()
        eventually(lambda: {"color" in answer for answer in load.go_on()} == {True, False}, "both codes at once")
        assert is_running(old)
        server.signal(signal.SIGTERM)
        server.ended()
        eventually(lambda: all("color" in answer for answer in load.go_on()), "the end of the old code")

    versions = {("color" in answer, answer["version"], answer["number"]) for answer in load.answers}
    assert versions == {(False, 2, 2), (True, 3, 3)}  # one content each, whoever answers
    assert not any(map(is_running, {old, *workers}))


def test_versions_history_and_totals_go_on(make: Make):
    server = make().start()
    server.change()
    server.hup()
    server.change("number = 'x'\n")
    server.hup()
    server.change()
    server.hup()

    server.upgrade()
    server.signal(signal.SIGTERM)
    server.ended()

    assert server.events("signal") == [("success", 3), ("validation_failed", 2), ("success", 2)]
    assert server.ask("read")["version"] == 3
    assert server.ask("stats")["total_reloads"] == 3


@pytest.mark.slow
def test_the_old_server_goes_on_when_the_new_master_is_ended(make: Make):
    server = make(options="watch=True").start()
    owner, workers = server.owner(), server.pids()

    with Load(lambda: server.ask("read")) as load:
        new = server.upgrade()
        number = server.change()
        eventually(lambda: {answer["number"] for answer in load.go_on()} == {1, number}, "what the new owner loads")
        os.kill(new, signal.SIGTERM)
        server.await_log("the new master is gone: configuration 'app' is loaded by this one again")
        eventually(lambda: {answer["number"] for answer in load.go_on()} == {number}, "what was missed")

    assert (server.owner(), server.pids()) == (owner, workers)
    assert server.after(server.change, "watch")[0] == "success"


def test_it_is_backed_out_as_gunicorns_documentation_says(make: Make):
    """WINCH, which only a daemon heeds, takes the old workers away, and a HUP brings them back."""
    server = make(above="workers = 2", below="def when_ready(server): server.cfg.set('daemon', True)").start()
    old = server.pids()
    new = server.upgrade()
    server.signal(signal.SIGWINCH)
    eventually(lambda: not any(map(is_running, old)), "the end of the old workers")

    server.signal(signal.SIGHUP)
    server.await_log("signal: another config owner loads in place of this one")
    server.await_log("Booting worker", 6)
    os.kill(new, signal.SIGTERM)
    server.await_log("the new master is gone")

    assert old.isdisjoint(server.pids())
    server.change()
    assert server.hup()[0] == "success"


def test_the_old_server_goes_on_when_the_new_owner_refuses_the_configuration(make: Make):
    server = make(above="workers = 2").start()
    before = server.pids()
    server.change("number = 'x'\n")

    server.signal(signal.SIGUSR2)
    server.await_log("the configuration is refused, gunicorn does not start")
    server.await_log("the new master is gone")

    assert server.pids() == before
    server.change()
    assert server.hup()[0] == "success"


def test_the_old_owner_refuses_to_load_in_words_while_there_are_two_masters(make: Make):
    server = make().start()
    server.upgrade()
    server.change()

    server.signal(signal.SIGHUP)

    server.await_log("signal: another config owner loads in place of this one, since a full reload")


@pytest.mark.slow
def test_a_state_folder_goes_to_the_new_owner_when_the_old_one_has_left(make: Make):
    server = make(options="watch=False, state_dir='state'").start()
    server.change()
    server.hup()
    old = server.owner()

    new = server.upgrade()
    assert is_running(old)
    server.signal(signal.SIGTERM)
    server.ended()
    server.await_log(f"the journal has moved into {server.folder / 'state'}")
    server.change()
    os.kill(new, signal.SIGHUP)
    eventually(lambda: server.ask("read")["version"] == 3, "the next version")
    os.kill(new, signal.SIGTERM)
    server.assert_nothing_left()

    (server.folder / "log").unlink()
    server.start()
    assert server.ask("read")["version"] == 3
    assert server.events("signal") == [("success", 3), ("success", 2)]
