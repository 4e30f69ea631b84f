"""One connection to a Redis or Valkey: commands and their replies in order, and pushes as hints.

Guarantees. Each command has a deadline and a bound on its reply. A connection on which either was passed, or anything
was read that is no reply, is closed: a later reply could be taken for another command's. A caller that is cancelled
leaves its reply to nobody, and the connection stays usable. No error quotes what was sent, or an error's text, in which
a server quotes it: the first word of an error says what is wrong, and `_FAULTS` says it to a person.

Rejected: a task that reads (asyncio calls `data_received`, so there is none to end), and StreamReader (see `resp.py`).
"""

from __future__ import annotations

import asyncio
import collections
import os
from typing import Any, NamedTuple

from confcast.fleet.engines.engine import EngineError, Fault, Hints, Unreachable, in_time
from confcast.fleet.engines.resp import BadReply, ErrorReply, Push, Replies, command
from confcast.wire.ssl_at_use import ssl

Command = tuple[bytes | str | int, ...]

MOST_USUAL = 64 * 1024
"""Bytes of a reply, unless `ask` is told otherwise."""

CLUSTER = "is a node of a Redis Cluster, which confcast does not follow: give a Redis of its own for configurations"
SENTINEL = "is a Sentinel, which has no data: give the addresses of the master and of its replicas"

_OUTAGES = {
    "LOADING": "is loading its data",
    "BUSY": "runs a script that does not end",
    "MASTERDOWN": "is a replica that has lost its master",
    "TRYAGAIN": "is being changed",
    "CLUSTERDOWN": "belongs to a cluster that is down",
}
_FAULTS = {
    "NOAUTH": "asks for a password, and none is given",
    "WRONGPASS": "refuses this user or password",
    "NOPERM": "does not let this user call {name}, or not on the keys of this configuration",
    "DENIED": "is in protected mode: it takes connections from its own machine only",
    "NOPROTO": "is older than 6.0, which confcast needs",
    "READONLY": "is a replica, which takes no writes: give its master's address",
    "MOVED": CLUSTER,
    "ASK": CLUSTER,
    "CROSSSLOT": CLUSTER,
    "OOM": "takes no writes, since it has no memory left (maxmemory)",
    "MISCONF": "takes no writes, since it can't write its data to the disk",
    "NOREPLICAS": "takes no writes, since it has too few replicas (min-replicas-to-write)",
    "WRONGTYPE": "has something of another kind in a key of this configuration",
}
_REFUSED = {
    "HELLO": "is older than 6.0, which confcast needs, or is a proxy that can't do HELLO 3",
    "SELECT": "has no database of this number",
    "CLIENT": "can't tell of changes (CLIENT TRACKING)",
}
"""Of a command that is refused without one of these words."""

_OTHERS = {
    b"HTTP/": "speaks HTTP",
    b"\x15\x03": "speaks TLS: a URL that begins with rediss:// may be meant",
    b"SSH-": "speaks SSH",
    b"INFO {": "is a NATS server",
}
"""What the first bytes of a server of another kind say."""


class _Batch(NamedTuple):
    """Commands whose replies are awaited together."""

    names: list[str]
    most: int
    replies: list[Any]
    answered: asyncio.Future[None]


class Connection(asyncio.Protocol):
    """A connection, from `create_connection` on. For one loop.

    Args:
        shown: Names the server in messages.

    Attributes:
        hints: Told at each invalidation, and of the loss of the connection.
    """

    def __init__(self, shown: str) -> None:
        self.hints = Hints()
        self.shown = shown
        self._replies = Replies(MOST_USUAL)
        self._batches: collections.deque[_Batch] = collections.deque()
        self._transport: asyncio.Transport | None = None
        self._gone = asyncio.Event()
        self._heard = False

    @property
    def is_made(self) -> bool:
        """Whether the connection, with its TLS, was made; it may be lost again."""
        return self._transport is not None

    async def ask(self, *commands: Command, most: int = MOST_USUAL) -> list[Any]:
        """Send commands together, and wait for their replies: `most` bytes for each at the most.

        Raises:
            EngineError: One was refused, or the connection is lost, or there was no answer in time.
        """
        if self.hints.error is not None or self._transport is None:
            raise self.hints.error or Unreachable(f"{self.shown}: the connection is closed")
        names = [str(each[0]) for each in commands]
        batch = _Batch(names, most, [], asyncio.get_running_loop().create_future())
        self._batches.append(batch)
        self._bound()
        self._transport.write(b"".join(command(*each) for each in commands))
        try:
            async with in_time(f"{self.shown}: no answer"):
                await batch.answered
        except Unreachable as error:
            self.lose(error)
            raise
        for name, reply in zip(names, batch.replies, strict=True):
            if isinstance(reply, ErrorReply):
                raise refusal(self.shown, name, reply)
        return batch.replies

    def lose(self, error: EngineError) -> None:
        """End the connection, and fail whatever waits for it with this error; the first one stays."""
        self.hints.lose(error)
        while self._batches:
            batch = self._batches.popleft()
            if not batch.answered.done():
                batch.answered.set_exception(self.hints.error or error)
        if self._transport is not None:
            self._transport.abort()  # close() would wait for the other side's end of TLS

    async def close(self) -> None:
        """End the connection; returns once its socket is closed."""
        self.lose(Unreachable(f"{self.shown}: the connection is closed"))
        if self._transport is not None:
            await self._gone.wait()

    # ---- called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection, with its TLS, is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self.hints.error is not None:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        try:
            for reply in self._replies.feed(data):
                self._heard = True
                self._take(reply)
        except BadReply as error:
            found = next((words for first, words in _OTHERS.items() if data.startswith(first)), "")
            self.lose(Fault(f"{self.shown} {found if found and not self._heard else error}"))

    def connection_lost(self, error: Exception | None) -> None:
        """The connection has ended, whoever ended it."""
        self._gone.set()
        secure = self._transport is not None and self._transport.get_extra_info("sslcontext") is not None
        if isinstance(error, ssl.SSLError):
            self.lose(Fault(f"{self.shown} ends TLS: {error.reason}"))
        elif secure and not self._heard:  # the words for it may be lost, since TLS 1.3 says them after the handshake
            text = "was closed right after TLS was made: the server may refuse this side's certificate, or want one"
            self.lose(Unreachable(f"{self.shown}: the connection {text}"))
        else:
            known = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
            reason = f": {known}" if error is not None else ""
            self.lose(Unreachable(f"{self.shown}: the connection was closed{reason}"))

    def _take(self, reply: Any) -> None:
        if isinstance(reply, Push):
            if reply.kind == b"invalidate":  # of the head, or of all keys: after a flush there are no names
                self.hints.tell()
            return
        if not self._batches:
            raise BadReply("answers without having been asked")
        batch = self._batches[0]
        batch.replies.append(reply)
        if len(batch.replies) == len(batch.names):
            self._batches.popleft()
            self._bound()
            if not batch.answered.done():
                batch.answered.set_result(None)

    def _bound(self) -> None:
        self._replies.most = self._batches[0].most if self._batches else MOST_USUAL


_NO_RIGHT_IN_SCRIPT = ("user executing the script", "ACL failure in script")  # of Redis, and of Valkey


def refusal(shown: str, name: str, reply: ErrorReply) -> EngineError:
    """What an error that answers a command means, in words.

    Before 7.0 the error of a command in a script has ERR for its first word, and says its own one later.
    """
    if "max number of clients" in reply.text:
        return Unreachable(f"{shown} takes no more connections (maxclients)")
    if reply.code == "ERR" and any(text in reply.text for text in _NO_RIGHT_IN_SCRIPT):
        return Fault(f"{shown} does not let this user call what the script of {name} does: give the user the right")
    words = reply.text.replace(":", " ").replace("-", " ").split() if reply.code == "ERR" else [reply.code]
    code = next((word for word in words if word in _OUTAGES or word in _FAULTS), "")
    if code in _OUTAGES:
        return Unreachable(f"{shown} {_OUTAGES[code]}")
    if code in _FAULTS:
        return Fault(f"{shown} {_FAULTS[code].format(name=name)}")
    return Fault(f"{shown} {_REFUSED.get(name) or f'refuses {name} ({reply.code[:40]})'}")
