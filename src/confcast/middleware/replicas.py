"""What the middlewares share: `check` refuses a mistake early, `pin_all` makes a request's pin, `renewing` renews it.

A pin that ends counts its request for its version; the middlewares set `failed` on it for a status of 500 or more, and
for an exception that the application lets through. A client that goes away is no failure of the application's:
`is_failure` knows the errors by which frameworks and servers tell the application so, by their names.

A middleware for one replica enters that replica's own pin, with nothing around it. Rejected: `ExitStack` (0.9 µs at
each request; what it is for can't happen here: closing a pin never raises).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Protocol, TypeVar

from confcast import Replica

R = TypeVar("R")


class RequestPin(Protocol):
    """What a middleware pins a request with. For one use.

    Attributes:
        failed: Whether the request is counted as failed.
    """

    failed: bool

    def __enter__(self) -> Any: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def renew(self) -> None:
        """Move to the newest versions."""


def check(replicas: tuple[Any, ...], websocket: str = "message") -> None:
    """Raise TypeError if one of them is no Replica, ValueError if `websocket` has no such value."""
    if websocket not in ("message", "connection"):
        raise ValueError(f"websocket={websocket!r}: 'message' or 'connection' is expected")
    for given in replicas:
        if not isinstance(given, Replica):
            raise TypeError(
                f"Pin(app, {given!r}): a Replica is expected, the object that this process reads its configuration of"
            )


_DISCONNECTS = frozenset({"ClientDisconnect", "ClientDisconnected", "ClientConnectionResetError", "RSGIProtocolClosed"})
"""The classes of errors that say that the client has gone: starlette's, uvicorn's, aiohttp's and granian's."""


def is_failure(error: BaseException) -> bool:
    """Whether an exception that the application lets through counts against its version.

    Not what ends a task or a process from outside (CancelledError, SystemExit), and not that the client has gone.
    """
    if isinstance(error, BaseExceptionGroup):
        return any(map(is_failure, error.exceptions))
    return isinstance(error, Exception) and not any(base.__name__ in _DISCONNECTS for base in type(error).__mro__)


def renewing(pins: Iterable[RequestPin], receive: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Wrap the function by which a WebSocket receives: each message renews the pins."""

    async def receive_and_renew(*arguments: Any, **options: Any) -> Any:
        message = await receive(*arguments, **options)
        for pin in pins:
            pin.renew()
        return message

    return receive_and_renew


def pin_all(replicas: tuple[Replica[Any], ...], request: R, headers_of: Callable[[R], Mapping[str, str]]) -> RequestPin:
    """A pin of these replicas. Raises NotAttached: one of them is not attached; then none is pinned.

    `headers_of(request)` gives its headers, to find the entity that it is for; called only while that is asked for.
    """
    return replicas[0]._pin_for(request, headers_of) if len(replicas) == 1 else _Pins(replicas, request, headers_of)


class _Pins:
    """Pins of several replicas, or of none, as one."""

    __slots__ = ("_pins", "failed")

    def __init__(
        self, replicas: tuple[Replica[Any], ...], request: R, headers_of: Callable[[R], Mapping[str, str]]
    ) -> None:
        self.failed = False
        self._pins = [replica._pin_for(request, headers_of) for replica in replicas]

    def __enter__(self) -> None:
        try:
            for pin in self._pins:
                pin.__enter__()
        except BaseException:  # such as a time limit's, which a signal raises
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failed = self.failed or (error is not None and is_failure(error))
        for pin in reversed(self._pins):
            pin.failed = failed
            pin.__exit__(None, None, None)

    def renew(self) -> None:
        for pin in self._pins:
            pin.renew()
