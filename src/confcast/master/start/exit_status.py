"""How an owner's process ended, in words: its exit status or its signal, and what to do.

An owner that could say why it does not start has said so on the leash. What remains are ends without a word: a signal
of the kernel's, `os._exit()` in a module that the schema imports, an interpreter that can't even begin. The last that
it wrote is boot_output.py's. Rejected: `waitpid` without WNOWAIT (whoever reaps the process must find its status).
"""

from __future__ import annotations

import os
import signal
import sys

from confcast.wire.processes import Death

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


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
