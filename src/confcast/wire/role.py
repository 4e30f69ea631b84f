"""The role of this process: a config owner, one that was to be an owner, or a program that can become one.

An owner imports the user's schema module, with the code at its top level. If that attaches or starts a manager, the
owner would wait for itself; so both are refused there in words. They are refused, too, in a process that was started to
be an owner and is none: its program has ignored its arguments and run from the beginning, where it would start the
next owner, without end.
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
    """Note that this process is an owner; called by the owner's main program."""
    global _owner
    _owner = True


def pass_entry() -> None:
    """Note that this program becomes an owner when it is started as one: it has called `owner_main()`."""
    global _entry
    _entry = True


def has_entry() -> bool:
    """Whether this program has called `owner_main()`."""
    return _entry


def refuse_in_owner(what: str) -> None:
    """Raise ConfcastError when this process is an owner, or was started to be one."""
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
    """Whether the system's command line of this process is an owner's; an embedding program gives Python another."""
    try:
        arguments = Path("/proc/self/cmdline").read_bytes().split(b"\0")
    except OSError:  # no such file on macOS
        arguments = [argument.encode(errors="surrogateescape") for argument in sys.orig_argv]
    name = OWNER.encode()
    return name in arguments and b"".join(arguments[arguments.index(name) + 1 :][:1]).isdigit()
