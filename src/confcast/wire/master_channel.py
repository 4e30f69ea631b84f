"""The channel between a master and its owner, a socket pair that the owner is started with, and its messages.

master → owner: one `StartupConfig` first, `Pause` around the start of a next generation, and at the end `Leave`.
owner → master: one `Ready`, one `Paused` for each Pause that is not withdrawn before the owner is idle. The owner
notices the master's death by a pidfd, since a child of the master's may hold the channel open; the channel's end shows
a master that has become another program (`exec` keeps the pid, and no manager). Rejected: arguments on the command
line (they show in `ps`, and overrides may be secret) and a pickle.
"""

from __future__ import annotations

import socket
from typing import Any

import msgspec

from confcast.errors import Problem, ProtocolError
from confcast.wire.framing import Deframer, frame
from confcast.wire.messages import UNDECODABLE, WithSecrets
from confcast.wire.options import Options


class StartupConfig(WithSecrets, frozen=True, tag=True, kw_only=True):
    """All that an owner is started with: what to load, where to live, and the manager's options."""

    options: Options
    loader: bytes
    folder: str
    state_folder: str
    durable: bool
    master_pid: int
    master_started: int
    sys_path: list[bytes]  # as UTF-8 with surrogates: names of files may be any bytes
    working_directory: str
    restarts: int = 0
    captured: int = -1  # the descriptor of the nameless file that the owner writes to until it serves
    output: int = -1  # the descriptor that it writes to then
    log: str = ""  # the path of the log file that standard error is, if it may be rotated
    workers_uid: int = -1  # the workers' user, if it is not the master's
    workers_gid: int = -1
    former: str = ""  # the folder of the generation before, whose versions and history go on
    paused: bool = False  # the next generation loads already

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("name", self.options.name), ("folder", self.folder)]


class Leave(msgspec.Struct, frozen=True, tag=True):
    """The manager is being closed: answer every request, clean up, and exit."""


class Pause(msgspec.Struct, frozen=True, tag=True):
    """A next generation begins: finish the running reload, copy the journal for it, and load no more.

    Not `on`: the pause is withdrawn. All is as before, and an owner that watches, or has refused a load meanwhile,
    loads once. Numbered, or a late answer to a withdrawn pause would be taken for the answer to the next one.
    """

    number: int
    on: bool


class Paused(msgspec.Struct, frozen=True, tag=True):
    """The answer to the Pause of this number: no reload is running, and none begins until the pause is withdrawn."""

    number: int


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The owner serves this version since `at`, by the clock that all processes share (`time.monotonic`).

    With version 0: the owner could not start, and `problems` and `reason` say why.
    """

    version: int
    problems: list[Problem] = []
    reason: str = ""
    at: float = 0.0


ChannelMessage = StartupConfig | Leave | Ready | Pause | Paused

_decoder: msgspec.msgpack.Decoder[ChannelMessage] = msgspec.msgpack.Decoder(ChannelMessage)


class MasterChannel:
    """One end of the channel. It blocks, up to the deadline of its socket, and is used by one thread at a time.

    Args:
        connection: The socket, which `close()` closes.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._deframer = Deframer()

    def send(self, message: ChannelMessage) -> None:
        """Send one message. Raises OSError."""
        self.connection.sendall(frame(msgspec.msgpack.encode(message)))

    def receive(self) -> ChannelMessage | None:
        """The next message; None at the end. Raises OSError (TimeoutError at the deadline), ProtocolError.

        Reads no further than that message's end, so that a selector that watches the socket reports the next one.
        """
        received: list[bytes] = []
        while not received:
            data = self.connection.recv(self._deframer.missing)
            if not data:
                return None
            received = self._deframer.feed(data)
        try:
            return _decoder.decode(received[0])
        except UNDECODABLE as error:
            raise ProtocolError(f"not a message of the master's channel: {error}") from None

    def close(self) -> None:
        """Close this end. May be called again."""
        self.connection.close()
