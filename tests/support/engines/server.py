"""A real server of an engine for tests: on a free port of the loopback, with its data in a folder of its own.

An engine's class says which programs there are, how one is run, when it answers, and how to reach behind the engine's
interface: to delete a head, or to make anew what holds it. All that concerns processes is here.

Nothing outlives a test run: `with` ends the server, and where `setpriv` is there the kernel does if pytest is killed.
"""

from __future__ import annotations

import abc
import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

from confcast.fleet.engines.access import Access
from tests.support.certificates import Authority
from tests.support.waiting import DEADLINE, eventually

_ATTEMPTS = 5
_BLOCK = 200
_PORTS = (20000, 32000)  # below those that connections get by themselves: one that was left for a restart stays free


class Program(NamedTuple):
    """A program of a server.

    Attributes:
        origin: Where it is from: "Debian" or "wheel".
        path: The program.
        has_tls: Whether it was built with TLS.
    """

    origin: str
    path: str
    has_tls: bool = True


class Server(abc.ABC):
    """A server from `with` to its end. What is called before `start` says how it will be run.

    Attributes:
        NAME: The name of the source that follows it: "Redis".
        port: Where it listens; the same after a restart.
        folder: All its files; `data` in it are what `copy` copies.
        user: Whom a client has to be with `with_password`; empty for nobody.
    """

    NAME: ClassVar[str]
    user = ""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.port = 0
        self.password = ""
        self.certificates: Authority | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="engine-", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)

    # ---- what an engine says

    @classmethod
    @abc.abstractmethod
    def programs(cls) -> list[Program]:
        """Those of this machine; the one that the default run takes first: Debian's, or else a wheel's."""

    @property
    @abc.abstractmethod
    def url(self) -> str:
        """What a source is given; without a password."""

    @abc.abstractmethod
    def _command(self) -> list[str]:
        """The command that runs it on `port`, with its data in `data`."""

    @abc.abstractmethod
    def _answers(self) -> bool:
        """Whether this very process does, and not one that took its port."""

    @abc.abstractmethod
    def delete_head(self, key: str) -> None:
        """As by a person with the engine's own tool."""

    @abc.abstractmethod
    def overwrite_head(self, key: str, content: bytes) -> None:
        """Put these bytes in a head's place, as by a person with the engine's own tool."""

    @abc.abstractmethod
    def overwrite_payload(self, key: str, digest: str, content: bytes) -> None:
        """Put these bytes in the place of the payload under a digest."""

    @abc.abstractmethod
    def remake(self, key: str) -> None:
        """Make anew, and empty, what holds this key: the database, bucket, table."""

    @abc.abstractmethod
    def rotate(self, password: str) -> None:
        """From now on this password is right, the one before is wrong, and connections made with it may go on."""

    def _prepare(self) -> None:  # noqa: B027 - most need nothing
        """Make what the program needs to find in `data`; called before each start."""

    def _options(self) -> dict[str, Any]:
        """More arguments of Popen, such as another user."""
        return {}

    def _pids(self) -> list[int]:
        """The processes that make it up, each of which gets a signal."""
        assert self._process is not None
        return [self._process.pid]

    # ---- how it will be run

    def with_password(self, password: str) -> Self:
        """Ask for this password."""
        self.password = password
        return self

    def with_tls(self, certificates: Authority) -> Self:
        """Serve TLS alone, with the certificate that the authority's folder has."""
        self.certificates = certificates
        return self

    # ---- its life

    @property
    def data(self) -> Path:
        """The folder of what it keeps."""
        return self.folder / "data"

    @property
    def is_running(self) -> bool:
        """Whether it was started, and neither killed nor stopped since."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def access(self, **more: Any) -> Access:
        """How to reach it, without a password."""
        if self.certificates is not None:
            more = {"ca_file": str(self.certificates.certfile), **more}
        return Access(**{"url": self.url, **more})

    def start(self) -> None:
        """Run it; returns once it answers. For the main thread: the kernel ends it with the thread that starts it."""
        for _ in range(_ATTEMPTS):
            self.port = self.port or free_port()
            self._launch()
            if self._process is not None and self._process.poll() is None:
                return
            self._forget()
        raise AssertionError(f"{self.program.path} does not start; its log:\n{self.log()}")

    def kill(self) -> None:
        """End it at once (kill -9), unless somebody else has."""
        with contextlib.suppress(ProcessLookupError):
            self._signal(signal.SIGKILL)
        self._forget()

    def pause(self) -> None:
        """It does nothing from now on, and its connections stay open."""
        self._signal(signal.SIGSTOP)
        for pid in self._pids():  # a thread on another processor may still answer for a moment
            eventually(lambda pid=pid: _states(pid) <= set("TtZX"), "a process that is stopped")

    def resume(self) -> None:
        """After `pause`."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it, as an administrator would."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
        self._forget()

    def restart(self, *, empty: bool = False) -> None:
        """After `kill` or `stop`, or in their place: run it again on its port."""
        if self._process is not None:
            self.kill()
        if empty:
            shutil.rmtree(self.data)
        self.start()

    def copy(self) -> Path:
        """A copy of its data as they are at one moment, as of a snapshot of the disk."""
        target = Path(tempfile.mkdtemp(dir=self.folder, prefix="copy-"))
        self.pause()
        try:
            shutil.copytree(self.data, target / "data", symlinks=True)
        finally:
            self.resume()
        return target / "data"

    def restore(self, copy: Path) -> None:
        """End it, and run it again on data that `copy` gave."""
        self.kill()
        shutil.rmtree(self.data)
        shutil.copytree(copy, self.data, symlinks=True)
        self.start()

    def log(self) -> str:
        """The end of what it has written."""
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *about: object) -> None:
        if self._process is not None:
            self.kill()
        self._folder.cleanup()

    # ---- the process

    def _launch(self) -> None:
        self.data.mkdir(exist_ok=True)
        self._prepare()
        dies_with_us = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*dies_with_us, *self._command()], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._options()
            )
        process = self._process
        eventually(lambda: process.poll() is not None or self._answers(), f"{self.program.path} that answers")

    def _signal(self, number: int) -> None:
        for pid in self._pids():
            os.kill(pid, number)

    def _forget(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _states(pid: int) -> set[str]:
    """Those of a process's threads."""
    found = set()
    for thread in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):  # one that has just ended
            found.add(thread.read_text().rpartition(")")[2].split()[0])
    return found


def free_port() -> int:
    """A port that nobody has at the moment, and that no connection gets by itself.

    It is the next one of this process's block: neither another process that runs these tests nor another server of this
    one takes it while its server is down.
    """
    for port in _ports:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("there is always a next port")


def _claimed_block() -> int:
    """The first port of a block that is this process's until its end, by a name that the kernel gives to one."""
    for first in range(*_PORTS, _BLOCK):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0confcast-tests-ports-{first}")
        except OSError:
            claim.close()
            continue
        claim.detach()  # it stays open as long as the process lives
        return first
    raise AssertionError("no block of ports is left")


_first = _claimed_block()
_ports = itertools.cycle(range(_first, _first + _BLOCK))
