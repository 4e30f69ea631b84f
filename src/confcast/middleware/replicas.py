"""What the middlewares share: the check of what they are given, and pins that a WebSocket's messages renew."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from confcast import Replica


class Renewable(Protocol):
    """What `Replica.pin()` gives."""

    def renew(self) -> None:
        """Give this pin the newest version."""


def check(replicas: tuple[Any, ...], websocket: str = "message") -> None:
    """Raise TypeError if one of them is no Replica, ValueError if `websocket` has no such value."""
    if websocket not in ("message", "connection"):
        raise ValueError(f"websocket={websocket!r}: 'message' or 'connection' is expected")
    for given in replicas:
        if not isinstance(given, Replica):
            raise TypeError(
                f"Pin(app, {given!r}): a Replica is expected, the object that this process reads its configuration of"
            )


def renewing(pins: Iterable[Renewable], receive: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Wrap the function by which a WebSocket receives: each message renews the pins."""

    async def receive_and_renew(*arguments: Any, **options: Any) -> Any:
        message = await receive(*arguments, **options)
        for pin in pins:
            pin.renew()
        return message

    return receive_and_renew
