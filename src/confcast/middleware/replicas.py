"""What a middleware is given to pin, looked at where it is given: the first request would be late to complain."""

from __future__ import annotations

from typing import Any

from confcast import Replica


def check(replicas: tuple[Any, ...]) -> None:
    """Raises TypeError: one of them is no replica."""
    for given in replicas:
        if not isinstance(given, Replica):
            raise TypeError(
                f"Pin(app, {given!r}): a Replica is expected, the object that this process reads its configuration of"
            )
