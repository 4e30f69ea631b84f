"""What must not be left when a test is over: child processes, threads of ours, open descriptors, folders, variables."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import socket
import threading
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from tests.support.waiting import eventually


class Belongings(NamedTuple):
    """What this process has at one moment."""

    children: frozenset[int]
    threads: frozenset[str]
    descriptors: int
    addresses: frozenset[str]


def belongings() -> Belongings:
    """Now. Descriptors that only the collector would close count as closed."""
    gc.collect()
    threads = frozenset(thread.name for thread in threading.enumerate() if thread.name.startswith("confcast"))
    addresses = frozenset(name for name in os.environ if name.startswith("CONFCAST_ADDRESS_"))
    return Belongings(children_of(os.getpid()), threads, descriptors(), addresses)


def descriptors() -> int:
    """How many this process has open, and one for the asking."""
    return len(list(Path("/proc/self/fd").iterdir()))


def children_of(pid: int) -> frozenset[int]:
    """The pids of a process's children, zombies included."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended meanwhile
            found.update(map(int, (task / "children").read_text().split()))
    return frozenset(found)


def is_running(pid: int) -> bool:
    """Whether this process lives; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[0] not in (b"Z", b"X")


def assert_nothing_left(before: Belongings, runtime: Path, shared: Collection[int] = ()) -> None:
    """Nothing but what there was before. Threads that are on their way out are waited for.

    Args:
        before: What there was.
        runtime: The folder of this test's owners.
        shared: The pids of processes that other tests use, too, and that one may have started.
    """
    try:
        eventually(lambda: not _gained(before, runtime, shared), "the end of all that the test began", 10.0)
    except AssertionError:
        raise AssertionError(f"the test left: {', '.join(_gained(before, runtime, shared))}") from None


def _gained(before: Belongings, runtime: Path, shared: Collection[int]) -> list[str]:
    now = belongings()
    gained = [f"child {pid}: {_command(pid)}" for pid in sorted(now.children - before.children - {*shared})]
    gained += [f"thread {name}" for name in sorted(now.threads - before.threads)]
    gained += [f"variable {name}" for name in sorted(now.addresses - before.addresses)]
    gained += [f"{path}" for path in sorted(runtime.iterdir())]
    if now.descriptors > before.descriptors:
        gained.append(f"{now.descriptors - before.descriptors} descriptors")
    return gained


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return "gone"


def nobody_listens(address: str) -> bool:
    """Later than the owner's death as /proc shows it: until its last thread is gone, its socket takes connections."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(address) == errno.ECONNREFUSED
