"""The channel between a master and its owner, a socket pair whose one end the owner gets at its start; its messages.

master → owner: first `StartupConfig`, `Expect` once the workers of another server are to come, `Pause` before a next
generation starts and after it was called off, `Superseded` once it can't be called off any more, at last `Leave`.
owner → master: one `Ready`, and one `Paused` for each Pause that is not withdrawn before the owner is idle.
The owner notices the master's death by a pidfd, since a child of the master may hold the channel open. If the master
has become another program by `exec`, which keeps its pid, the channel ends. Rejected: arguments on the command line
(they show in `ps`, and overrides may be secret) and a pickle.
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
    sys_path: list[bytes]  # as UTF-8 with surrogates: file names may be any bytes
    working_directory: str
    restarts: int = 0
    captured: int = -1  # the descriptor of the nameless file that the owner writes to until it serves
    output: int = -1  # the descriptor that the owner writes to when it serves
    log: str = ""  # the path of the log file that standard error is, if it may be rotated
    workers_uid: int = -1  # the workers' user, if it is not the master's
    workers_gid: int = -1
    group_attaches: bool = False  # each member of that group may attach, whichever user it is
    former: str = ""  # the former generation's folder, whose versions and history continue
    paused: bool = False  # the next generation loads already
    address: str = ""  # the lasting address that leads to this owner
    address_left: bool = False  # the address led to an owner that was killed: its workers look for the next one there
    bell: int = -1  # the descriptor into which the owner writes a byte at each event, if the master wants that
    listener: int = -1  # the descriptor of a listening socket that outlives owners, on which each accepts, too

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("name", self.options.name), ("folder", self.folder)]


class Leave(msgspec.Struct, frozen=True, tag=True):
    """The manager is being closed: answer every request, clean up, and exit."""


class Pause(msgspec.Struct, frozen=True, tag=True):
    """A next generation begins: finish the running reload, copy the journal for it, and load no more.

    If not `on`, the pause is withdrawn: all is as before, and an owner that watches, or has refused a load meanwhile,
    loads once. Each has a number, so that a late answer to a withdrawn pause is not taken for the answer to the next.
    """

    number: int
    on: bool


class Paused(msgspec.Struct, frozen=True, tag=True):
    """The answer to the Pause of this number: no reload is running, and none begins until the pause is withdrawn."""

    number: int


class Superseded(msgspec.Struct, frozen=True, tag=True):
    """The next generation serves, and will not be called off: release the state folder to it, and serve on without."""


class Expect(msgspec.Struct, frozen=True, tag=True):
    """These workers of the server whose place this one has taken are sent here, and no others: they are to be known."""

    pids: list[int]


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The owner has served this version since `at`, by the clock that all processes share (`time.monotonic`).

    Version 0 means that the owner could not start; `problems` and `reason` say why.
    """

    version: int
    problems: list[Problem] = []
    reason: str = ""
    at: float = 0.0


ChannelMessage = StartupConfig | Leave | Ready | Pause | Paused | Superseded | Expect

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
        """The next message; None at the channel's end. Raises OSError (TimeoutError at the deadline), ProtocolError.

        Reads no further than the end of that message, so that a selector that watches the socket reports the next.
        """
        body = self._deframer.next_body(self.connection.recv)
        try:
            return None if body is None else _decoder.decode(body)
        except UNDECODABLE as error:
            raise ProtocolError(f"not a message of the master's channel: {error}") from None

    def close(self) -> None:
        """Close this end. May be called again."""
        self.connection.close()
