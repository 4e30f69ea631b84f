"""What `--follow` needs: a pause between two questions, and an owner that is asked on through restarts.

An owner whose master lives is restarted, so that no answer means only that one waits; the owner of the next generation
is another one, at another address.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from confcast.cli import owners
from confcast.errors import OwnerUnavailable
from confcast.wire.files import lasting_address

T = TypeVar("T")

PAUSE = 0.5
"""Seconds between two questions."""


def unless_restarted(owner: owners.OwnerClient, ask: Callable[[owners.OwnerClient], T]) -> T | None:
    """What the owner answers; None while a living master restarts it.

    Raises OwnerUnavailable when there is no owner any more.
    """
    try:
        return ask(owner)
    except OwnerUnavailable:
        if owner.will_be_restarted():
            return None
        raise


def is_superseded(owner: owners.OwnerClient) -> bool:
    """Whether the owner of the next generation has taken over."""
    found = lasting_address.owner_at(owner.address)
    return found is not None and found.is_superseded()
