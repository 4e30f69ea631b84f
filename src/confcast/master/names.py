"""This process's managers, by name. Two of one name would share an address variable and a replica: one is refused.

Rejected: testing the variable itself (a program that replaces itself by `exec` inherits it, and keeps its pid).
"""

from __future__ import annotations

import os
from typing import Protocol

from confcast.errors import ConfcastError
from confcast.wire.address import address_variable


class NameHolder(Protocol):
    """The methods of a manager that are used here."""

    name: str


_holders: dict[tuple[int, str], NameHolder] = {}  # by process, since a forked child inherits this, and by variable


def take(holder: NameHolder, former: NameHolder | None) -> None:
    """Reserve the name for this manager. Raises ConfcastError if another manager than `former` has it."""
    key = _key(holder)
    present = _holders.setdefault(key, holder)
    if present is former:
        _holders[key] = holder
    elif present is not holder:
        raise ConfcastError(
            f"this process has started a manager {present.name!r} already, and {key[1]} has its address: use that one, "
            f"close it first, or give this one another name than {holder.name!r}"
        )


def give_back(holder: NameHolder, former: NameHolder | None) -> None:
    """Release the name; if there is a former manager that still serves, it gets the name back."""
    key = _key(holder)
    if _holders.get(key) is holder:
        if former is not None:
            _holders[key] = former
        else:
            del _holders[key]


def _key(holder: NameHolder) -> tuple[int, str]:
    return os.getpid(), address_variable(holder.name)
