"""The tests of the time in which a server's workers start, for servers whose launchers hold signals back meanwhile.

As in embedding.py: a class that a server's test file derives from.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from tests.support.embedding import Endings, Make
from tests.support.gate import Gate
from tests.support.server import Server
from tests.support.waiting import eventually

Shut = Callable[[Path], Gate]


class Booting:
    """What comes while workers start.

    Attributes:
        kind: Which server. Made without options it has two workers, and does not watch.
    """

    kind: ClassVar[type[Server]]
    shut = Endings.shut

    def test_a_hup_for_the_whole_group_kills_no_worker_that_boots(self, make: Make, shut: Shut):
        server = make()
        module = server.folder / "settings.py"
        module.write_text(module.read_text() + SLOW_TO_ATTACH)
        gate = shut(server.folder / "early")
        server.launch()
        gate.await_load()
        booting = workers(server)

        newest = server.change()
        os.killpg(server.pid, signal.SIGHUP)
        server.await_log(" app: signal: ")
        gate.open()
        gate.let_go()

        answers = server.await_workers().everyone()
        assert set(answers) == booting
        assert {answer["number"] for answer in answers.values()} == {newest}

    def test_a_hup_while_the_owner_starts_is_not_lost(self, make: Make, shut: Shut):
        server = make()
        module = server.folder / "settings.py"
        module.write_text(module.read_text().replace(IMPORTS, IMPORTS + "import os\nfrom pathlib import Path\n"))
        module.write_text(module.read_text().replace(NAME, NAME + SLOWLY))
        gate = shut(server.folder / "loading")
        server.launch()
        gate.await_load()

        newest = server.change()
        server.signal(signal.SIGHUP)
        gate.open()
        gate.let_go()

        server.await_log(" app: signal: ")
        assert {answer["number"] for answer in server.await_workers().everyone().values()} == {newest}

    def test_the_death_of_the_master_ends_workers_that_boot(self, make: Make, shut: Shut):
        server = make()
        begin(server, shut)

        server.signal(signal.SIGKILL)
        server.ended()

        server.assert_nothing_left()

    def test_a_worker_that_can_not_attach_says_why(self, make: Make):
        server = make()
        module = server.folder / "settings.py"
        module.write_text(module.read_text() + 'again = Replica(Settings, name="app")\n')
        server.launch()

        assert server.ended() == 1
        assert "this worker can't attach and exits: another replica named 'app'" in server.log()
        server.assert_nothing_left()


IMPORTS = "import msgspec\n"
NAME = '    name: str = "one"\n'
SLOW_TO_ATTACH = """
import pathlib
import sys

if "confcast.owner" not in sys.orig_argv and pathlib.Path("early").exists():
    pathlib.Path("early").read_bytes()
"""
SLOWLY = """
    def __post_init__(self):
        if os.path.exists("loading"):
            Path("loading").read_bytes()
"""


def begin(server: Server, shut: Shut) -> Gate:
    """Start it, and return when a worker is at the gate in the middle of its imports."""
    gate = shut(server.folder / "booting")
    server.launch()
    gate.await_load()
    return gate


def workers(server: Server) -> set[int]:
    """The two that are starting: neither master nor owner, nor multiprocessing's own process."""

    def found() -> set[int]:
        others = {server.pid, *server.owners()}
        pids = {pid for pid in server.processes() if pid not in others and not is_tracker(pid)}
        return pids if len(pids) == 2 else set()

    return eventually(found, "two workers that boot")


def is_tracker(pid: int) -> bool:
    """Whether it is what multiprocessing starts beside spawned processes."""
    try:
        return b"resource_tracker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
