"""One look at everything that runs: what each process has, and what lies in the folders. Taken while all rests.

Of memory the anonymous pages are counted, those that were swapped out among them. Rejected: private pages (a forked
worker shares its master's until either writes: a master's private pages become fewer with each fork and more with each
death, whatever it keeps), and the resident set (it has the libraries' files, which the kernel drops when it likes).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec


class Has(msgspec.Struct, frozen=True):
    """What one process has.

    Attributes:
        role: What it is: `owner`, `worker`, …
        pid: Which one.
        descriptors, threads: How many.
        memory: KiB of anonymous pages.
    """

    role: str
    pid: int
    descriptors: int
    threads: int
    memory: int


class Look(msgspec.Struct, frozen=True):
    """All of it at one moment.

    Attributes:
        reloads: How many there were before.
        processes: Each that runs.
        files: KiB or numbers of what lies in folders, by a name that says which.
        log: Bytes that were logged.
    """

    reloads: int
    processes: list[Has]
    files: dict[str, float]
    log: int


def has(role: str, pid: int) -> Has | None:
    """What this process has now; None if it has ended."""
    process = Path(f"/proc/{pid}")
    with contextlib.suppress(OSError):
        lines = (process / "smaps_rollup").read_text(encoding="ascii").splitlines()
        memory = sum(int(line.split()[1]) for line in lines if line.startswith(("Anonymous:", "Swap:")))
        return Has(role, pid, _count(process / "fd"), _count(process / "task"), memory)
    return None


def all_have(processes: Mapping[str, Sequence[int]]) -> list[Has]:
    """What all of these have now, by role."""
    found = (has(role, pid) for role, pids in processes.items() for pid in pids)
    return [each for each in found if each is not None]


def least(first: Sequence[Has], second: Sequence[Has]) -> list[Has]:
    """Of two looks within the same rest the fewer descriptors and threads, by process; the newer look's processes.

    Something that was about to be closed is there in one of them.
    """
    known = {each.pid: each for each in first}
    return [
        Has(
            each.role,
            each.pid,
            min(each.descriptors, known.get(each.pid, each).descriptors),
            min(each.threads, known.get(each.pid, each).threads),
            each.memory,
        )
        for each in second
    ]


def folder(path: Path) -> tuple[int, float]:
    """How many entries a folder has, with those below it, and KiB of its files."""
    entries, size = 0, 0
    for each in path.rglob("*"):
        with contextlib.suppress(OSError):  # a file that was just replaced
            entries, size = entries + 1, size + (each.lstat().st_size if each.is_file() else 0)
    return entries, size / 1024


def _count(path: Path) -> int:
    return sum(1 for _ in path.iterdir())
