"""`confcast serve`: an owner without a server, at an address that stays the same."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from confcast import Client, OwnerUnavailable, ReloadResult, Replica, SchemaMismatch
from confcast.cli import main
from confcast.serve import address_link
from confcast.serve.address_link import AddressLink, AddressRefused
from confcast.wire.address import address_variable
from confcast.wire.files import lasting_address
from confcast.wire.listener import MAX_PATH
from tests.support.forking import holds_in_child
from tests.support.gate import Gate
from tests.support.leaks import is_running
from tests.support.programs import ROOT
from tests.support.served import Serves
from tests.support.settings import Settings, write
from tests.support.slow import slow
from tests.support.waiting import DEADLINE, eventually, in_thread
from tests.support.workers import Worker

NEWER = """
from pydantic import BaseModel
class Settings(BaseModel):
    number: int
    twin: int
    color: str = "red"
"""


def test_each_line_is_an_object_where_json_is_asked_for(serve: Serves) -> None:
    served = serve("--owner-log-format", "json")
    served.end()
    lines = [json.loads(line) for line in served.said().splitlines()]
    assert {each["config_event"] for each in lines} == {"reload_applied", "serving"}
    assert {each["config_name"] for each in lines} == {"app"}

    write(serve.folder / "app.toml", -1)
    refused = serve.start("--owner-log-format", "json")
    assert refused.status() == 1
    assert [json.loads(line)["config_event"] for line in refused.said().splitlines()] == ["serve_refused"]


def test_processes_attach_at_the_address_and_it_is_removed_at_the_end(
    serve: Serves, attached: Callable[[], Worker], capsys: pytest.CaptureFixture[str]
) -> None:
    first, worker = serve(), attached()
    client = Client(address=str(serve.address))
    assert [each.pid for each in client.workers()] == [worker.pid]

    write(serve.folder / "app.toml", 2)
    os.kill(first.pid, signal.SIGHUP)
    assert worker.ask("await_number", 2) == 2
    owner = client.get_stats()["owner_pid"]
    assert main(["status", "--address", str(serve.address)]) == 0
    shown = capsys.readouterr().out
    assert f"version  2 of 'app', at {serve.address}" in shown
    assert f"serve    process {first.pid}" in shown
    assert "master" not in shown

    assert main(["serve", "--loader", "served_loader:loader", "--address", str(serve.address)]) == 1
    assert f"is served by process {first.pid}" in capsys.readouterr().err

    serve.address.unlink()  # by a cleaner of folders
    serve.address.touch()
    os.kill(first.pid, signal.SIGHUP)
    first.await_said("is a file, which `confcast serve` did not make")
    serve.address.unlink()
    os.kill(first.pid, signal.SIGHUP)
    first.await_said("does again")
    assert client.get_stats()["version"] == 2

    assert first.end() == 0
    assert not is_running(owner)
    assert not serve.address.is_symlink()
    assert worker.ask("read") == (2, 2, False)


def test_workers_of_any_kind_attach_by_the_variable_and_come_back_to_the_next_one(
    serve: Serves, attached: Callable[[], Worker], tmp_path: Path
) -> None:
    """A program of its own, as celery or a script is, is told by its environment only."""
    state = str(tmp_path / "state")
    first, worker = serve("--state-dir", state), attached()
    program = (
        "import sys\nfrom confcast import Client, Replica\nfrom tests.support.settings import Settings\n"
        "settings = Replica(Settings).attach()\n"
        "print(settings.latest.number, settings.version, flush=True)\n"
        "sys.stdin.readline()\n"
        "print(Client().status().version, settings.reload().result, settings.latest.number, flush=True)\n"
    )
    environment = {**os.environ, address_variable("app"): str(serve.address), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd="/",
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as script:
        assert script.stdin is not None
        assert script.stdout is not None
        assert script.stdout.readline() == "1 1\n"

        os.kill(first.pid, signal.SIGKILL)
        first.status()
        assert worker.ask("read")[:2] == (1, 1)
        write(serve.folder / "app.toml", 2)
        serve("--state-dir", state)
        assert worker.ask("await_number", 2) == 2
        client = Client(address=serve.address)
        eventually(lambda: len(client.workers()) == 2, "both workers on the new roster")
        assert [each.version for each in client.versions()] == [2, 1]

        script.stdin.write("\n")
        script.stdin.flush()
        assert script.stdout.readline() == "2 unchanged 2\n"


@pytest.mark.parametrize("has_state_folder", [True, slow(False)], ids=["its journal", "no journal"])
def test_a_reload_waits_for_the_workers_of_one_that_was_killed(
    serve: Serves, attached: Callable[[], Worker], tmp_path: Path, has_state_folder: bool
) -> None:
    """It sleeps, so that it can't find the next one. Without: a success at once, applied by nobody, naming nobody."""
    state = ["--state-dir", str(tmp_path / "state")] if has_state_folder else []
    first, worker, client = serve(*state), attached(), Client(address=serve.address)
    owner = client.get_stats()["owner_pid"]
    worker.signal(signal.SIGSTOP)
    os.kill(first.pid, signal.SIGKILL)
    first.status()
    eventually(lambda: not is_running(owner), "the end of its owner")
    write(serve.folder / "app.toml", 2)
    serve(*state)

    outcome = in_thread(client.reload)
    eventually(lambda: client.status().phase == "committing", "it waits")
    worker.signal(signal.SIGCONT)

    event = outcome()
    assert (event.result, event.applied, event.lagging) == (ReloadResult.UNCHANGED, [worker.pid], [])
    assert worker.ask("read")[:2] == (event.version, 2)


def test_a_worker_may_start_first_and_is_told_what_is_missing(
    serve: Serves, attached: Callable[[], Worker], tmp_path: Path
) -> None:
    with pytest.raises(OwnerUnavailable, match=f"no config owner serves at {serve.address}: `confcast serve"):
        Replica(Settings, name="app").attach(str(serve.address), timeout=0.05)
    with pytest.raises(OwnerUnavailable, match=f"no config owner listens at {serve.address}"):
        Client(address=serve.address).get_stats()


def test_another_schema_is_refused_with_what_to_do(serve: Serves, tmp_path: Path) -> None:
    (tmp_path / "newer.py").write_text(NEWER)
    serve.write_loader("newer:Settings")
    serve()
    with pytest.raises(SchemaMismatch, match="color") as refused:
        Replica(Settings, name="app").attach(str(serve.address), timeout=DEADLINE)
    assert f"confcast serve --take-over --address {serve.address}" in str(refused.value)


def test_two_configurations_on_one_host_and_one_without_an_address(
    serve: Serves, capsys: pytest.CaptureFixture[str], no_other_owners: None
) -> None:
    serve("--name", "shop")
    serve("--name", "jobs", address=None)
    assert Client(address=serve.address, name="shop").get_stats()["version"] == 1
    assert main(["status", "--name", "jobs", "--address", str(serve.address)]) == 3
    assert "is that of 'shop', and not of 'jobs'" in capsys.readouterr().err
    by_name = Client(name="jobs")
    assert by_name.get_stats()["version"] == 1
    assert Replica(Settings, name="jobs").attach("jobs").close() is None
    assert main(["--json"]) == 0
    told = json.loads(capsys.readouterr().out)["owners"]
    assert sorted(each["name"] for each in told) == ["jobs", "shop"]


def test_a_first_load_that_is_refused_ends_it_with_every_problem(serve: Serves) -> None:
    (serve.folder / "app.toml").write_text("number = 'one'\ntwin = 1\ncolour = 2\n")
    refused = serve.start()
    assert refused.status() == 1
    said = refused.said()
    assert "app.toml:1:10: number" in said
    assert "app.toml:3" in said
    assert "nothing is served: \n" in said, "a line each"
    assert not os.path.lexists(serve.address)

    (serve.folder / "served_loader.py").write_text("import nothing_of_this_name\n")
    refused = serve.start()
    assert refused.status() == 1
    assert "nothing_of_this_name" in refused.said()


def test_a_signal_ends_it_while_it_starts(serve: Serves, gate: Gate) -> None:
    starting = gate.hold_load(serve.folder / "app.toml", 2, serve.start)
    assert starting.end() == 0
    assert not os.path.lexists(serve.address)


def refusal_of(path: Path) -> str:
    with pytest.raises(AddressRefused) as refused:
        AddressLink(path).owner()
    return str(refused.value)


def test_what_is_not_ours_is_never_replaced(runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = runtime_folder / "c.sock"
    assert AddressLink(path).owner() is None
    with socket.socket(socket.AF_UNIX) as foreign:
        foreign.bind(str(path))
        assert "is a socket, which `confcast serve` did not make" in refusal_of(path)
        path.unlink()
    path.mkdir()
    assert "is a folder" in refusal_of(path)
    path.rmdir()
    path.symlink_to("elsewhere")
    assert "is a link to" in refusal_of(path)
    path.unlink()
    dead = runtime_folder / "confcast-app-999999999-1.dead" / "control.sock"
    path.symlink_to(dead)
    assert AddressLink(path).owner() is None, "what a killed one has left is in nobody's way"
    path.unlink()
    assert "the folder" in refusal_of(runtime_folder / "none" / "c.sock")
    with pytest.raises(AddressRefused, match=rf"has {MAX_PATH + 1} bytes.*give a shorter --address"):
        AddressLink("/" + "x" * MAX_PATH)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "can't write in" in refusal_of(path)


def test_of_two_that_begin_at_once_one_gets_the_address(runtime_folder: Path) -> None:
    link = AddressLink(runtime_folder / "c.sock")
    mine = runtime_folder / f"confcast-app-{os.getpid()}-0.mine" / "control.sock"
    other = runtime_folder / f"confcast-app-{os.getpid()}-0.other" / "control.sock"
    link.take(str(mine))
    link.take(str(mine))
    with pytest.raises(AddressRefused, match="is served by process"):
        link.take(str(other))
    link.give_back(str(other))
    assert lasting_address.control_socket(str(link.path)) == str(mine)
    link.take(str(other), instead_of=mine.parent)
    assert lasting_address.folder_of(str(link.path)) == other.parent
    link.give_back(str(other))
    assert not link.path.is_symlink()


def test_the_lock_on_the_folder_is_not_waited_for_without_end(
    runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address_link, "_LOCKED_WITHIN", 0.02)
    fd = os.open(runtime_folder, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        with pytest.raises(AddressRefused, match="another process holds a lock on"):
            AddressLink(runtime_folder / "c.sock").take("/nowhere/control.sock")
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--vote-timeout", "-1"], "a number of seconds above 0 is expected"),
        (["--on-start-error", "last_good"], "needs state_dir"),
        (["--group", "no-such-group-here"], "there is no such group"),
        (["--address", ""], "is no path of a file"),
    ],
)
def test_a_command_line_that_can_t_be_meant_is_usage(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--loader", "served_loader:loader", *arguments])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_a_worker_that_has_forked_stays_with_the_owner_of_its_code(serve: Serves, tmp_path: Path) -> None:
    """As a prefork pool of celery's does: the child of old code attaches after the take-over by another schema."""
    first = serve()
    settings = Replica(Settings, name="app").attach(str(serve.address))
    try:
        (tmp_path / "newer.py").write_text(NEWER)
        serve.write_loader("newer:Settings")
        second = serve("--take-over")
        write(serve.folder / "app.toml", 2)

        def is_served_by_the_old_one() -> bool:
            settings.attach(str(serve.address))
            eventually(lambda: settings.connected, "the owner of this code")
            return settings.latest.number == 1 and len(settings.workers()) == 2

        assert holds_in_child(is_served_by_the_old_one)
        assert settings.connected
        assert second.end() == 0
    finally:
        settings.close()
    assert first.status() == 0
