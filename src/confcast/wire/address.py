"""The address of an owner, and the environment variable that holds it.

An address is the path of a control socket. Where a process attaches, and in the variable, the configuration's name may
be given instead: the owner is looked for by the name, which stays over full reloads and restarts of the server.
"""

from __future__ import annotations


def address_variable(name: str) -> str:
    """The environment variable that holds the address of this name's owner."""
    return "CONFCAST_ADDRESS_" + "".join(c if c.isalnum() and c.isascii() else "_" for c in name).upper()


def is_name(address: str, name: str) -> bool:
    """Whether this address is the name of this or any configuration: a control socket's path has a slash."""
    return address == name or "/" not in address
