"""What a master and its owner say to each other on the leash: the socket pair that the owner is started with.

master → owner: one `StartupConfig` first, `Pause` around the start of a next generation, and at the end `Leave`.
owner → master: one `Ready`, one `Paused` for each Pause that is not called off before the owner is idle. The master's
death is heard by its pidfd, since a child of its own may hold the leash open; the leash's end tells of a master that
has become another program (`exec` keeps the pid, and no manager). Rejected: arguments on the command line (they show
in `ps`, and overrides may be secret) and a pickle.
"""

from __future__ import annotations

import socket

import msgspec

from confcast.errors import Problem, ProtocolError
from confcast.wire.framing import Deframer, frame
from confcast.wire.messages import UNDECODABLE
from confcast.wire.options import Options

HANDOVER = "handover"
"""What a paused owner leaves for the next one: a copy of its journal, under this name in its run-time folder."""


class StartupConfig(msgspec.Struct, frozen=True, tag=True, kw_only=True):
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
    captured: int = -1  # the descriptor of the nameless file that its streams are until it serves
    output: int = -1  # that of where they go on then
    log: str = ""  # the file that standard error is, where it is one that may be rotated
    workers_uid: int = -1  # where workers run as another user than their master
    workers_gid: int = -1
    former: str = ""  # the folder of the generation before, whose versions and history go on
    paused: bool = False  # the next generation loads already

    def __repr__(self) -> str:
        return f"StartupConfig(name={self.options.name!r}, folder={self.folder!r})"


class Leave(msgspec.Struct, frozen=True, tag=True):
    """The master closes: answer everyone, clean up, and exit."""


class Pause(msgspec.Struct, frozen=True, tag=True):
    """A next generation begins: finish what is under way, leave it a copy of the journal, and load no more.

    Not `on`: it was called off. All as before, and one load if the owner watches, or has refused one meanwhile.
    Numbered, or the late answer to one that was called off would be taken for the answer to the next.
    """

    number: int
    on: bool


class Paused(msgspec.Struct, frozen=True, tag=True):
    """To the Pause of this number: nothing is under way any more, no version is given out until a Pause says so."""

    number: int


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The owner serves this version, since then (by the clock that all processes share, `time.monotonic`).

    Or, with version 0, it could not start, and why.
    """

    version: int
    problems: list[Problem] = []
    reason: str = ""
    at: float = 0.0


Said = StartupConfig | Leave | Ready | Pause | Paused

_decoder: msgspec.msgpack.Decoder[Said] = msgspec.msgpack.Decoder(Said)


class MasterChannel:
    """One end of it. Blocking, with the deadline of its socket; used by one thread at a time.

    Args:
        connection: The socket; closed by `close()`.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._deframer = Deframer()

    def send(self, message: Said) -> None:
        """Send one message. Raises OSError."""
        self.connection.sendall(frame(msgspec.msgpack.encode(message)))

    def receive(self) -> Said | None:
        """The next message; None at the end. Raises OSError (TimeoutError at the deadline), ProtocolError.

        It reads no further than that message's end: a selector that watches the socket tells of the next one.
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
            raise ProtocolError(f"not a message of the leash: {error}") from None

    def close(self) -> None:
        """Close this end. May be called again."""
        self.connection.close()
