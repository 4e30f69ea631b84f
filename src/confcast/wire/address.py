"""What the address of an owner is, and which variable has it.

An address is the path of a control socket. Where a process attaches, and in the variable, the configuration's name may
stand instead: it lasts over full reloads and restarts of the server, and the owner is looked for by it.
"""

from __future__ import annotations


def address_variable(name: str) -> str:
    """The environment variable that holds the address of this name's owner."""
    return "CONFCAST_ADDRESS_" + "".join(c if c.isalnum() and c.isascii() else "_" for c in name).upper()


def is_name(address: str, name: str) -> bool:
    """Whether it is the name of this configuration, or of any: a control socket's path has a slash."""
    return address == name or "/" not in address
