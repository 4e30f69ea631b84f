"""The role of this process: a config owner, a process that failed to become one, or a program that can become one.

An owner imports the user's schema module, with the code at its top level. If that code attaches or starts a manager,
the owner would wait for itself; so both are refused in an owner, with an explanation. Both are refused, too, in a
process that was started as an owner and is none: its program has ignored its arguments and runs from its beginning,
where it would start the next owner, and so on without end.
"""

from __future__ import annotations

import sys
from pathlib import Path

from confcast.errors import ConfcastError

OWNER = "confcast.owner"
"""An argument of every owner, which `ps` shows; the descriptor of its end of the channel follows."""


_owner = False
_entry = False


def become_owner() -> None:
    """Note that this process is an owner. Called by the owner's main program."""
    global _owner
    _owner = True


def pass_entry() -> None:
    """Note that this program becomes an owner if it is started as one, since it has called `owner_main()`."""
    global _entry
    _entry = True


def has_entry() -> bool:
    """Whether this program has called `owner_main()`."""
    return _entry


def refuse_in_owner(what: str) -> None:
    """Raise ConfcastError if this process is an owner, or was started as one."""
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
    """Whether the system has an owner's command line for this process: an embedding program gives Python another."""
    try:
        arguments = Path("/proc/self/cmdline").read_bytes().split(b"\0")
    except OSError:  # macOS has no such file
        arguments = [argument.encode(errors="surrogateescape") for argument in sys.orig_argv]
    name = OWNER.encode()
    return name in arguments and b"".join(arguments[arguments.index(name) + 1 :][:1]).isdigit()
