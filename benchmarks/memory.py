"""What attaching adds to a worker, what the owner takes, and what a history of 100 reloads weighs.

A worker's share is counted in private dirty pages (what the machine needs for one more worker; the code of libraries
is shared), the owner as the resident size that `ps` shows. An event weighs what its row in the journal holds: the
owner keeps no other copy. After 100 reloads, so that what a reload leaves behind is in the figures.
"""

from __future__ import annotations

import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from benchmarks.rows import Row, against_limit
from benchmarks.server import NAME, PATIENCE, manager

_WORKERS = 4
_EVENTS = 100


def measure(rounds: int) -> list[Row]:
    """One server, 100 reloads; memory does not get more exact by repeating it."""
    import msgspec

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="confcast-bench-")))
        server, document = stack.enter_context(manager(folder, history_limit=_EVENTS))
        crew = [stack.enter_context(_worker()) for _ in range(_WORKERS)]
        before = [_say(worker, "attach") for worker in crew]
        for _ in range(_EVENTS):
            document.turn()
            if not server.reload():
                raise RuntimeError("a reload failed, so there is nothing to measure")
        added = [_say(worker, "measure") - base for worker, base in zip(crew, before, strict=True)]
        owner = _resident_kib(server.owner_pid)
        events = server.get_event_history()
    kib = sum(len(msgspec.msgpack.encode(event)) for event in events) / 1024
    return [
        against_limit("attaching, private memory of a worker (MiB)", median(added) / 1024, 3.0),
        against_limit("owner, resident (MiB)", owner / 1024, 50.0),
        against_limit(f"{len(events)} events in the journal (KiB)", kib, 50.0),
    ]


@contextmanager
def _worker() -> Iterator[subprocess.Popen[str]]:
    """A process that has imported msgspec, pydantic and the schema, and no more yet."""
    command = [sys.executable, "-m", "benchmarks.memory_worker", NAME]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        with process:
            yield process
    finally:
        process.kill()


def _say(worker: subprocess.Popen[str], word: str) -> int:
    """What the worker answers: a number of KiB."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    print(word, file=worker.stdin, flush=True)
    if not select.select([worker.stdout], [], [], PATIENCE)[0]:
        raise TimeoutError(f"a worker did not answer {word!r} within {PATIENCE:g} s")
    return int(worker.stdout.readline())


def _resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
