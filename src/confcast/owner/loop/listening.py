"""The sockets on which an owner accepts: its control socket, and one that outlives owners where it was passed one.

A socket is watched by the loop's selector, but not while no descriptor is left for a connection: it would stay
readable, and the loop would spin. Connections wait in it until `watch` is called again.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable


class Listening:
    """The listening sockets of one loop. For the loop's thread.

    Args:
        selector: The loop's selector.
        control: The control socket.
        passed: The other one; None for none.
        accept: Accepts all connections that wait on a socket; returns False when no descriptor is left.
        retry_later: Called then: `watch` must be called later.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        control: socket.socket,
        passed: socket.socket | None,
        accept: Callable[[socket.socket], bool],
        retry_later: Callable[[], None],
    ) -> None:
        self._selector = selector
        self._sockets = [control] if passed is None else [control, passed]
        self._accept = accept
        self._retry_later = retry_later

    def watch(self) -> None:
        """Watch each socket that is not watched."""
        for each in self._sockets:
            if not self._is_watched(each):
                self._selector.register(each, selectors.EVENT_READ, lambda mask, each=each: self._ready(each))

    def accept_all(self) -> None:
        """Accept all connections that wait now, on the sockets that are watched."""
        for each in self._sockets:
            if self._is_watched(each):
                self._ready(each)

    def replace(self, control: socket.socket) -> None:
        """Close the control socket, and watch this one in its place."""
        former, self._sockets[0] = self._sockets[0], control
        self._unwatch(former)
        former.close()
        self.watch()

    def close(self) -> None:
        """Close the sockets. What waits on the one that outlives this owner waits for the next owner."""
        for each in self._sockets:
            self._unwatch(each)
            each.close()

    def _is_watched(self, listening: socket.socket) -> bool:
        return listening in self._selector.get_map()

    def _unwatch(self, listening: socket.socket) -> None:
        if self._is_watched(listening):
            self._selector.unregister(listening)

    def _ready(self, listening: socket.socket) -> None:
        if not self._accept(listening):
            self._unwatch(listening)
            self._retry_later()
