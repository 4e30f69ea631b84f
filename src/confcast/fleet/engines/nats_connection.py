"""One connection to a NATS server, by nats-py: questions with answers, subscriptions, and one sign when it is lost.

Guarantees. A loss is known as soon as the socket tells of it, and ends each question under way. Nothing reconnects. A
cancelled call ends at once and takes nothing back that it has sent. No password goes over a connection without TLS
whose URL asks for TLS. nats-py writes nothing into the log.

What of nats-py is not used, and why:
- its reconnection: what was written meanwhile would be missed. It is allowed, since else a loss is told 5 seconds late,
  and held in `_on_loss` until the client is closed.
- `flush`: its PONG is for a future that a timeout or a cancellation has cancelled; the reader then ends with an
  InvalidStateError, and the connection is deaf. An answer to a question that was sent after a subscription proves the
  same, since a server takes what one connection sends in order.
- `wait_for`, which it calls everywhere: in 3.11 it may swallow a cancellation. So each call has a task of its own.
- its JetStream and key-value classes: a watch is a consumer on the server (1,000 at most in 2.15), and blind to a
  bucket that was made anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import random
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import nats.errors
from nats.aio.client import Client, RawCredentials
from nats.aio.msg import Msg

from confcast.fleet.engines import engine
from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import EngineError, Fault, Unreachable

_PORT = 4222
_PENDING = 8 * 1024 * 1024  # bytes that may wait to be sent: beyond, nats-py would swallow a cancellation
_DENIED = "permissions violation"

_T = TypeVar("_T")


class NoResponder(Exception):
    """Nobody on the server has a subscription to what was asked: no JetStream, or no bucket."""


class _Client(Client):
    """nats-py's client, with what it has no public way for."""

    needs_tls = False
    was_checked = False

    def _connect_command(self) -> bytes:
        """Refuse a server that offers no TLS before the password is sent: nats-py goes on in plain text."""
        self.was_checked = True
        if self.needs_tls and not self._server_info.get("tls_required"):
            raise _NoTls
        return super()._connect_command()

    def quieten(self) -> None:
        """Tell asyncio that the connection has TLS, if so: else it warns at each end of one."""
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None and self._server_info.get("tls_required"):
            writer.transport.get_protocol()._over_ssl = True

    def cut(self) -> bool:
        """Forget what waits to be sent, and close the socket without waiting for the server.

        After a handshake that failed, nothing would tell of the end that `close` waits for. So it finds no transport.

        Returns:
            Whether the server had closed it before.
        """
        transport, self._transport = self._transport, None
        self._pending, self._pending_data_size = [], 0
        writer = getattr(transport, "_io_writer", None)
        if writer is None or transport is None:
            return False
        ended: bool = transport.at_eof()
        writer.transport.abort()
        return ended


class _NoTls(nats.errors.Error):
    pass


class Connection:
    """A connection. For one loop.

    Attributes:
        shown: The engine's address in messages.
    """

    def __init__(self, access: Access, lost: Callable[[EngineError], None]) -> None:
        self.shown = access.shown
        self._lost = lost
        self._client = _Client()
        self._is_open = False
        self._closing = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None
        self._loss: asyncio.Future[EngineError] = asyncio.get_running_loop().create_future()
        self._optional: set[str] = set()
        self._asked: dict[str, list[asyncio.Future[EngineError]]] = {}

    @property
    def most_bytes(self) -> int:
        """Bytes of the largest message, as the server has said."""
        return self._client.max_payload

    async def open(
        self, address: tuple[str, int | None], options: dict[str, Any], *, needs_tls: bool, seconds: float
    ) -> None:
        """Connect to one address. Raises EngineError, after which nothing is left."""
        host, port = address
        self._client.needs_tls = needs_tls
        server = f"nats://{f'[{host}]' if ':' in host else host}:{port or _PORT}"
        connecting = self._client.connect(
            [server],
            error_cb=self._on_error,
            disconnected_cb=self._on_loss,
            connect_timeout=seconds,  # type: ignore[arg-type]
            tls_hostname=host,
            pending_size=_PENDING,
            **options,
        )
        try:
            await self._alone(connecting, seconds=seconds)
            if not self._client.is_connected:
                raise Unreachable(f"{self.shown}: the server has closed the connection")
            if not self._client.was_checked:
                raise Fault(f"{self.shown}: this version of nats-py is not known: one from 2.9 to 2.16 is expected")
            self._client.quieten()
            self._is_open = True
        except Exception as error:
            is_ended = self._client.cut()
            await self.close()
            raise self._named(error, is_ended) from error
        except asyncio.CancelledError:
            await self.close()
            raise

    async def subscribe(self, subject: str, told: Callable[[], None], *, optional: bool = False) -> None:
        """Have `told` called for each message. The next answer of `ask` confirms it.

        Args:
            subject: May have wildcards.
            told: It gets no message: whoever is told reads.
            optional: A server that denies the right to it is no fault.
        """

        async def take(_: Msg) -> None:
            told()

        if optional:
            self._optional.add(subject.lower())
        try:
            await self._alone(self._client.subscribe(subject, cb=take), self._loss)
        except (nats.errors.Error, OSError) as error:
            raise Unreachable(f"{self.shown}: {_text(error)}") from error

    async def ask(self, subject: str, content: bytes = b"", headers: dict[str, str] | None = None) -> Msg:
        """Send a message and give the answer.

        Raises:
            NoResponder: Nobody listens to this subject.
            Fault: The server denies the right to ask; the connection is as before.
            Unreachable: No answer within PATIENCE, or the connection is lost.
        """
        denied: asyncio.Future[EngineError] = asyncio.get_running_loop().create_future()
        same = self._asked.setdefault(subject.lower(), [])
        same.append(denied)
        asking = self._client.request(subject, content, timeout=2 * engine.PATIENCE, headers=headers)
        try:
            return await self._alone(asking, self._loss, denied)
        except nats.errors.NoRespondersError as error:
            raise NoResponder from error
        except (nats.errors.Error, OSError) as error:
            raise Unreachable(f"{self.shown}: {_text(error)}") from error
        finally:
            same.remove(denied)
            if not same:
                self._asked.pop(subject.lower(), None)

    async def close(self) -> None:
        """Close the connection. May be called again, and never raises but for a cancellation, which it outlives."""
        if self._ending is None:
            self._lose(Unreachable(f"{self.shown}: the connection was closed here"))
            self._closing.set()
            self._client.cut()
            self._ending = asyncio.ensure_future(self._end())
        await asyncio.shield(self._ending)

    async def _end(self) -> None:
        """End nats-py's tasks. It waits for nothing but them: a cancellation would leave them for good."""
        # An outage may come between any two of its steps, and there is nothing that it could still tell.
        with contextlib.suppress(Exception):
            await self._client.close()
        for _ in range(3):
            await asyncio.sleep(0)  # its tasks were cancelled, and end in one of the next rounds of the loop

    async def _alone(
        self, call: Coroutine[Any, Any, _T], *ends: asyncio.Future[EngineError], seconds: float = 0.0
    ) -> _T:
        """Run a call of nats-py in a task of its own, until it ends, one of `ends` does, or the time is over."""
        seconds = seconds or engine.PATIENCE
        for end in ends:
            if end.done():
                call.close()
                raise end.result()
        task = asyncio.ensure_future(call)
        try:
            watched: set[asyncio.Future[Any]] = {task, *ends}
            await asyncio.wait(watched, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            for end in ends:
                if end.done():
                    raise end.result()
            raise Unreachable(f"{self.shown}: no answer within {seconds:g} s")
        finally:
            while not task.done():  # one cancellation may be swallowed
                task.cancel()
                await asyncio.wait({task}, timeout=0.1)
            if not task.cancelled():
                task.exception()

    async def _on_error(self, error: Exception) -> None:
        """nats-py's `error_cb`. While it connects, the first error is the last: it would try again for minutes."""
        if not self._is_open:
            raise error
        text = _text(error)
        if _DENIED in text.lower():
            self._on_denial(text)
        else:
            self._lose(Unreachable(f"{self.shown}: {text}"))

    def _on_denial(self, text: str) -> None:
        """A right is missing: to ask one thing; or to be told, which ends the connection.

        The server says: `Permissions Violation for Publish to "SUBJECT"`.
        """
        denial = Fault(f"{self.shown}: {text}: grant this right to the user")
        subject = text.lower().partition('"')[2].partition('"')[0]
        asked = self._asked.get(subject)
        if asked is not None and "for publish" in text.lower():
            for each in asked:
                if not each.done():
                    each.set_result(denial)
        elif subject not in self._optional:
            self._lose(denial)

    async def _on_loss(self) -> None:
        """nats-py's `disconnected_cb`: it reconnects after this has returned."""
        error = self._client.last_error
        self._lose(Unreachable(f"{self.shown}: the connection is lost{f': {_text(error)}' if error else ''}"))
        await self._closing.wait()

    def _lose(self, error: EngineError) -> None:
        if not self._loss.done():
            self._loss.set_result(error)
            if self._is_open:
                self._lost(error)

    def _named(self, error: Exception, is_ended: bool) -> EngineError:
        """Why a connection could not be made."""
        if isinstance(error, EngineError):
            return error
        if isinstance(error, _NoTls):
            return Fault(f"{self.shown}: this server has no TLS, and the URL asks for it")
        text = _text(error)
        if "certificate" in text.lower():
            return Fault(f"{self.shown}: the server's certificate is refused: {text}")
        if any(word in text.lower() for word in ("authorization", "authentication")):
            return Fault(f"{self.shown}: the server refuses the user, password or token: {text}")
        if isinstance(error, TimeoutError):
            return Unreachable(f"{self.shown}: no NATS server answers there in time")
        if isinstance(error, OSError) or is_ended:
            return Unreachable(f"{self.shown}: {text}")
        if isinstance(error, nats.errors.Error) and "maximum" in text:
            return Unreachable(f"{self.shown}: {text}")
        if type(error).__module__.partition(".")[0] == "nats" or isinstance(error, ValueError):
            return Fault(f"{self.shown}: what answers there is no NATS server: {text}")
        return Fault(f"{self.shown}: the credentials can't be used: {text}")


def _text(error: BaseException) -> str:
    """What nats-py or the system says, in one line."""
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)
    return " ".join(str(error).removeprefix("nats: ").split())[:300] or type(error).__name__


async def connect(access: Access, lost: Callable[[EngineError], None]) -> Connection:
    """A connection to the first of the URL's addresses that takes one, in a random order.

    Args:
        access: What comes after `tls://` or `nats://`, and the password: see `_credentials`.
        lost: Called once, in the loop, when the connection is lost.

    Raises:
        Fault: One of the servers refuses.
        Unreachable: None of them answers.
    """
    options = {"name": "confcast", **_credentials(access)}
    needs_tls = access.parts.scheme == "tls"
    if needs_tls or access.ca_file or access.cert_file:
        options["tls"] = access.tls()
    errors: list[EngineError] = []
    addresses = random.sample(access.hosts, len(access.hosts))
    for address in addresses:
        connection = Connection(access, lost)
        try:
            await connection.open(address, options, needs_tls=needs_tls, seconds=engine.PATIENCE / len(addresses))
            return connection
        except EngineError as error:
            errors.append(error)
    raise next((error for error in errors if isinstance(error, Fault)), errors[-1])


def _credentials(access: Access) -> dict[str, Any]:
    """nats-py's options for what the URL and the password file have.

    A user with a password is that. A user without one, or a password without a user, is a token. A file with a JWT and
    an NKEY seed (`.creds`), or with a seed alone, needs the library `nkeys`.
    """
    secret = access.password()
    if "BEGIN NATS USER JWT" in secret or (secret.startswith("SU") and len(secret) == 58 and not access.user):
        return _signed(access, secret)
    if access.user and secret:
        return {"user": access.user, "password": secret}
    token = secret or access.user
    return {"token": token} if token else {}


def _signed(access: Access, secret: str) -> dict[str, Any]:
    """The options for credentials that sign what the server sends."""
    where = access.password_file or access.shown
    if importlib.util.find_spec("nkeys") is None:
        raise Fault(f"{where}: these are credentials with an NKEY, which need one more library: pip install"
                    " 'nats-py[nkeys]'")  # fmt: skip
    if secret.startswith("SU"):
        return {"nkeys_seed_str": secret}
    if "BEGIN USER NKEY SEED" not in secret:
        raise Fault(f"{where}: the credentials have a JWT and no NKEY seed: the whole file of `nsc` is expected")
    return {"user_credentials": RawCredentials(secret)}
