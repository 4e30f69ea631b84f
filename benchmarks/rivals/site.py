"""One rival's server, with all that runs beside it, and its one file.

Guarantees: nothing outlives the context, nothing is waited for without a deadline. The rig is what a service manager
is: it starts a rival's services again a second after their death; it does not start gunicorn again, so that a server
that ends is seen to end.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from threading import Event, Thread

from benchmarks.rivals.job import FIRST, ROOT, WORKERS, Rival
from benchmarks.rivals.load import Answer, ask, fetch
from benchmarks.servers.running import _free_port, _pids, _read

PATIENCE = 40.0
_GRACE = 10.0
_AFTER_DEATH = 1.0
_PAUSE = 0.05
_TRACE = re.compile(r"Traceback |  File |    ")


class Failed(RuntimeError):
    """A server that does not start or answer, and why."""


class Site:
    """One that was started. Made by `started`.

    Args:
        rival: What it is a server of.
        python: That rival's.
        folder: Its own.
        is_swapped: Whether the file is reached through a link that is exchanged, as Kubernetes does.

    Attributes:
        path: The file, as the server knows it.
        port: Of the server.
    """

    def __init__(self, rival: Rival, python: Path, folder: Path, *, is_swapped: bool = False) -> None:
        self.rival, self._python, self._folder = rival, python, folder
        self._mounted = folder / "mounted"
        self._mounted.mkdir()
        self.path = self._mounted / rival.file
        self.port = _free_port()
        self._log = folder / "log"
        self._versions = 0
        self._workers = frozenset[int]()
        self._over = Event()
        self._threads: list[Thread] = []
        self._services: list[subprocess.Popen[bytes]] = []
        self._environment = self._its_environment()
        self._process: subprocess.Popen[bytes] | None = None
        if is_swapped:
            self.swap(rival.write(1, 1))
            self.path.symlink_to(f"..data/{rival.file}")
        else:
            self.replace(rival.write(1, 1))

    def start(self) -> None:
        """Start all of it. Raises Failed; `end` has to follow then, too."""
        for command in self.rival.services:
            self._keep_running([self._filled(part) for part in command])
        if self.rival.first_publish == "before":
            self._publish_at_last()
        self._process = self._start(self._command())

    # ---- what an operator does

    def replace(self, text: str) -> None:
        """Write another file, and rename it to this one."""
        fresh = self._folder / "fresh"
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self.path)

    def swap(self, text: str) -> None:
        """Write a folder, and exchange the link to it, as the kubelet does."""
        self._versions += 1
        folder = self._mounted / f"..version_{self._versions}"
        folder.mkdir()
        (folder / self.rival.file).write_text(text, encoding="utf-8")
        link = self._mounted / "..data_tmp"
        link.symlink_to(folder.name)
        link.replace(self._mounted / "..data")

    def publish(self) -> str | None:
        """Run what the rival has for it; what it said, and None if it has nothing."""
        if not self.rival.publish:
            return None
        ran = self._run()
        return self._said(ran)

    def helper(self) -> int | None:
        """The process on which the workers depend. None if there is none."""
        if self._services:
            return self._services[0].pid
        if not self.rival.helper:
            return None
        if logged := re.findall(rf"{self.rival.helper} \(pid: (\d+)\)", self.log_from(0)):
            return int(logged[-1])
        wanted = self.rival.helper.encode()
        return min((pid for pid in self._marked() if wanted in _read(pid, "cmdline")), default=None)

    # ---- what is seen of it

    @property
    def is_alive(self) -> bool:
        """Whether gunicorn's master runs."""
        return self._process is not None and self._process.poll() is None

    def workers(self) -> frozenset[int]:
        """Who has answered with content before, and lives."""
        return self._workers & self.alive

    @property
    def alive(self) -> frozenset[int]:
        """Every process of it."""
        return frozenset(self._marked())

    def log_from(self, place: int) -> str:
        """What was logged since."""
        return self._log.read_bytes()[place:].decode(errors="replace")

    @property
    def log_end(self) -> int:
        """Where the log ends now."""
        return self._log.stat().st_size

    def cost_ns(self) -> float:
        """What one look at a setting takes in a worker. Raises Failed."""
        try:
            return float(fetch(self.port, "/cost", PATIENCE))
        except (OSError, HTTPException) as error:
            raise Failed(f"{self.rival.name}: what a look costs is not answered: {error}") from error

    def await_workers(self) -> frozenset[int]:
        """Their pids, when each of them has answered with the file's content. Raises Failed."""
        if self.rival.first_publish == "after":
            self._publish_at_last()
        deadline, seen = time.monotonic() + PATIENCE, set[int]()
        while len(seen) < WORKERS:
            answers = self._at_once(2 * WORKERS)
            seen |= {each.pid for each in answers if each.is_good and each.left == each.right == FIRST}
            if time.monotonic() > deadline or not self.is_alive:
                raise Failed(f"{self.rival.name}: {len(seen)} workers answer; {self.log_from(0)[-2000:]}")
        self._workers = frozenset(seen)
        return self._workers

    def end(self) -> None:
        """End it, and whatever is left of it."""
        self._over.set()
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE)
        for thread in self._threads:
            thread.join(_GRACE)
        for pid in self._marked():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    # ---- inside

    def _its_environment(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CONFCAST", "GUNI"))
        }
        return kept | {
            "JOB_FILE": str(self.path),
            "JOB_FOLDER": str(self._folder),
            "CONFCAST_RUNTIME_DIR": str(self._folder),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self._folder),
        }

    def _command(self) -> list[str]:
        bind = ["--bind", f"127.0.0.1:{self.port}", "--workers", str(WORKERS), "--no-control-socket"]
        conf = ["--config", f"python:{self.rival.module}.gunicorn_conf"] if self.rival.has_conf else []
        return [str(self._python), "-m", "gunicorn", *bind, *conf, f"{self.rival.module}.app:application"]

    def _filled(self, part: str) -> str:
        names = {"python": self._python, "bin": self._python.parent, "port": self.port, "folder": self._folder}
        master = self._process.pid if self._process is not None else 0
        return part.format(master=master, **names)

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _run(self) -> subprocess.CompletedProcess[str]:
        command = [self._filled(part) for part in self.rival.publish]
        try:
            return subprocess.run(
                command,
                cwd=self._folder,
                env=self._environment | {"NO_COLOR": "1"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PATIENCE,
                text=True,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            return subprocess.CompletedProcess(command, 124, "", str(error))

    def _said(self, ran: subprocess.CompletedProcess[str]) -> str:
        """In one line: without where a traceback has been, and what the rival says of each worker."""
        lines = [line for line in (ran.stdout + ran.stderr).splitlines() if not _TRACE.match(line)]
        lines = [line.strip() for line in lines if not re.match(self.rival.noise or "$", line)]
        status = f"status {ran.returncode}: " if ran.returncode else ""
        return status + "; ".join(line for line in lines if line)

    def _publish_at_last(self) -> None:
        """The first content: who is asked may still be starting. Raises Failed."""
        deadline = time.monotonic() + PATIENCE
        while (ran := self._run()).returncode != 0:
            if time.monotonic() > deadline:
                raise Failed(f"{self.rival.name}: {self._said(ran)}")
            time.sleep(_PAUSE)

    def _keep_running(self, command: list[str]) -> None:
        place = len(self._services)
        self._services.append(self._start(command))

        def run() -> None:
            while not self._over.is_set():
                process = self._services[place]
                while process.poll() is None and not self._over.wait(_PAUSE):
                    pass
                process.kill()
                process.wait()
                if not self._over.wait(_AFTER_DEATH):
                    self._services[place] = self._start(command)

        self._threads.append(Thread(target=run))
        self._threads[-1].start()

    def _at_once(self, number: int) -> list[Answer]:
        """Ask as many at the same time, so that several workers have to answer."""
        answers: list[Answer] = []
        threads = [Thread(target=lambda: answers.append(ask(self.port))) for _ in range(number)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    def _marked(self) -> list[int]:
        """Its processes by their environment, which they have whoever their parent is by now."""
        mark = f"JOB_FOLDER={self._folder}".encode()
        return [pid for pid in _pids() if mark in _read(pid, "environ").split(b"\0")]


@contextmanager
def started(rival: Rival, python: Path, *, is_swapped: bool = False) -> Iterator[Site]:
    """A server, when its master was started. Raises Failed."""
    with tempfile.TemporaryDirectory(prefix="rival-", ignore_cleanup_errors=True) as folder:
        site = Site(rival, python, Path(folder), is_swapped=is_swapped)
        try:
            site.start()
            yield site
        finally:
            with _patient():
                site.end()


@contextmanager
def _patient() -> Iterator[None]:
    """Whoever wants to interrupt waits until all is ended: a server is in a session of its own, and would live on.

    Rejected: to block the signals, since another thread of this process has them still, and Python then interrupts.
    """
    came: list[int] = []
    wanted = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda number, frame: came.append(number)) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])
