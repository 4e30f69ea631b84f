"""`healthcheck` and `unhealthy`, by which an application speaks against the version that it runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from confcast.worker.health.health import Health

H = TypeVar("H", bool, None, Awaitable[bool], Awaitable[None])


class HealthVerbs:
    """What a replica's application can say about its version."""

    __slots__ = ()

    _health: Health

    def healthcheck(self, function: Callable[[], H]) -> Callable[[], H]:
        """Have `function()` called each second in each worker, while the version that runs there may be undone.

            @settings.healthcheck
            def database_answers() -> None:
                with engine.current.connect() as connection:
                    connection.execute(text("select 1"))

        So it is called during a trial in the workers that run the version, while a version is on probation, and while
        a window is open; at no other time. None or True is a yes. False or an error is a no: the config owner is told
        the function's name and the error, with secrets masked, and takes the version back.

        The function runs in a thread of confcast's, pinned to the version that it judges: `settings.current` and what
        is derived of it are that version's. An async one is awaited on the event loop that `await settings.aattach()`
        has bound, and is not called where none is. One that has not answered within 10 seconds is a no, and is not
        called again while that call lasts. In a unit test `fake.healthcheck()` calls all of them once.

        Raises:
            TypeError: The function can't be called.
        """
        self._health.declare(function)
        return function

    def unhealthy(self, reason: str) -> None:
        """Say that the version that is pinned here, or outside a pin the newest one, does not work in this process.

            except PoolTimeout as error:
                settings.unhealthy(f"no connection in 5 s: {error}")

        The config owner is told the reason, with secrets masked and cut to 2,000 characters, and takes the version back
        if it is on trial, on probation or in a window; at any other time it is logged and counted. From any thread;
        waits for nothing, and raises nothing: without an owner the reason is logged, and told to the next one. The same
        reason against the same version is told once a second, with how often it was given; of reasons that differ each
        time, as by a number in them, 32 a second.
        """
        self._health.unhealthy(reason)

    def _serves(self, *, leaves: bool) -> None:
        """Called by middlewares: whether the application in this process is being shut down."""
        self._health.serves(leaves=leaves)
