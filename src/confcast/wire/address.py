"""The address of an owner, and the environment variable that holds it.

An address is the path of a control socket. `attach()` and the variable may have the configuration's name instead: then
the owner is searched by that name, which stays the same over full reloads and restarts of the server.
"""

from __future__ import annotations


def address_variable(name: str) -> str:
    """The environment variable that holds the address of the owner of the configuration `name`."""
    return "CONFCAST_ADDRESS_" + "".join(c if c.isalnum() and c.isascii() else "_" for c in name).upper()


def is_name(address: str, name: str) -> bool:
    """Whether this address is a configuration's name, any or that of `name`: a control socket's path has a slash."""
    return address == name or "/" not in address


def snapshot_variable(name: str) -> str:
    """The environment variable that says where the version of `name` is that a process inherits (`confcast exec`)."""
    return address_variable(name).replace("ADDRESS", "SNAPSHOT", 1)
