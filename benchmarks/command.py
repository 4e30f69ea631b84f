"""One `confcast status` as a process: the CPU that it takes, beside a process that only imports msgspec.

A cron job and a health check call it once a minute, on a host that has other work: CPU counts, and not the time that it
waits for the owner. It is asked of a server with workers, and its report goes to a pipe. The kernel's account of the
process that has ended is read (user and system). Rejected: the time that passes (it is that of the scheduler).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.rows import Row, against_peer
from benchmarks.server import served
from benchmarks.timing import Sample, alternate

WORKERS = 4
_CALLS = 3
"""In each round, of each."""
_BAR = 1.5


def measure(rounds: int) -> list[Row]:
    """The medians over the rounds, with three processes of each kind in each."""
    with served(WORKERS) as (server, _, _):
        script = str(Path(sys.executable).with_name("confcast"))
        ask = [script, "status", "--address", server.address]
        found = alternate(_CALLS * rounds, [_cpu(ask), _cpu(["-c", "import msgspec"]), _cpu(["-c", "pass"])])
    status, imports, nothing = found
    return [
        against_peer("confcast status, CPU (ms); peer: import msgspec", status, imports, _BAR),
        against_peer("confcast status, CPU (ms); peer: Python alone", status, nothing),
    ]


def _cpu(arguments: list[str]) -> Sample:
    """A sample that runs Python with these arguments and gives the milliseconds of CPU that it took."""

    def sample() -> float:
        process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{' '.join(arguments)} ended with status {process.returncode}")
        return (usage.ru_utime + usage.ru_stime) * 1000

    return sample
