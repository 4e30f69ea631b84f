"""What processes have, and what a site leaves: descriptors, threads, memory; sockets, files, processes after its end.

A process is compared with what those of its role had at the most in the first tenth of a run, under the same requests,
since it may be younger than that. The slack is for what is made at its first use, such as the threads of a pool: what
leaks once a reload goes beyond it within a minute.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import NamedTuple

from tests.torture.history import Left, now

_PAGE = os.sysconf("SC_PAGE_SIZE")
_MIB = 2**20
SLACK = {"descriptor": 16, "thread": 12, "memory": 96 * _MIB}
_TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n(?: .*\n)*.*")
_OURS, _MOST = "/confcast/", 1500
_JOURNAL = 128 * _MIB
"""More than a journal of fifty versions, with their contents of a run, ever has."""


class Has(NamedTuple):
    """What a process has: open descriptors, threads, bytes of memory."""

    descriptor: int
    thread: int
    memory: int


def of(pid: int) -> Has | None:
    """That of a process now; None if it has ended."""
    with contextlib.suppress(OSError, IndexError):
        proc = Path(f"/proc/{pid}")
        resident = int((proc / "statm").read_text().split()[1])
        return Has(len(list((proc / "fd").iterdir())), len(list((proc / "task").iterdir())), resident * _PAGE)
    return None


class Baseline:
    """What the processes of each role have had at the most in the first tenth of a run."""

    def __init__(self) -> None:
        self._most: dict[str, Has] = {}

    def add(self, processes: dict[str, list[int]]) -> None:
        """Look at these, by role."""
        for role, _, has in _all(processes):
            self._most[role] = Has(*map(max, has, self._most.get(role, has)))  # type: ignore[arg-type]

    def gained(self, processes: dict[str, list[int]]) -> list[Left]:
        """What these have beyond it."""
        return [
            _left(kind, f"the {role} {pid} has {value} of it, and those of its role had {most} at the most")
            for role, pid, has in _all(processes)
            if role in self._most
            for kind, value, most in zip(Has._fields, has, self._most[role], strict=True)
            if value > most + SLACK[kind]
        ]


def _all(processes: dict[str, list[int]]) -> list[tuple[str, int, Has]]:
    found = [(role, pid, of(pid)) for role, pids in processes.items() if role != "booting" for pid in pids]
    return [(role, pid, has) for role, pid, has in found if has is not None]


def after_the_end(runtime: Path, state: Path) -> list[Left]:
    """What is there when all have ended: the run-time folder is to be empty, and nobody to have a socket in it."""
    sockets = [line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines() if str(runtime) in line]
    files = sorted(runtime.iterdir()) if runtime.exists() else []
    sizes = {path.name: path.stat().st_size for path in state.rglob("*") if path.is_file()} if state.exists() else {}
    large = [
        _left("file", f"the state folder's {name} has {size} bytes") for name, size in sizes.items() if size > _JOURNAL
    ]
    temporary = [_left("file", f"the state folder has {name}") for name in sizes if "tmp" in name]
    return [
        *(_left("socket", each) for each in sockets),
        *(_left("file", str(each)) for each in files),
        *large,
        *temporary,
    ]


def tracebacks(log: str) -> list[Left]:
    """The tracebacks in a log that go through confcast: whatever was done to it, it was to answer in words."""
    found = _TRACEBACK.findall(log)
    return [_left("traceback", each[-_MOST:]) for each in found if _OURS in each and "SystemExit" not in each]


def _left(kind: str, what: str) -> Left:
    return Left(at=now(), by=os.getpid(), kind=kind, what=what)
