"""Runs the manager's probes while a version is provisional: beside the loop, each in a thread of its own.

Guaranteed: a probe runs only while a version is provisional, and its answer counts only for the version that was when
it began. Each run has a deadline, `every`, whatever hangs; a program that misses it is killed with its process group.
Of what a program says some hundred characters are kept, and the rest is read and dropped. An answer that says no is
posted to the loop; no answer is logged at the first time in a row, and counted. Without probes there is no thread.

Rejected: one thread for all probes (one that hangs would delay the others), and `urllib.request` (it bounds each wait
for a byte, and not an answer that comes byte by byte).
"""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import socket
import string
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote, urljoin, urlsplit

from confcast.owner.core.effects import Probed
from confcast.owner.core.machine import Core, ProposalState
from confcast.texts import shortened
from confcast.wire import programs
from confcast.wire.probes import AnyProbe, Command, Http

if TYPE_CHECKING:
    import http.client

_log = logging.getLogger("confcast.owner")

_MOST_KEPT = 2000
"""Bytes that are kept of a program's output."""

_LONGEST_LINE = 300
_UNANSWERED = "probe without an answer"
_MOST_REDIRECTS = 3
_USUAL_PORTS = {"http": 80, "https": 443}


def provisional_version(core: Core) -> int:
    """The version that a probe's no speaks against now; 0 if none is provisional, or not all have it yet."""
    if (trial := core.operator.trial) is not None:
        return trial.version
    comes = core.state is ProposalState.RECORDING or (core.state is ProposalState.COMMITTING and not core.is_settled)
    return core.committed.version if core.operator.window is not None and not comes else 0


class Answer(NamedTuple):
    """What a probe's run gave: `no`, why it says no, or `none`, why there is no answer; both empty: it says yes."""

    no: str = ""
    none: str = ""


class Probing:
    """The probes of one owner. `follow`, `aim` and `close` are for the loop's thread.

    Args:
        probes: What is asked.
        post: Called, in the probes' threads, with each no.

    Attributes:
        unanswered: How often a probe has given no answer.
    """

    def __init__(self, probes: tuple[AnyProbe, ...], post: Callable[[Probed], object]) -> None:
        self.unanswered: Counter[str] = Counter({_UNANSWERED: 0})  # no further key, since two threads read it
        self._probes, self._post = probes, post
        self._unstarted = list(probes)
        self._changed = threading.Condition()
        self._version = 0  # which is provisional; 0: none is
        self._closed = False

    def follow(self, core: Core) -> None:
        """Ask while what the core says is provisional; it may have changed."""
        if self._probes:
            self.aim(provisional_version(core))

    def aim(self, version: int) -> None:
        """From now on this version is provisional; 0: none is."""
        if version == self._version or not self._probes:
            return
        with self._changed:
            self._version = version
            self._changed.notify_all()
        if self._unstarted and version:
            self._start()

    def close(self) -> None:
        """Begin no further run. One that is under way ends at its deadline, or with the process."""
        with self._changed:
            self._closed, self._version = True, 0
            self._changed.notify_all()

    def _start(self) -> None:
        """Start the probes' threads. Those that can't be are started with the next provisional version."""
        try:
            while self._unstarted:
                args = (self._unstarted[-1],)
                threading.Thread(target=self._serve, args=args, name="confcast-probe", daemon=True).start()
                self._unstarted.pop()
        except RuntimeError as error:
            _log.warning("%d probes are not asked for now, which is no evidence: %s", len(self._unstarted), error)
            with self._changed:
                self.unanswered[_UNANSWERED] += len(self._unstarted)

    def _serve(self, probe: AnyProbe) -> None:
        """Ask one probe, as long as the owner lives."""
        silent = False
        while (version := self._next()) != 0:
            began = time.monotonic()
            answer = asked(probe, lambda: self._version != version)
            if answer.no and self._version == version:
                self._post(Probed(version, f"{probe.shown} {answer.no}"))
            elif answer.none and self._version == version:
                with self._changed:
                    self.unanswered[_UNANSWERED] += 1
                if not silent:
                    _log.warning("the probe %s gives no answer, which is no evidence: %s", probe.shown, answer.none)
            silent = bool(answer.none)
            self._rest(version, began + probe.every)

    def _next(self) -> int:
        """Wait for a provisional version; 0: closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._version or self._closed)
            return self._version

    def _rest(self, version: int, until: float) -> None:
        """Wait until then, or until another version is provisional."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != version, max(0.0, until - time.monotonic()))


def asked(probe: AnyProbe, over: Callable[[], bool] = lambda: False) -> Answer:
    """Ask a probe once, within its `every` seconds; `over`: whether nobody needs the answer any more."""
    deadline = time.monotonic() + probe.every
    try:
        return _run(probe, deadline, over) if isinstance(probe, Command) else _fetch(probe, deadline)
    except Exception as error:  # whatever a name's resolver, a program's path or a server's answer may be
        return Answer(none=f"{type(error).__name__}: {shortened(str(error), _LONGEST_LINE)}")


# ---- a program


def _run(probe: Command, deadline: float, over: Callable[[], bool]) -> Answer:
    try:
        ended = programs.run(probe.command, deadline, _MOST_KEPT, merged=True, over=over)
    except programs.NotStarted as error:
        return Answer(none=f"it can't be started: {error.strerror}")
    if ended.status is None:
        return Answer(none=f"it has not ended within {probe.every:g} s, and was killed")
    code = os.waitstatus_to_exitcode(ended.status)
    if code < 0:
        return Answer(none=f"signal {-code} has ended it")
    line = next(iter(ended.output.decode(errors="replace").strip().splitlines()), "")  # cut once it is masked
    return Answer(no=f"exited with status {code}{f': {line}' if line else ''}") if code else Answer()


# ---- a URL


def _fetch(probe: Http, deadline: float) -> Answer:
    url = probe.url
    for _ in range(_MOST_REDIRECTS + 1):
        status, location = _get(url, probe, deadline)
        following = urljoin(url, _quoted(location)) if location else url
        if not 300 <= status < 400 or not location or _place(following) != _place(url):
            break
        url = following
    return Answer() if 200 <= status < 400 else Answer(no=f"answered with status {status}")


def _place(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _USUAL_PORTS.get(parts.scheme)


def _quoted(location: str) -> str:
    """A Location that can be sent back: servers put blanks and other characters into it, as `urllib.request` knows."""
    return quote(location, encoding="iso-8859-1", safe=string.punctuation)


def _get(url: str, probe: Http, deadline: float) -> tuple[int, str]:
    """The status of one answer, and where it redirects to; empty: nowhere. Raises OSError, HTTPException."""
    import http.client  # with TLS it takes 25 ms of a processor, which an owner without such a probe need not pay

    parts = urlsplit(url)
    left = max(0.001, deadline - time.monotonic())
    assert parts.hostname is not None
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=left)
    with contextlib.closing(connection), _limited(connection, deadline) as is_over:
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            target = quote(target, safe=string.punctuation)  # what is quoted already stays, since % is such a character
            connection.request("GET", target, headers={"User-Agent": "confcast", **_authorization(probe)})
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException):
            if not is_over():
                raise
        if is_over():
            raise TimeoutError(f"no answer within {probe.every:g} s")
        return answer.status, answer.getheader("Location") or ""


@contextlib.contextmanager
def _limited(connection: http.client.HTTPConnection, deadline: float) -> Iterator[Callable[[], bool]]:
    """Cut the connection at the deadline, though bytes come one by one; gives whether that is over."""

    def cut() -> None:
        if isinstance(sock := connection.sock, socket.socket):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, deadline - time.monotonic()), cut)
    timer.daemon = True
    timer.start()
    try:
        yield lambda: time.monotonic() >= deadline
    finally:
        timer.cancel()


def _authorization(probe: Http) -> dict[str, str]:
    parts = probe.parts
    if parts.username is None:
        return {}
    user = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return {"Authorization": f"Basic {base64.b64encode(user).decode()}"}
