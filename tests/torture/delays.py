"""How long the machine has kept somebody waiting who was ready to run: the kernel counts that for each thread.

A caller's deadline is kept by programs and threads that need a processor. On a machine that has others to run they come
late by what is counted here, and by nothing else that is excused.

Rejected: to guess it from the load, which says how many wait, and not for how long; and to have deadlines that are long
enough for any machine, which would find nothing on a quiet one.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Ended(NamedTuple):
    """A program that has ended: its exit status, what it has written, and the seconds that it was kept waiting."""

    status: int
    out: bytes
    err: bytes
    waited: float


def of_this_thread() -> float:
    """Seconds that this thread was ready to run, and did not, since its beginning; 0 where no kernel counts it."""
    return _waited("thread-self")


def _waited(who: str) -> float:
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{who}/schedstat").read_text().split()[1]) / 1e9
    return 0.0


def run(line: Sequence[str], within: float) -> Ended | None:
    """A program, to its end; None if it has not ended in so many seconds, and was killed.

    It counts for a process until somebody has taken its exit status: so it is looked at before that is done.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        program = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        try:
            has_ended = _await_end(program.pid, within)
            waited = _waited(str(program.pid))
        finally:
            program.kill()
            program.wait()
        out.seek(0)
        err.seek(0)
        return Ended(program.returncode, out.read(), err.read(), waited) if has_ended else None


def _await_end(pid: int, within: float) -> bool:
    file = os.pidfd_open(pid)
    try:
        return bool(select.select([file], [], [], within)[0])
    finally:
        os.close(file)
