"""systemd's end of a notify socket, and its states of a service, as `service.c` has them; pure but for the socket.

Guarded here is what a service manager waits for: a RELOADING=1 with a time that is not before its signal, in one
datagram, and a READY=1 after it. A test that waits for the end of a reload fails where `systemctl reload` would hang.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

from tests.support.waiting import DEADLINE

_MOST = 4095  # NOTIFY_BUFFER_MAX is PIPE_BUF: what is longer is ignored


class Said(NamedTuple):
    """One datagram: who sent it, and its lines."""

    pid: int
    fields: dict[str, str]

    def kind(self) -> str:
        """Its first name that is no STATUS; STATUS if there is no other."""
        return next((each for each in self.fields if each not in ("STATUS", "MAINPID", "MONOTONIC_USEC")), "STATUS")


def parsed(pid: int, message: bytes) -> Said:
    """A datagram as systemd takes it; what it would ignore fails."""
    assert len(message) <= _MOST, "systemd ignores so long a message"
    lines = [line.split("=", 1) for line in message.decode().split("\n")]
    assert all(len(line) == 2 for line in lines), message
    return Said(pid, {name: value for name, value in lines})  # noqa: C416 - a line has two parts


class Unit:
    """A service of `Type=notify-reload`: its state, changed by what is said, and by a reload that begins.

    Attributes:
        state: start, running, reload-signal, reload-notify or stop.
        status: The text that `systemctl status` shows.
    """

    def __init__(self, main_pid: int) -> None:
        self.state = "start"
        self.status = ""
        self.main_pid = main_pid
        self._began = 0

    def reload(self, kill: Callable[[int, int], object] = os.kill) -> None:
        """What `systemctl reload` does first."""
        assert self.state == "running", f"systemctl refuses: the unit is {self.state}"
        self._began = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self.state = "reload-signal"
        kill(self.main_pid, signal.SIGHUP)

    def take(self, said: Said) -> None:
        """One datagram. NotifyAccess=main: that of another process is not taken."""
        if said.pid != self.main_pid:
            return
        fields = said.fields
        self.main_pid = int(fields.get("MAINPID", self.main_pid))
        self.status = fields.get("STATUS", self.status)
        if fields.get("STOPPING") == "1":
            self.state = "stop"
        elif self.state == "stop":
            return
        elif fields.get("READY") == "1":
            if self.state in ("start", "reload-notify"):
                self.state = "running"
        elif fields.get("RELOADING") == "1" and self.state == "reload-signal" and self._is_later(fields):
            self.state = "reload-notify"

    def _is_later(self, fields: dict[str, str]) -> bool:
        """Without a time the reload may be one that began before the signal."""
        return int(fields.get("MONOTONIC_USEC", "-1")) >= self._began


class NotifySocket:
    """The socket, as systemd has it: it learns who sends from the kernel.

    Args:
        path: Where it is bound.

    Attributes:
        said: All that came, in its order.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said: list[Said] = []
        self.unit = Unit(0)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)

    def of(self, main_pid: int) -> Self:
        """Begin a unit whose main process this is."""
        self.unit = Unit(main_pid)
        return self

    def receive(self, timeout: float = DEADLINE) -> Said:
        """The next datagram. Raises TimeoutError."""
        self._socket.settimeout(timeout)
        message, credentials, _, _ = self._socket.recvmsg(65536, socket.CMSG_SPACE(12))
        said = parsed(int.from_bytes(credentials[0][2][:4], "little"), message)
        self.said.append(said)
        self.unit.take(said)
        return said

    def await_kind(self, kind: str) -> Said:
        """The next datagram of this kind."""
        while (said := self.receive()).kind() != kind:
            continue
        return said

    def await_state(self, state: str) -> str:
        """The unit's status once it has this state."""
        while self.unit.state != state:
            self.receive()
        return self.unit.status

    def await_status(self, text: str) -> str:
        """The unit's status once this is in it."""
        while text not in self.unit.status:
            self.receive()
        return self.unit.status

    def reload(self) -> str:
        """What `systemctl reload` does, to its end; the status afterwards."""
        self.unit.reload()
        return self.await_state("running")

    def drain(self) -> None:
        """Take what has come by now."""
        try:
            while True:
                self.receive(0.0001)
        except TimeoutError:
            return

    def close(self) -> None:
        self._socket.close()
