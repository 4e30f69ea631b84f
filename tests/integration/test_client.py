"""The public `Client` with real owners: which one it asks, what it does without one, and p11 of the contract."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from confcast import Client, OwnerUnavailable, ReloadResult
from confcast.worker.client import owner_client
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.settings import text, write
from tests.support.slow import slow
from tests.support.waiting import DEADLINE, on_a_loop

pytestmark = pytest.mark.usefixtures("no_other_owners")

P11 = Path(__file__).parents[1] / "typing" / "contract" / "p11_ci.py"

_NAMES_IMPORTS = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps([each for each in sys.modules if "confcast.config" in each]), file=sys.stderr))
"""


def forget_addresses() -> None:
    """What a process beside the server has: no variable of its master's."""
    for name in [each for each in os.environ if each.startswith("CONFCAST_ADDRESS_")]:
        del os.environ[name]


# ---- which owner


def test_it_finds_the_owner_by_name_and_asks_it_all_that_a_manager_may(
    start_manager: StartManager, config: Path
) -> None:
    start_manager(), start_manager(name="other")
    forget_addresses()
    client = Client()
    write(config, 2)
    assert (client.reload(reason="cron").version, client.get_stats()["version"]) == (2, 2)
    assert Client(name="other").get_stats()["version"] == 1
    assert client.versions()[0].reason == "cron"
    assert client.explain("number").value == 2
    assert on_a_loop(lambda: client.acheck()).dry_run
    assert on_a_loop(lambda: client.await_(2)).version == 2


def test_it_is_on_no_roster_and_no_reload_waits_for_it(manager: Manager) -> None:
    assert Client().reload().applied == []
    assert Client().workers() == []


def test_a_process_of_the_server_says_which_and_the_name_chooses_only_among_several(
    start_manager: StartManager, start_worker: StartWorker
) -> None:
    app = start_manager()
    worker = start_worker(app)
    forget_addresses()
    assert Client(pid=worker.pid, name="whatever").get_stats()["owner_pid"] == app.owner_pid
    other = start_manager(name="other")
    assert Client(pid=os.getpid()).get_stats()["owner_pid"] == app.owner_pid
    assert Client(pid=os.getpid(), name="other").get_stats()["owner_pid"] == other.owner_pid
    assert Client(address=Path(app.address)).get_stats()["owner_pid"] == app.owner_pid
    assert Client(address=other.address).get_stats()["owner_pid"] == other.owner_pid


def test_of_several_of_one_name_none_is_asked_and_each_has_its_line(start_manager: StartManager) -> None:
    name = "n" * 24  # folders have as much of a name
    both = [start_manager(name=f"{name}1"), start_manager(name=f"{name}2")]
    forget_addresses()
    event = Client(name=name).reload()
    first, *lines = str(event.error_message).splitlines()
    assert event.result is ReloadResult.OWNER_UNAVAILABLE
    assert first == f"2 config owners named {name!r} run for this user; choose one by pid= or address=:"
    for manager, line in zip(sorted(both, key=lambda each: each.address), lines, strict=True):
        assert line.startswith(f"Client(address={manager.address!r})  {name!r}, process {os.getpid()}, version 1, ")
    with pytest.raises(OwnerUnavailable, match="choose one by pid= or address="):
        Client(name=name).versions()
    assert [each.get_event_history(1)[0].origin for each in both] == ["start", "start"]


def test_a_wrong_name_is_answered_with_those_that_run(start_manager: StartManager) -> None:
    start_manager(name="shop")
    forget_addresses()
    with pytest.raises(OwnerUnavailable) as told:
        Client(name="app").workers()
    first, line = str(told.value).splitlines()
    assert first.startswith("no config owner named 'app' runs for ")
    assert "give address=" in first
    assert line.startswith("  Client(name='shop')  'shop', process ")


# ---- an owner that comes and goes


def test_it_may_be_made_before_the_server_and_finds_the_next_one_after_it(
    start_manager: StartManager, config: Path
) -> None:
    client = Client()
    missing = client.reload()
    assert missing.result is ReloadResult.OWNER_UNAVAILABLE
    assert str(missing.error_message).startswith("no config owner named 'app' runs for ")
    first = start_manager()
    forget_addresses()
    assert client.get_stats()["owner_pid"] == first.owner_pid
    first.close()
    second = start_manager()
    forget_addresses()
    assert client.get_stats()["owner_pid"] == second.owner_pid


def test_an_owner_that_died_is_waited_for(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner_client, "_RESTART", DEADLINE)
    client = Client()
    before = client.get_stats()["owner_pid"]
    os.kill(before, signal.SIGKILL)
    assert client.reload()
    assert client.get_stats()["owner_pid"] not in (0, before)


def test_it_opens_nothing_when_it_is_made_and_refuses_what_says_nothing() -> None:
    assert repr(Client(name="a", pid=1)) == "Client(name='a', pid=1)"
    assert repr(Client(address="/run/a")) == "Client(name='app', address='/run/a')"
    with pytest.raises(ValueError, match="give one of them"):
        Client(address="/run/a", pid=1)
    for wrong in ({"name": ""}, {"address": ""}):
        with pytest.raises(ValueError, match="is empty: say which config owner is meant"):
            Client(**wrong)  # type: ignore[arg-type]
    for wrong in ({"name": None}, {"pid": "1"}, {"pid": True}):
        with pytest.raises(TypeError, match="is expected"):
            Client(**wrong)  # type: ignore[arg-type]


# ---- p11: a proposal in CI


@pytest.mark.parametrize(("proposed", "code"), [slow(text(7), 0), ("number = -1\ntwin = -1\n", 1)])
def test_a_ci_job_tries_a_file_that_the_owner_can_not_read(
    proposed: str, code: int, manager: Manager, tmp_path: Path
) -> None:
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "proposed.toml").write_text(proposed, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", _NAMES_IMPORTS + P11.read_text(encoding="utf-8")],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert (manager.get_stats()["version"], len(manager.get_event_history())) == (1, 1)
    if code:
        where, _, why = done.stdout.splitlines()[0].partition(" ")
        assert where.endswith("app.toml:1:10")
        assert why == "Input should be greater than or equal to 0 (got -1)"
    else:
        assert done.stdout == ""
    assert json.loads(done.stderr) == []  # the caller imports no source, schema or loader
