"""How an owner's process ended, in words: its exit status or its signal, the last that it wrote, and what to do.

An owner that could say why it does not start has said so on the leash. What remains are ends without a word: a signal
of the kernel's, `os._exit()` in a module that the schema imports, an interpreter that can't even begin. Rejected: a
pipe in the place of its standard error (who writes into it when the master is gone?), and `waitpid` without WNOWAIT
(whoever reaps the process must find its status).
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys

from confcast.master.execute import Output
from confcast.texts import printable
from confcast.wire.processes import Death

_MOST_BYTES = 4096
_MOST_LINES = 5
_ADVICE = {
    signal.SIGKILL: "look whether it was the kernel, for want of memory (dmesg, or the memory limit of the container)",
    **dict.fromkeys(
        (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT),
        "a compiled module that it imports has crashed; PYTHONFAULTHANDLER=1 shows where",
    ),
}
_CHECK = "`python -m confcast check --loader MODULE:NAME` does in the foreground what it did"


def how(dead: Death) -> str:
    """The end of this process, which is dead: `exit status 3`, `killed by SIGKILL`; empty when nobody can tell."""
    if sys.platform != "linux":
        return ""
    try:
        ended = os.waitid(os.P_PIDFD, dead.fileno(), os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except OSError:  # somebody else, such as a prefork master, has taken its status
        return ""
    if ended is None:
        return ""
    if ended.si_code == os.CLD_EXITED:
        return f"exit status {ended.si_status}"
    return f"killed by {_name_of(ended.si_status)}"


def advice(ending: str) -> str:
    """What to do about it."""
    found = [words for number, words in _ADVICE.items() if ending.endswith(f" {number.name}")]
    return "; ".join([*found, _CHECK])


def written(output: Output) -> int:
    """How far the output has been written, where it is a regular file; -1 where it can't be read back."""
    try:
        status = os.fstat(output())
    except (OSError, ValueError):
        return -1
    return status.st_size if stat.S_ISREG(status.st_mode) else -1


def last_lines(output: Output, begin: int) -> str:
    """The last few lines that were written from there on; empty where they can't be read back."""
    if begin < 0:
        return ""
    with contextlib.suppress(OSError, ValueError):
        fd = os.open(f"/dev/fd/{output()}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            end = os.fstat(fd).st_size
            text = os.pread(fd, _MOST_BYTES, max(begin, end - _MOST_BYTES)).decode(errors="backslashreplace")
        finally:
            os.close(fd)
        lines = [printable(line) for line in text.splitlines() if line.strip()]
        return "\n".join(lines[-_MOST_LINES:])
    return ""


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
