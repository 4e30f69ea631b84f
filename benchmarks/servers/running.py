"""One server that runs, with all the processes below it.

Guarantees: nothing outlives the context, whatever happened to the server; nothing is waited for without a deadline. Its
log is shown as the reason when it fails. A server that does not end by itself, or leaves something, is noted: what was
measured before is none the worse for it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from benchmarks.servers.kinds import Kind, Side

PATIENCE = 60.0
"""Seconds that starting may take: four imports of 1.5 CPU-seconds, on a machine that is busy with other things, too."""
_GRACE = 20.0
_TRACKER_GRACE = 3.0
_TICKS = os.sysconf("SC_CLK_TCK")
_LAST_LINES = 5


class Failed(RuntimeError):
    """A server that can't be measured; the text says why, and what its log ends with."""


class Server:
    """One that was started. Made by `started`."""

    def __init__(self, folder: Path, kind: Kind, side: Side, import_seconds: float) -> None:
        self._folder = folder
        self._file = folder / "app.toml"
        self.run = folder / "run"
        self.run.mkdir()
        self.number = 0
        self.turn()
        self.port = _free_port()
        environment = os.environ | {
            "BENCH_FILE": str(self._file),
            "BENCH_IMPORT": str(import_seconds),
            "BENCH_SIDE": side,
            "CONFCAST_RUNTIME_DIR": str(self.run),
            "GUNICORN_CMD_ARGS": "",
        }
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                kind.command(side, self.port),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def turn(self) -> None:
        """Put the next number into its file."""
        self.put(self.number + 1)

    def put(self, number: int) -> None:
        """Put this number into its file."""
        self.number = number
        fresh = self._file.with_suffix(".fresh")
        fresh.write_text(f"number = {self.number}\n", encoding="utf-8")
        fresh.replace(self._file)

    def hup(self) -> None:
        """HUP the master. Raises Failed when it is gone."""
        self.check()
        self._process.send_signal(signal.SIGHUP)

    def check(self) -> None:
        """Raises Failed when the master is gone."""
        if self._process.poll() is not None:
            raise Failed(f"it ended with status {self._process.returncode}; {self.last_words()}")

    def await_listening(self) -> None:
        """Return when somebody listens on its port. Raises Failed."""
        deadline = time.monotonic() + PATIENCE
        while not _listens(self.port):
            self.check()
            if time.monotonic() > deadline:
                raise Failed(f"it does not listen after {PATIENCE:g} s; {self.last_words()}")
            time.sleep(0.05)

    def tree(self) -> Tree:
        """Its processes now."""
        return tree_of(self._process.pid)

    def last_words(self) -> str:
        """The end of its log."""
        lines = (self._folder / "log").read_text(encoding="utf-8", errors="replace").splitlines()
        return f"its log ends with: {' | '.join(lines[-_LAST_LINES:])}" if lines else "its log is empty"

    def end(self) -> str:
        """End it, and whatever is left of it; what that was, as a sentence, or nothing."""
        self._process.terminate()
        try:
            self._process.wait(_GRACE)
            left = self._await_end(time.monotonic() + _GRACE)
        except subprocess.TimeoutExpired:
            left = self._marked()
        self._kill(pid for pid in left if b"resource_tracker" not in _read(pid, "cmdline"))
        self._process.kill()
        self._process.wait()
        # multiprocessing's tracker removes the semaphores of those that were killed, and then ends by itself.
        self._kill(self._await_end(time.monotonic() + _TRACKER_GRACE) if left else ())
        if left:
            return f"{len(left)} of its processes did not end within {_GRACE:g} s of TERM; {self.last_words()}"
        found = [path.name for path in self.run.iterdir()]
        return f"it has left {', '.join(found)} in its run-time folder" if found else ""

    def _await_end(self, deadline: float) -> list[int]:
        """Which of its processes live at the deadline."""
        while (left := self._marked()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return left

    def _kill(self, pids: Iterable[int]) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _marked(self) -> list[int]:
        """Its processes by their environment, which they have whoever their parent is by now."""
        mark = f"CONFCAST_RUNTIME_DIR={self.run}".encode()
        return [pid for pid in _pids() if mark in _read(pid, "environ").split(b"\0")]


@contextmanager
def started(kind: Kind, side: Side, notes: list[Note], import_seconds: float = 0.0) -> Iterator[Server]:
    """It, when it listens; how it ended is noted, unless well. Raises Failed."""
    with tempfile.TemporaryDirectory(prefix="confcast-bench-", ignore_cleanup_errors=True) as folder:
        server = Server(Path(folder), kind, side, import_seconds)
        try:
            server.await_listening()
            yield server
        finally:
            if note := server.end():
                notes.append(Note(kind.name, side, note))


class Note(NamedTuple):
    """What was noticed when a server ended."""

    server: str
    side: Side
    text: str


class Tree(NamedTuple):
    """Processes at one moment.

    Attributes:
        pids: Those that live, the root included.
        cpu: Seconds that they have used, and those that they have reaped, together.
    """

    pids: frozenset[int]
    cpu: float


def tree_of(root: int) -> Tree:
    """A process and all below it. What is reaped while this looks may be counted twice: look when it is quiet."""
    found = {pid: status for pid in _pids() if (status := _status(pid)) is not None}
    children: dict[int, list[int]] = {}
    for pid, status in found.items():
        children.setdefault(status.parent, []).append(pid)
    inside, waiting = set(), [root]
    while waiting:
        pid = waiting.pop()
        inside.add(pid)
        waiting += children.get(pid, ())
    mine = {pid: found[pid] for pid in inside if pid in found}
    return Tree(
        frozenset(pid for pid, status in mine.items() if status.lives), sum(status.cpu for status in mine.values())
    )


class _Status(NamedTuple):
    parent: int
    cpu: float
    lives: bool


def _status(pid: int) -> _Status | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return _Status(int(fields[1]), sum(map(int, fields[11:15])) / _TICKS, fields[0] not in "ZX")


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _read(pid: int, name: str) -> bytes:
    """What the system says of it; nothing of one that has ended."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
