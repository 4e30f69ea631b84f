"""Which variable has the address of an owner, which is the path of its control socket."""

from __future__ import annotations


def address_variable(name: str) -> str:
    """The environment variable that holds the address of this name's owner."""
    return "CONFCAST_ADDRESS_" + "".join(c if c.isalnum() and c.isascii() else "_" for c in name).upper()
