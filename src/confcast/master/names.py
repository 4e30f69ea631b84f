"""The managers of this process, by name. Two of one name would share an address variable and a replica: one is refused.

Rejected: going by the variable itself (a program that replaces itself by `exec` inherits it, and keeps its pid).
"""

from __future__ import annotations

import os
from typing import Protocol

from confcast.errors import ConfcastError
from confcast.wire.address import address_variable


class NameHolder(Protocol):
    """A manager."""

    name: str


_holders: dict[tuple[int, str], NameHolder] = {}  # by process, since a forked child inherits it, and by variable


def take(holder: NameHolder, former: NameHolder | None) -> None:
    """Give this manager its name. Raises ConfcastError when another manager than `former` has it."""
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
    """Give the name back: to the former manager, where there is one that still serves."""
    key = _key(holder)
    if _holders.get(key) is holder:
        if former is not None:
            _holders[key] = former
        else:
            del _holders[key]


def _key(holder: NameHolder) -> tuple[int, str]:
    return os.getpid(), address_variable(holder.name)
