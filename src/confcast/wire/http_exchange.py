"""One request to a server, for a source, a probe or a webhook: with a deadline, a bound, and no half answer.

Guaranteed: the caller waits no longer than the timeout, wherever the exchange hangs: in the resolver of names, the
connection, TLS, or an answer that comes byte by byte. What an answer says of its length is checked, and one that says
nothing is refused, since a cut connection would pass for its end. Certificates are verified. A redirect is followed
within the same scheme, host and port only: to another one it would take the token along; what is posted follows none.
Proxies that the environment names are not used, and no compressed answer is asked for. No text quotes an answer, or
what was sent.

How. The exchange runs in a thread of its own, which is left alone at the deadline, with its socket shut down: it ends
soon, but for the resolver, which nothing ends. Rejected: `urllib.request` and `timeout=` alone (they bound each wait
for a byte, not the exchange), and a library with a total timeout (none of the common ones bounds the resolver).
"""

from __future__ import annotations

import contextlib
import socket
import string
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

if TYPE_CHECKING:
    import http.client

_MOST_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_USUAL_PORTS = {"http": 80, "https": 443}
_MOST_AT_ONCE = 32
_CHUNK = 65536

_DRAIN, _DRAIN_WITHIN = 16384, 1.0
"""How much of the answer to a post is read, and for how many seconds: a server that is cut off logs an error."""

_at_once = threading.BoundedSemaphore(_MOST_AT_ONCE)
_posts_at_once = threading.BoundedSemaphore(_MOST_AT_ONCE)
"""Posts have their own, so that none of them holds up a load."""


class Unanswered(Exception):
    """No whole answer came: the server, or the way to it, is down. The text is the end of a sentence about the URL."""


class Unusable(Exception):
    """There is an answer, and it can't be used. The text is the predicate of a sentence about the URL."""


class Reply(NamedTuple):
    """A whole answer; the body is empty where it was not asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def get(url: str, headers: Mapping[str, str], *, timeout: float, most: int) -> Reply:
    """Ask for a URL.

    Args:
        url: `http://` or `https://`, without a user or a password.
        headers: What is sent beside the usual ones.
        timeout: Seconds for the whole exchange, redirects included.
        most: Bytes of a body at the most.

    Returns:
        The answer, after redirects to the same place.

    Raises:
        Unanswered: No whole answer came in time.
        Unusable: The answer leads elsewhere, is too large, is compressed, or does not say how long it is.
    """
    reply = _exchanged(_Exchange(url, headers, timeout, most))
    if _redirects(reply):
        following = _following(url, reply)
        if _place(following) == _place(url):
            raise Unusable(f"redirects more than {_MOST_REDIRECTS} times")
        scheme, host, port = _place(following)
        raise Unusable(
            f"redirects to another place, {scheme}://{host}:{port}, where a token or a password must not go: "
            "give the URL there"
        )
    return reply


def status_of(url: str, headers: Mapping[str, str], *, timeout: float) -> int:
    """The status with which a URL answers, after redirects to the same place; the body is not read.

    The arguments are those of `get`. A redirect to another place is an answer, and so is one too many.

    Raises:
        Unanswered: No answer came in time.
    """
    return _exchanged(_Exchange(url, headers, timeout, None)).status


def post(url: str, headers: Mapping[str, str], body: bytes, *, timeout: float) -> Reply:
    """Send this body by POST. No redirect is followed: one is an answer as any other.

    The arguments are those of `get`; the reply has no body, of which little is read, and dropped.

    Raises:
        Unanswered: No answer came in time. The server may have acted on what was sent all the same.
    """
    return _exchanged(_Post(url, headers, timeout, body))


def _exchanged(exchange: _Exchange) -> Reply:
    timeout = exchange.timeout
    if not exchange.at_once.acquire(timeout=timeout):  # a load asks all its sources at once, and they may be more
        raise Unanswered(
            f"{_MOST_AT_ONCE} requests before this one have hung for {timeout:g} s, in the resolver of names, it seems"
        )
    try:
        threading.Thread(target=exchange.run, name="confcast-http", daemon=True).start()
    except RuntimeError as error:
        exchange.at_once.release()
        raise Unanswered(f"no thread can be started: {error}") from None
    return exchange.result()


class _Exchange:
    at_once = _at_once

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float, most: int | None) -> None:
        self._url, self._headers, self._most = url, headers, most
        self.timeout, self._deadline = timeout, time.monotonic() + timeout
        self._connection: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = None  # the connection gives it up where the answer is the last one
        self._ended = threading.Event()
        self._reply: Reply | None = None
        self._error: Exception | None = None

    def result(self) -> Reply:
        """The answer, once it is there. Raises what `get` raises."""
        if not self._ended.wait(self._left()) and self._reply is None:
            self._cut()
            raise Unanswered(f"no whole answer within {self.timeout:g} s")
        if self._error is not None:
            raise self._error from None
        assert self._reply is not None
        return self._reply

    def run(self) -> None:
        """Exchange, in a thread of its own."""
        try:
            self._reply = self._followed()
        except (Unanswered, Unusable) as error:
            self._error = error
        except Exception as error:
            self._error = Unanswered(_words(error, self.timeout))
        finally:
            self._ended.set()
            self.at_once.release()

    def _left(self) -> float:
        return max(0.001, self._deadline - time.monotonic())

    def _cut(self) -> None:
        connection = self._connection
        sock = self._socket or (None if connection is None else connection.sock)
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(
                    sock, socket.SHUT_RDWR
                )  # of the socket below TLS, whose reader is another thread

    def _followed(self) -> Reply:
        url = self._url
        reply = self._get(url)
        for _ in range(_MOST_REDIRECTS):
            if not _redirects(reply) or _place(following := _following(url, reply)) != _place(url):
                break
            url = following
            reply = self._get(url)
        return reply

    def _get(self, url: str) -> Reply:
        with self._asked(url, "GET") as answer:
            body = b"" if self._most is None or answer.status in _REDIRECTS else self._body(answer, self._most)
            return Reply(answer.status, _headers(answer), body)

    @contextlib.contextmanager
    def _asked(self, url: str, method: str, content: bytes | None = None) -> Iterator[http.client.HTTPResponse]:
        """The answer to one request, whose body is not read yet."""
        import http.client  # with TLS it takes 25 ms of a processor, which nobody without such a source pays

        parts = urlsplit(url)
        assert parts.hostname is not None
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._socket = None
        connection = self._connection = kind(parts.hostname, parts.port, timeout=self._left())
        try:
            connection.connect()
            self._socket = connection.sock
            if time.monotonic() >= self._deadline:
                raise TimeoutError
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            target = quote(target, safe=string.punctuation)  # what is quoted already stays: % is such a character
            connection.request(method, target, content, headers=dict(self._headers))
            with connection.getresponse() as answer:
                yield answer
        finally:
            connection.close()

    def _body(self, answer: http.client.HTTPResponse, most: int) -> bytes:
        if (coding := answer.getheader("Content-Encoding", "identity").strip().lower()) not in ("", "identity"):
            raise Unusable(f"answers in the coding {coding[:20]!r}, which was not asked for")
        expected = answer.length
        if expected is None and not answer.chunked:
            raise Unusable(
                "does not say how long its answer is (by Content-Length, or in chunks), so that a connection which is "
                "cut would pass for its end"
            )
        found = bytearray()
        while (expected is None or expected <= most) and len(found) <= most:
            if not (read := answer.read(_CHUNK)):
                break
            found += read
        if len(found) > most or (expected or 0) > most:
            raise Unusable(f"answers with more than {_size(most)}")
        if expected is not None and len(found) < expected:
            raise Unanswered(f"the connection was cut after {len(found)} of {expected} bytes")
        return bytes(found)


class _Post(_Exchange):
    at_once = _posts_at_once

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float, content: bytes) -> None:
        super().__init__(url, headers, timeout, None)
        self._content = content

    def _followed(self) -> Reply:
        with self._asked(self._url, "POST", self._content) as answer:
            reply = self._reply = Reply(answer.status, _headers(answer), b"")
            with contextlib.suppress(Exception):  # the answer is there, whatever becomes of its body
                self._drain(answer)
            return reply

    def _drain(self, answer: http.client.HTTPResponse) -> None:
        until, room = min(self._deadline, time.monotonic() + _DRAIN_WITHIN), _DRAIN
        while room > 0 and self._socket is not None and (left := until - time.monotonic()) > 0:
            self._socket.settimeout(left)
            if not (read := answer.read1(room)):
                return
            room -= len(read)


def _headers(answer: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in reversed(answer.getheaders())}  # the first of a name


def _words(error: Exception, timeout: float) -> str:
    """Why there is no answer, without a text of the server's."""
    import http.client
    import ssl

    if isinstance(error, TimeoutError):
        return f"no whole answer within {timeout:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate can't be verified: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS fails: {(getattr(error, 'reason', '') or type(error).__name__).replace('_', ' ').lower()}"
    if isinstance(error, socket.gaierror):
        return f"its name is not found: {error.strerror}"
    if isinstance(error, UnicodeError):  # of the codec for names, as where a part of one is empty or too long
        return "its name is none that a host can have"
    if isinstance(error, http.client.RemoteDisconnected):
        return "it closed the connection without an answer"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection was cut within the answer"
    if isinstance(error, http.client.HTTPException):
        return f"what answers there does not speak HTTP as it should ({type(error).__name__})"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return type(error).__name__


def _redirects(reply: Reply) -> bool:
    return reply.status in _REDIRECTS and bool(reply.headers.get("location"))


def _following(url: str, reply: Reply) -> str:
    return urljoin(url, _quoted(reply.headers["location"]))


def _place(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _USUAL_PORTS.get(parts.scheme)


def _quoted(location: str) -> str:
    """A Location that can be sent back: servers put blanks and other characters into it."""
    return quote(location, encoding="iso-8859-1", safe=string.punctuation)


def _size(most: int) -> str:
    return f"{most // 1024**2} MiB" if most >= 1024**2 and most % 1024**2 == 0 else f"{most} bytes"
