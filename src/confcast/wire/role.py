"""Whether this process is a config owner, was to be one, or could make one of its own program.

An owner imports the user's schema module, and with it whatever stands at its top level. A module that attaches or
starts a manager there would have the owner wait for itself; it is refused in words instead. So it is in a process that
was started to be an owner and is none: its program takes no notice of its arguments, and has run from the beginning,
where it would start the next one, without end.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from confcast.errors import ConfcastError

OWNER = "confcast.owner"
"""What every owner has among its arguments, and `ps` shows; the number of its end of the leash follows."""

BLOCKED_AT_THE_START = frozenset(
    {signal.SIGHUP, signal.SIGUSR1, signal.SIGRTMIN} if sys.platform == "linux" else {signal.SIGHUP, signal.SIGUSR1}
)
"""What a server's master, or who ends a service's log files, may send before the owner has its handlers."""

_owner = False
_entry = False


def become_owner() -> None:
    """From now on this process is one; called by its main program."""
    global _owner
    _owner = True


def pass_entry() -> None:
    """This program becomes an owner at its beginning, when it is started as one."""
    global _entry
    _entry = True


def has_entry() -> bool:
    """Whether it does."""
    return _entry


def refuse_in_owner(what: str) -> None:
    """Raises ConfcastError when this process is an owner, or was started to be one."""
    if _owner:
        raise ConfcastError(
            f"{what} was called in a module imported by the config owner; guard it with if __name__ == '__main__'"
        )
    if _was_to_be_owner():
        raise ConfcastError(
            f"{what} was called in a process that was started to be a config owner: {sys.executable or 'its program'} "
            "is no Python interpreter, and has run its own program again instead. Name an interpreter by the "
            "manager's executable=; a program that is frozen calls confcast.owner_main() before anything else"
        )


def _was_to_be_owner() -> bool:
    """By the command line as the system has it: what an embedding program gives to Python is another one."""
    try:
        arguments = Path("/proc/self/cmdline").read_bytes().split(b"\0")
    except OSError:  # no such file on macOS
        arguments = [argument.encode(errors="surrogateescape") for argument in sys.orig_argv]
    name = OWNER.encode()
    return name in arguments and b"".join(arguments[arguments.index(name) + 1 :][:1]).isdigit()
