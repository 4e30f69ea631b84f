"""The side of a take-over that is replaced: it listens for a successor, and gives its place away.

A thread accepts successors, and one more hears the one that has its turn; both sleep until somebody comes. What the
process does once it is superseded happens in its main thread, which is told by `on_superseded`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from confcast.errors import ConfcastError
from confcast.log_fields import about
from confcast.master.embedded import EmbeddedManager
from confcast.serve.address_link import AddressLink, AddressRefused
from confcast.serve.succession import PROTOCOL, Moved, Noted, Paused, Pipe, Refused, Serves, TakeOver
from confcast.wire.files import owner_dirs
from confcast.wire.files.about import load
from confcast.wire.files.owner_dirs import HANDOVER, TAKE_OVER
from confcast.wire.listener import SOCKET, peer_of
from confcast.wire.signal_mask import block_signals

_log = logging.getLogger("confcast.serve")

_ASKS_WITHIN = 10.0
"""Seconds for the first message of a process that has connected."""
_TURN_ENDS_WITHIN = 0.5
"""Seconds that a process waits for its turn: who has just been answered may ask again before its first turn is over."""
_LONGEST_TURN = 600.0
_NOTED_WITHIN = 5.0
"""Seconds for the last message of a successor that serves already: one that is stopped just then has taken over."""
_AGAIN = 0.5
"""Seconds after which a successor is accepted again, where no descriptor was left."""
_COPIED_WITHIN = 5.0
"""Seconds within which an owner that has died in its pause is replaced by one that leaves a copy of its journal."""
_ENDS_WITHIN = 10.0
"""Seconds for what this process ends before the successor begins it."""


class Former:
    """Listens for successors from `start` to `close`. The methods are for the main thread.

    Args:
        manager: The manager, which has started.
        link: The lasting address; None where there is none.
        on_superseded: Called in a thread of its own once a successor has taken over: with its pid, whether the workers
            follow, and what to call when all is ended that the successor will begin.
        refusal: Why no successor can take over, in words; "" if one can.
    """

    def __init__(
        self,
        manager: EmbeddedManager[object],
        link: AddressLink | None,
        on_superseded: Callable[[int, bool, Callable[[], object]], None],
        refusal: str = "",
    ) -> None:
        self._manager = manager
        self._link = link
        self._on_superseded = on_superseded
        self._refusal = refusal
        self._folder = Path(manager.address).parent
        self._turn = threading.Lock()  # held by the thread that hears a successor
        self._pipe: Pipe | None = None
        self._superseded = self._closed = False
        self._ended = threading.Event()  # all is ended that the successor will begin
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._starter = threading.get_native_id()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to listen; successors have to come again until `open`. Raises OSError."""
        self._turn.acquire()
        path = self._folder / TAKE_OVER
        path.unlink(missing_ok=True)
        self._listener.bind(os.fspath(path))
        path.chmod(0o600)
        self._listener.listen(16)
        self._begin(self._accept)

    def open(self) -> None:
        """Hear successors from now on."""
        self._turn.release()

    def close(self) -> None:
        """Listen no more, and end the turn of a successor: it sees the pipe's end. May come without `start`."""
        self._closed = True
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        if (pipe := self._pipe) is not None:
            pipe.interrupt()
        for thread in self._threads:
            thread.join(_ENDS_WITHIN)
        self._listener.close()

    # ---- the threads

    def _begin(self, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, name="confcast-succession", daemon=True)
        self._threads = [*(each for each in self._threads if each.is_alive()), thread]
        thread.start()

    def _accept(self) -> None:
        block_signals(self._starter)
        self._starter = threading.get_native_id()
        while not self._closed:
            try:
                connection, _ = self._listener.accept()
            except OSError as error:
                if not self._closed:  # no descriptor is left; who connects waits
                    _not_heard(error)
                    time.sleep(_AGAIN)
                continue
            try:
                self._begin(self._hear, connection)
            except RuntimeError as error:  # no thread can be started
                _not_heard(error)
                connection.close()

    def _hear(self, connection: socket.socket) -> None:
        block_signals(self._starter)
        with connection:
            pipe = Pipe(connection)
            try:
                if peer_of(connection).uid != os.geteuid():
                    return
                ask = pipe.receive(_ASKS_WITHIN)
                if isinstance(ask, TakeOver):
                    self._answer(pipe, ask, peer_of(connection).pid)
            except (OSError, ConfcastError) as error:
                _not_heard(error)

    def _answer(self, pipe: Pipe, ask: TakeOver, pid: int) -> None:
        if not self._turn.acquire(timeout=_TURN_ENDS_WITHIN):
            pipe.send(Refused("it is being taken over by another process, or has just begun"))
            return
        try:
            why = self._refusal
            if ask.protocol != PROTOCOL:
                why = "it runs another version of confcast, with another way of taking over: stop it, and start anew"
            if self._superseded or why:
                pipe.send(Refused(why, superseded=self._superseded))
                return
            self._pipe = pipe
            self._give_way(pipe, ask, pid)
        finally:
            self._pipe = None
            self._turn.release()

    def _give_way(self, pipe: Pipe, ask: TakeOver, pid: int) -> None:
        """Pause, and give the place away if the successor comes to serve; else load again."""
        text = "process %d takes over: nothing is loaded here until it serves or has given up"
        _log.info(text, pid, extra=about("take_over_begun", pid=pid))
        successor: Path | None = None
        try:
            self._pause()
            pipe.send(Paused(str(self._folder), str(self._link.path) if self._link is not None else ""))
            serves = pipe.receive(min(ask.within, _LONGEST_TURN))
            if isinstance(serves, Serves):
                successor = Path(serves.folder)
                self._move(pipe, successor, pid)
        except AddressRefused as error:
            with contextlib.suppress(OSError):
                pipe.send(Refused(str(error)))
        except ConfcastError as error:  # the owner is not idle in time, or is gone
            with contextlib.suppress(OSError):
                pipe.send(Refused(f"its owner can't be paused: {error}"))
        except TimeoutError:
            with contextlib.suppress(OSError):
                pipe.send(Refused(f"it has waited for {ask.within:g} s"))
        except OSError as error:
            _not_heard(error)
        if not self._superseded and not self._closed:
            self._go_on(successor, pid)

    def _pause(self) -> None:
        """Pause the owner, so that it leaves a copy of its journal: what is held or set by hand must not be lost.

        An owner that dies meanwhile is replaced by one that is asked again. Raises AddressRefused, ConfcastError.
        """
        deadline = time.monotonic() + _COPIED_WITHIN
        while True:
            asked = self._manager.owner_pid
            self._manager.pause()
            if (self._folder / HANDOVER).exists():
                return
            if self._manager.owner_pid == asked and self._manager.owner_lives():
                raise AddressRefused("its owner could not write a copy of its journal; its log says why")
            if self._closed or time.monotonic() > deadline:
                raise AddressRefused("its owner is down: end that process, and start this one anew")
            time.sleep(_AGAIN)

    def _move(self, pipe: Pipe, successor: Path, pid: int) -> None:
        if owner_dirs.parse(successor) is None:
            raise AddressRefused(f"{successor} is no runtime directory")
        follow = _fingerprint(self._folder) == _fingerprint(successor) != b""
        if self._link is not None:
            self._link.take(f"{successor}/{SOCKET}", instead_of=self._folder)
        workers = [each.pid for each in self._manager.workers()]  # only now: whoever comes later finds the successor
        pipe.send(Moved(workers, follow))
        try:
            noted = isinstance(pipe.receive(_NOTED_WITHIN), Noted)
        except TimeoutError:  # it is stopped, and goes on from here once it continues
            noted = True
        if noted and not self._closed:
            self._superseded = True
            self._on_superseded(pid, follow, self._ended.set)
            self._ended.wait(_ENDS_WITHIN)

    def _go_on(self, successor: Path | None, pid: int) -> None:
        """Load again, since the successor has given up. If the address leads to it, it leads here again."""
        if self._link is not None and successor is not None:
            try:
                self._link.take(self._manager.address, instead_of=successor)
            except AddressRefused as error:
                _log.error("%s", error, extra=about("address_lost", address=self._link.path, error=error))
        with contextlib.suppress(ConfcastError):  # the manager is closed meanwhile
            self._manager.unpause()
        text = "process %d has not taken over: this one goes on as before"
        _log.warning(text, pid, extra=about("take_over_called_off", pid=pid))


def _not_heard(error: Exception) -> None:
    _log.debug("a successor was not heard: %s", error, extra=about("successor_lost", error=error))


def _fingerprint(folder: Path) -> bytes:
    """The fingerprint of the schema of the owner in this folder; empty if it is not known."""
    written = load(folder)
    return b"" if written is None else written.fingerprint
