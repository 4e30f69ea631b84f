"""gunicorn's dirty workers: they have the configuration, follow a reload, and are renewed by a full reload."""

from __future__ import annotations

import os
import re
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.gate import Gate
from tests.support.gunicorn import Server, open_logs, rotate, start
from tests.support.leaks import is_running
from tests.support.server import servers_of
from tests.support.waiting import eventually, in_thread

Make = Callable[..., Server]

# gunicorn ends a dirty arbiter of the same user and of this name when another server starts.
ABOVE = """
workers = 1
threads = 4
dirty_apps = ["dirty:App{}"]
dirty_workers = 1
import os; proc_name = "dirty-%d" % os.getpid()
"""
DIRTY = """
import os
from gunicorn.dirty.app import DirtyApp
from settings import settings

AT_IMPORT = {at_import}

class App(DirtyApp):
    def init(self):
        self.at_start = settings.current.number

    def read(self):
        begun = {{"pid": os.getpid(), "code": {code}, "at_start": self.at_start, "at_import": AT_IMPORT}}
        return {{**begun, "number": settings.current.number, "connected": settings.connected}}

    def stash(self):
        from gunicorn.dirty import stash
        return stash.get("table", "key")

    def hold(self, path):
        before = settings.current.number
        open(path).read()
        return [before, settings.current.number, settings.latest.number]
"""
VIEWS = """
def dirty(path):
    from gunicorn.dirty import get_dirty_client
    client = get_dirty_client()
    return answer(client.execute("dirty:App", "hold", path) if path else client.execute("dirty:App", "read"))

def stash(value):
    from gunicorn.dirty import stash
    if value:
        stash.put("table", "key", {"value": value})
    from gunicorn.dirty import get_dirty_client
    return answer([stash.get("table", "key"), get_dirty_client().execute("dirty:App", "stash")])
"""


class Dirty(Server):
    def wanted(self) -> int:
        """The dirty worker is attached, too."""
        return super().wanted() + 1

    def code(self, code: int, at_import: str = "settings.latest.number") -> None:
        (self.folder / "dirty.py").write_text(DIRTY.format(code=code, at_import=at_import))


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    with servers_of(Dirty, tmp_path) as made:

        def make(number: str = ":1", at_import: str = "settings.latest.number", more: str = "") -> Dirty:
            server: Dirty = made(above=ABOVE.format(number) + more)
            app = (
                (server.folder / "app.py")
                .read_text()
                .replace('"read": read,', '"read": read, "dirty": dirty, "stash": stash,')
            )
            (server.folder / "app.py").write_text(app + VIEWS)
            server.code(1, at_import)
            return server

        yield make


def test_a_dirty_worker_has_the_configuration_from_its_import_on_and_follows_it(make: Make, tmp_path: Path):
    server = make().start()
    first = server.ask("dirty")
    assert (first["number"], first["at_start"], first["at_import"], first["connected"]) == (1, 1, 1, True)
    gate = Gate(tmp_path / "gate")
    gate.shut()
    answer = in_thread(lambda: server.ask(f"dirty?{gate.path}"))
    gate.await_load()
    number = server.change()

    assert server.hup()[0] == "success"
    gate.open()
    gate.let_go()

    assert answer() == [1, 1, number], "one call sees one version"
    assert server.ask("dirty") == {**first, "number": number}
    os.kill(first["pid"], signal.SIGHUP)
    os.killpg(server.pid, signal.SIGHUP)
    server.ask("reload")
    assert server.ask("dirty")["pid"] == first["pid"]
    os.kill(first["pid"], signal.SIGKILL)
    server.await_log("Spawned dirty worker", 2)
    server.await_workers()
    assert server.ask("dirty")["at_start"] == number


@pytest.mark.slow
def test_a_full_reload_brings_dirty_workers_new_code_and_the_new_owner(make: Make):
    server = make().start()
    old = {server.ask("dirty")["pid"], server.owner()}
    assert server.ask("stash?kept") == 2 * [{"value": "kept"}]
    server.code(2)
    server.add_a_field()

    server.signal(signal.SIGRTMIN)

    eventually(lambda: not any(map(is_running, old)), "the end of the old dirty worker and of its owner")
    server.await_workers()
    server.await_log("Dirty arbiter exiting")
    pidfile = Path(tempfile.gettempdir(), f"gunicorn-dirty-dirty-{server.pid}.pid")
    assert pidfile.read_text() in re.findall(r"Spawned dirty arbiter \(pid: (\d+)\)", server.log())[1:]
    number = server.change()
    assert server.hup()[0] == "success"
    answer = server.ask("dirty")
    assert (answer["code"], answer["number"], answer["connected"]) == (2, number, True)
    assert server.ask("stash") == 2 * [{"value": "kept"}]
    assert server.ask("stash?new") == 2 * [{"value": "new"}]
    assert server.crashes() == []


@pytest.mark.slow
def test_its_words_name_who_has_imported_the_schema(make: Make):
    server = make(number="", at_import="0").start()

    server.signal(signal.SIGRTMIN)

    words = (
        "the master has imported settings (by gunicorn, for dirty:App in dirty_apps; one with a number, as dirty:App:1,"
    )
    server.await_log(words)
    server.await_log("Booting worker", 2)
    server.await_workers()


@pytest.mark.slow
def test_a_usr1_reaches_dirty_workers(make: Make):
    server = start(make(more="errorlog = 'errors'\n"))
    rotate(server, "errors")

    server.signal(signal.SIGUSR1)

    eventually(lambda: set(map(frozenset, open_logs(server).values())) == {frozenset({"errors"})}, "the new log in all")
