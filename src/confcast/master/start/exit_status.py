"""The words for the end of an owner's process: its exit status or signal, and what to do about it.

An owner that can say why it does not start sends the reason on the channel. It can't after a signal from the kernel, an
`os._exit()` in a module that the schema imports, or if the interpreter can't begin; startup_output.py has what such an
owner wrote last. Rejected: `waitpid` without WNOWAIT (the process that reaps the owner must find its status).
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
    """How this dead process ended: `exit status 3`, `killed by SIGKILL`; empty if its status can't be read."""
    if sys.platform != "linux":
        return ""
    try:
        ended = os.waitid(os.P_PIDFD, dead.fileno(), os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except OSError:  # another process, such as a prefork master, has reaped it
        return ""
    if ended is None:
        return ""
    if ended.si_code == os.CLD_EXITED:
        return f"exit status {ended.si_status}"
    return f"killed by {_name_of(ended.si_status)}"


def advice(ending: str) -> str:
    """What an operator can do about an ending, which is a text that `how` returned."""
    found = [words for number, words in _ADVICE.items() if ending.endswith(f" {number.name}")]
    return "; ".join([*found, _CHECK])


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
