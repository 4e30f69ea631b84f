"""gunicorn's full reload: what goes over to the new owner, and what the old one still does for its last workers."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast.cli import owners
from confcast.examples.leindex.config import PACKAGED_DEFAULTS
from confcast.wire.files import owner_dirs
from confcast.wire.listener import SOCKET
from confcast.wire.messages import ReloadEvent
from confcast.worker.client.connection_per_call import AddressClient
from tests.support.gate import Gate
from tests.support.gunicorn import Make, Server
from tests.support.leaks import is_running
from tests.support.receiver import SECRET, receiving
from tests.support.waiting import eventually, in_thread

WORDS = "another config owner loads in place of this one, since a full reload"


def answered(event: ReloadEvent) -> list[ReloadEvent]:
    """Nothing where nobody has answered."""
    return [] if event.result == "owner_unavailable" else [event]


@pytest.fixture
def held(make: Make, tmp_path: Path) -> Iterator[tuple[Server, AddressClient, int]]:
    """A server that was fully reloaded, its former owner and that one's pid: the old worker is busy with a request."""
    for place in ("call", "body"):
        (tmp_path / place).mkdir()
    gate = Gate(tmp_path / "call" / "gate")
    Gate(tmp_path / "body" / "gate")
    server = make(above="graceful_timeout = 1", options="watch=True, state_dir='state'").start()
    (address,) = server.runtime.glob(f"*/{SOCKET}")
    old = server.owner()
    gate.shut()
    busy = in_thread(lambda: server.ask(f"hold?{tmp_path}"))
    gate.await_load()
    gate.open()
    server.signal(signal.SIGRTMIN)
    eventually(lambda: len(server.owners()) == 2 and server.ask("read"), "the next generation")

    yield server, AddressClient(str(address), "app"), old

    gate.let_go()
    assert busy() == [1, 1, 1]
    eventually(lambda: not is_running(old), "the end of the old owner")
    server.await_log(f"the journal has moved into {server.folder / 'state'}")
    assert server.ask("read")["number"] == server.number


def test_the_old_owner_loads_no_more_so_that_no_number_has_two_contents(held: tuple[Server, AddressClient, int]):
    server, former, _ = held
    number = server.change()
    eventually(lambda: server.ask("read")["number"] == number, "what the new owner has seen")

    event = former.reload()

    assert (event.result, event.version) == ("validation_failed", 1)
    assert WORDS in str(event.error_message)
    assert [event.version for event in former.get_event_history()] == [1, 1]
    assert server.ask("read")["version"] == 2


def test_the_command_line_means_the_new_owner(held: tuple[Server, AddressClient, int], monkeypatch: pytest.MonkeyPatch):
    server, former, _ = held
    monkeypatch.setenv("CONFCAST_RUNTIME_DIR", str(server.runtime))
    monkeypatch.setattr(owner_dirs, "candidates", owner_dirs.named)
    monkeypatch.delenv("CONFCAST_ADDRESS_APP", raising=False)

    found = owners.find(argparse.Namespace(name=None, address=None, pid=None))

    assert Path(found.address).parent.parent == server.runtime
    assert found.address != former.address


@pytest.mark.slow
def test_the_old_owner_is_restarted_and_still_loads_no_more(held: tuple[Server, AddressClient, int]):
    server, former, old = held
    os.kill(old, signal.SIGKILL)
    server.change()

    (event,) = eventually(lambda: answered(former.reload()), "the old generation's next owner")

    assert (event.result, event.version) == ("validation_failed", 1)
    assert WORDS in str(event.error_message)


@pytest.mark.slow
def test_history_and_totals_go_on(make: Make):
    server = make().start()
    server.change()
    server.hup()
    server.change("number = 'x'\n")
    server.hup()
    server.change()
    old = server.owner()

    server.signal(signal.SIGRTMIN)
    eventually(lambda: not is_running(old) and server.ask("read"), "one owner again")

    assert server.ask("history") == [
        ["start", "success", 3],
        ["signal", "validation_failed", 2],
        ["signal", "success", 2],
        ["start", "success", 1],
    ]
    assert server.ask("stats")["total_reloads"] == 2


def test_a_change_during_a_full_reload_that_is_called_off_is_loaded(make: Make):
    server = make(options="watch=True").start()
    owner = server.owner()
    gate = Gate(server.folder / "gate")
    gate.shut()
    (server.folder / "settings.py").write_text(f"open({str(gate.path)!r}).read()\nimport nothing_of_this_name\n")
    server.signal(signal.SIGRTMIN)
    gate.await_load()  # the next owner is importing the schema
    server.change()
    gate.let_go()

    server.await_log("the full reload is called off")

    eventually(lambda: server.ask("read")["number"] == server.number, "what was missed")
    assert server.owner() == owner


@pytest.mark.slow
def test_the_example_is_fully_reloaded_with_a_new_owner(make: Make):
    environment = {"LEINDEX_CONFIG": "config.yaml", "LEINDEX_FOLDER": "texts", "LEINDEX_BIND": "127.0.0.1:0"}
    server = make(environment={**environment, "LEINDEX_WORKERS": "1"})
    (server.folder / "texts").mkdir()
    shutil.copy(PACKAGED_DEFAULTS, server.folder / "config.yaml")
    server.launch("-c", "python:confcast.examples.leindex.gunicorn_conf")
    server.await_log("Booting worker")
    old = server.owner()

    server.signal(signal.SIGRTMIN)

    eventually(lambda: not is_running(old), "the end of the old owner")
    server.await_log("confcast app: start: unchanged")


@pytest.mark.slow
def test_what_webhooks_are_owed_goes_over_and_is_sent_by_the_next_generation(make: Make) -> None:
    with receiving() as receiver:
        receiver.answer = 500
        hook = f"Webhook({receiver.url!r}, SecretStr({SECRET!r}))"
        imports = "from confcast import Webhook\nfrom pydantic import SecretStr"
        server = make(above=imports, options=f"watch=False, webhooks=[{hook}]").start()
        server.change()
        server.signal(signal.SIGHUP)
        eventually(lambda: server.ask("stats")["webhooks"][0]["pending"] == 2, "both versions are owed")
        old, refused = server.owner(), len(receiver.got)
        assert refused < 4, "what was refused is sent again later"
        receiver.answer = 200
        server.signal(signal.SIGRTMIN)
        eventually(lambda: not is_running(old), "the end of the old owner")
        eventually(lambda: len(receiver.got) >= refused + 2, "both are sent")
        assert {got.told["data"]["version"] for got in receiver.got[refused:]} == {1, 2}
        assert receiver.unverified == []
