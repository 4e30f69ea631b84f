"""Which manager of this process has which name: two of one name would share an address variable, and one replica.

Rejected: telling by the variable itself (a program that replaces itself by `exec` inherits it, and its own pid).
"""

from __future__ import annotations

import os
from typing import Protocol

from confcast.errors import ConfcastError
from confcast.wire.address import address_variable


class NameHolder(Protocol):
    """A manager."""

    @property
    def name(self) -> str:
        """The configuration's."""

    def is_mine(self) -> bool:
        """Whether it is started, in this process."""


_holders: dict[tuple[int, str], NameHolder] = {}  # by process, since a forked child inherits it, and by variable


def take(holder: NameHolder, former: NameHolder | None) -> None:
    """From now on this is the one. Raises ConfcastError when another than `former` is."""
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
    """It is not any more; the former one is again, if it has not ended."""
    key = _key(holder)
    if _holders.get(key) is holder:
        if former is not None and former.is_mine():
            _holders[key] = former
        else:
            del _holders[key]


def _key(holder: NameHolder) -> tuple[int, str]:
    return os.getpid(), address_variable(holder.name)
