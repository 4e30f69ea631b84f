"""What the nemesis does to processes: signals, and the disk as the owner sees it.

A victim is named by role and rank. Who that is, is found when it is due, and recorded; nobody there is recorded, too.
What was stopped, or has a full disk, is known here until it is let go, also if it has died meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Callable, Iterator
from typing import Protocol

from tests.support.leaks import is_running
from tests.support.stopping import await_stopped
from tests.support.waiting import eventually
from tests.torture.history import Act, Call, Recorder, now
from tests.torture.plan import Scalar

_END = 5.0
"""Seconds in which a process that was killed is gone."""


class Victims(Protocol):
    """Whom the acts are done to."""

    def processes(self) -> dict[str, list[int]]:
        """The pids of each role."""

    def start_again(self, role: str) -> None:
        """After somebody of this role was killed whom nobody else starts again."""


class ActsOnProcesses:
    """The acts, as methods with the plan's names.

    Args:
        victims: The site.
        recorder: Where the acts are recorded.
        number: Gives each call its number.
    """

    def __init__(self, victims: Victims, recorder: Recorder, number: Callable[[], int]) -> None:
        self._victims, self._recorder, self._number = victims, recorder, number
        self._stopped: dict[int, int] = {}
        self._full: dict[int, tuple[int, tuple[int, int]]] = {}

    def find(self, role: str, rank: int = 0) -> int:
        """The pid of this victim; 0 for nobody."""
        pids = self._victims.processes().get(role, [])
        return pids[rank % len(pids)] if pids else 0

    def is_stopped(self, pid: int) -> bool:
        """Whether it stands still by an act."""
        return pid in self._stopped.values()

    # ---- signals

    def kill(self, role: str, rank: int, *, signal: str) -> None:
        """SIGKILL, or SIGTERM."""
        self._send(role, rank, "kill", signal)

    def stop(self, role: str, rank: int, *, pair: int) -> None:
        """SIGSTOP."""
        if pid := self._send(role, rank, "stop", "STOP"):
            self._stopped[pair] = pid

    def go_on(self, role: str, rank: int, *, pair: int) -> None:
        """SIGCONT to whom the other act of this pair has stopped, if no later one holds it still."""
        pid = self._stopped.pop(pair, 0)
        if pid and not self.is_stopped(pid):
            with self.recorded("continue", role, pid):
                os.kill(pid, signal.SIGCONT)

    def hup(self, role: str, rank: int, *, count: int) -> None:
        """So many at once."""
        pid = self.find(role, rank)
        with self.recorded("hup", role, pid, count=count):
            if pid == 0:  # to the system, a whole group
                raise ProcessLookupError
            for _ in range(count):
                began = now()
                os.kill(pid, signal.SIGHUP)
                call = Call(at=now(), by=os.getpid(), began=began, id=self._number(), door="signal", verb="reload")
                self._recorder.write(call)

    def start_again(self, role: str, rank: int) -> None:
        """What nobody else starts again, unless it runs."""
        if not self.find(role):
            with self.recorded("start_again", role, 0):
                self._victims.start_again(role)

    def take_over(self, role: str, rank: int) -> None:
        """Another one of this role takes its place while it runs, or where it has died."""
        with self.recorded("take_over", role, self.find(role)):
            self._victims.start_again(role)

    def _send(self, role: str, rank: int, name: str, number: str) -> int:
        """The victim; 0 if there is none."""
        pid = self.find(role, rank)
        with self.recorded(name, role, pid, signal=number) as done:
            if pid == 0:
                raise ProcessLookupError
            os.kill(pid, signal.Signals[f"SIG{number}"])
            if number == "STOP":
                await_stopped(pid)
        return pid if done() else 0

    # ---- the owner's disk

    def fill_disk(self, role: str, rank: int, *, pair: int, limit: int) -> None:
        """No file that it writes may be longer than that: to a process, a full disk."""
        pid = self.find(role, rank)
        with self.recorded("fill_disk", role, pid, limit=limit):
            if pid == 0:
                raise ProcessLookupError
            before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, before[1]))
            self._full[pair] = pid, before

    def free_disk(self, role: str, rank: int, *, pair: int) -> None:
        """There is room again."""
        pid, before = self._full.pop(pair, (0, (0, 0)))
        if pid:
            with self.recorded("free_disk", role, pid):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, before)

    # ---- what others use

    def kill_surely(self, role: str) -> None:
        """Kill it, if it is there, and return when it is gone."""
        if pid := self.find(role):
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: not is_running(pid), f"the end of {pid}", _END)

    def mend(self) -> None:
        """All that was stopped goes on, and all disks have room."""
        for pair in list(self._stopped):
            self.go_on("", 0, pair=pair)
        for pair in list(self._full):
            self.free_disk("owner", 0, pair=pair)

    @contextlib.contextmanager
    def recorded(self, name: str, role: str, pid: int, **arguments: Scalar) -> Iterator[Callable[[], bool]]:
        """The block, as a record. A victim that is gone is recorded as that, and is no failure."""
        began, ok = now(), False
        try:
            yield lambda: ok
            ok = True
        except (OSError, ValueError, AssertionError):
            pass
        finally:
            act = Act(at=now(), by=os.getpid(), began=began, name=name, role=role, pid=pid, arguments=arguments, ok=ok)
            self._recorder.write(act)
