"""`check` looks at the replicas that a middleware is given, so that a mistake raises before the first request."""

from __future__ import annotations

from typing import Any

from confcast import Replica


def check(replicas: tuple[Any, ...]) -> None:
    """Raise TypeError if one of them is no Replica."""
    for given in replicas:
        if not isinstance(given, Replica):
            raise TypeError(
                f"Pin(app, {given!r}): a Replica is expected, the object that this process reads its configuration of"
            )
