"""What a master and its owner say to each other, and two servers of which one takes the other's place.

An input is what comes, as a body of a frame. Declared: ProtocolError (`wire/master_channel.py`, `serve/succession.py`).
What is read can be sent on, and is then read as the same; no secret of the options is in its repr.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from confcast.errors import Problem, ProtocolError
from confcast.serve import succession
from confcast.wire import master_channel
from confcast.wire.framing import frame
from confcast.wire.master_channel import MasterChannel
from confcast.wire.options import Options
from tests.fuzz.bounds import Finding

FORM = "msgpack"
SENTINEL = "Hunter2"
_STARTED = master_channel.StartupConfig(
    options=Options(name="app"),
    loader=SENTINEL.encode(),
    folder="/run/app",
    state_folder="",
    durable=False,
    master_pid=7,
    master_started=17,
    sys_path=[b"/srv"],
    working_directory="/srv",
)
_OF_MASTERS = (
    _STARTED,
    *(master_channel.Leave(), master_channel.Pause(1, on=True), master_channel.Paused(1), master_channel.Superseded()),
    *(master_channel.Expect([7, 8]), master_channel.Ready(3, [Problem("a", "no", "f:1:1")], "why", 17.0)),
)
_OF_SERVERS = (
    *(succession.TakeOver(succession.PROTOCOL, 5.0), succession.Paused("/run/a", ""), succession.Serves("/run/b")),
    *(succession.Moved([7], follow=True), succession.Noted(), succession.Refused("why", superseded=True)),
)
TOKENS = sorted({type(each).__name__.encode() for each in (*_OF_MASTERS, *_OF_SERVERS)})


class Once:
    """A connection on which this comes, and then the end."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def settimeout(self, seconds: float) -> None:
        pass

    def recv(self, most: int) -> bytes:
        found, self._content = self._content[:most], self._content[most:]
        return found


def _of_a_master(body: bytes) -> Any:
    connection: Any = Once(frame(body))
    return MasterChannel(connection).receive()


def _of_a_server(body: bytes) -> Any:
    connection: Any = Once(frame(body))
    return succession.Pipe(connection).receive(1.0)


_READERS: tuple[Callable[[bytes], Any], ...] = (_of_a_master, _of_a_server)


def seeds():
    return [msgspec.msgpack.encode(message) for message in (*_OF_MASTERS, *_OF_SERVERS)]


def one(data: bytes) -> None:
    for read in _READERS:
        try:
            message = read(data)
        except ProtocolError:
            continue
        again = msgspec.msgpack.encode(message)
        assert msgspec.msgpack.encode(read(again)) == again
        if SENTINEL in repr(message) and data.count(SENTINEL.encode()) == 1 and _is_secret(message):
            raise Finding(f"it shows what is for its owner alone: {message}")


def _is_secret(message: object) -> bool:
    return isinstance(message, master_channel.StartupConfig) and SENTINEL.encode() in message.loader
