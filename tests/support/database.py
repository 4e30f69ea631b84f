"""What the database pool's recipe connects to: it answers every question with its name."""

from __future__ import annotations

import selectors
import socket
import threading
from types import TracebackType


class Database:
    """Listens on a port of its own, in a thread, from `with` to its end.

    Args:
        name: What it answers.
    """

    def __init__(self, name: str) -> None:
        self.ever = 0
        self._name = name
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._waker, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._open)

    def __enter__(self) -> Database:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waker.close()
        self._thread.join()
        for each in (*self._open, self._listener, self._woken, self._selector):
            each.close()

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    return
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._answer(key.fileobj)  # type: ignore[arg-type]

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        self.ever += 1
        self._open.add(connection)
        self._selector.register(connection, selectors.EVENT_READ)

    def _answer(self, connection: socket.socket) -> None:
        try:
            asked = connection.recv(1)
        except ConnectionError:
            asked = b""
        if asked:
            connection.sendall(self._name.encode())
            return
        self._selector.unregister(connection)
        connection.close()
        self._open.remove(connection)
