"""gunicorn's full reload: a new owner under the new code first, then new workers; or everything stays as it was."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.gate import Gate
from tests.support.gunicorn import Make, Server, kill_worker
from tests.support.leaks import is_running
from tests.support.load import Load
from tests.support.slow import slow
from tests.support.waiting import eventually, in_thread

CALLED_OFF = "the full reload is called off, and every worker stays as it is"


def reload_fully(server: Server) -> None:
    """Have new workers in the place of the old ones, and one owner again."""
    old = {*server.pids(), server.owner()}
    server.signal(signal.SIGRTMIN)
    eventually(lambda: not any(map(is_running, old)), "the end of the old workers and of their owner")
    eventually(lambda: len(server.ask("workers")) == server.wanted(), "new workers")


def test_it_brings_new_schema_code_without_a_failed_request(make: Make):
    server = make(above="workers = 3").start()
    server.add_a_field()
    server.change()

    with Load(lambda: server.ask("read")) as load:
        reload_fully(server)
        load.go_on()

    assert {answer["color"] for answer in server.everyone().values()} == {"red"}
    assert {(answer["version"], answer["number"]) for answer in server.everyone().values()} == {(2, server.number)}
    server.change()
    assert server.hup() == ("success", 3)


@pytest.mark.slow
def test_versions_go_on_where_they_were(make: Make):
    server = make().start()
    for _ in range(2):
        server.change()
        server.hup()
    assert server.ask("read")["version"] == 3

    reload_fully(server)
    assert server.ask("read")["version"] == 3
    server.change()
    server.hup()
    assert server.ask("read")["version"] == 4


def test_an_old_worker_is_served_by_the_old_owner_to_its_end(make: Make, tmp_path: Path):
    for place in ("call", "body"):
        (tmp_path / place).mkdir()
    gate, other = Gate(tmp_path / "call" / "gate"), Gate(tmp_path / "body" / "gate")
    server = make().start()
    old = server.owner()
    gate.shut()
    held = in_thread(lambda: server.ask(f"hold?{tmp_path}"))
    gate.await_load()

    server.signal(signal.SIGRTMIN)
    assert server.ask("read")["number"] == 1  # by the new worker: the old one is busy
    assert is_running(old)
    gate.let_go()
    other.open()

    assert held() == [1, 1, 1]
    eventually(lambda: not is_running(old), "the end of the old owner")
    assert server.ask("read")["number"] == 1


@pytest.mark.parametrize("state", [slow(""), ", state_dir='state'"])
def test_it_is_called_off_when_the_new_configuration_is_refused(make: Make, state: str):
    server = make(above="workers = 2\nraw_env = ['DEPLOYED=first']", options=f"watch=False{state}").start()
    before, owner = server.pids(), server.owner()
    server.conf(above="workers = 3\nraw_env = ['DEPLOYED=second']\npaste = 'new.ini'", options=f"watch=False{state}")
    server.change("number = 'x'\n")

    server.signal(signal.SIGRTMIN)
    server.await_log(CALLED_OFF)

    assert "app.toml:1:10: number" in server.log().partition(CALLED_OFF)[2]
    assert server.owner() == owner
    server.conf(above="workers = 2")  # what is expected from here on
    assert server.pids() == before
    server.change()
    assert server.hup()[0] == "success"
    new = kill_worker(server, before.pop())  # it must not look for what the new conf file says
    answers = server.everyone()
    assert set(answers) == before | {new}
    assert {answer["number"] for answer in answers.values()} == {server.number}
    reload_fully(server)
    assert server.ask("read")["number"] == server.number


def test_a_state_folder_goes_to_the_new_owner(make: Make):
    server = make(options="watch=False, state_dir='state'").start()
    server.change()
    server.hup()

    reload_fully(server)

    assert server.ask("read")["version"] == 2
    server.change()
    assert server.hup() == ("success", 3)
    assert (server.folder / "state" / "journal").exists()


def test_code_that_the_master_holds_can_not_be_replaced_and_that_is_said(make: Make):
    server = make(above="preload_app = True", environment={"READ_AT_IMPORT": "no"}).start()
    owner, old = server.owner(), server.pids()
    server.add_a_field()

    server.signal(signal.SIGRTMIN)
    server.await_log("the master has imported settings")
    eventually(lambda: not any(map(is_running, old)), "the end of the old worker")
    server.change()

    assert server.owner() == owner
    assert server.hup()[0] == "success"
    assert server.ask("read")["number"] == server.number


@pytest.mark.slow
def test_the_owner_finds_the_environment_of_the_new_conf_file(make: Make):
    server = make(above="raw_env = ['APP_NAME=first']", options="watch=False").start()
    conf = server.folder / "conf.py"
    conf.write_text(conf.read_text().replace('"app.toml"', '"app.toml", Environment("APP_")'))
    conf.write_text("from confcast import Environment\n" + conf.read_text().replace("first", "second"))

    reload_fully(server)

    assert server.ask("read")["name"] == "second"


@pytest.mark.slow
def test_a_configuration_that_is_new_in_the_conf_file_is_not_started_and_that_is_said(make: Make):
    server = make().start()
    other = "confcast_gunicorn.install(globals(), ConfigLoader('settings:Settings', 'app.toml'), name='other')"
    server.conf(below=other)

    reload_fully(server)

    assert "configuration 'other' is new in the conf file" in server.log()
    assert server.ask("read")["number"] == 1


@pytest.mark.parametrize(
    ("deploy", "words"),
    [
        slow(Server.add_a_field, "this worker can't attach and exits: .*color: "),
        (
            lambda server: (server.folder / "settings.py").write_text("half a li"),
            "the schema can't be imported: SyntaxError",
        ),
    ],
    ids=["unknown to the owner", "not to be imported"],
)
def test_a_worker_of_new_code_that_can_not_attach_leaves_the_rest_serving(
    make: Make, deploy: Callable[[Server], object], words: str
):
    server = make(above="workers = 2").start()
    victim, other = sorted(server.pids())
    deploy(server)

    os.kill(victim, signal.SIGKILL)
    log = server.await_log("exited with code 1")

    assert re.search(words, log, re.DOTALL)
    assert server.ask("read")["pid"] == other
    server.change()
    assert server.hup()[0] == "success"
    assert server.ask("read")["number"] == server.number
