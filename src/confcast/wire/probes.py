"""Probes: what a manager asks outside of its workers while a version is provisional, as data for the config owner.

`owner/loop/probing.py` runs them. Rejected: a probe of the user's own as a class (it would run in the owner, beside the
loop, with no bound on what it does; a command has one).
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from typing import Any

import msgspec

from confcast.wire import urls

_LONGEST = 3600.0


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """The base of the two probes."""

    every: float = 5.0

    @property
    def shown(self) -> str:
        """What messages call it, without what may be secret in it."""
        return type(self).__name__

    def _check_every(self) -> None:
        if type(self.every) not in (int, float) or not 0 < self.every <= _LONGEST or math.isnan(self.every):
            raise ValueError(f"every={self.every!r}: a number of seconds above 0, and at most 3600, is expected")


class Command(Probe, frozen=True, tag="command"):
    """A program that is asked, while a version is provisional, whether it is well. No shell runs it.

    Exit status 0 is a yes, and any other one a no: the version is undone, and the first line of the program's output is
    in the evidence. A program that can't be started, that a signal has ended, or that needs longer than `every`, has
    given no answer: that is logged, counted, and no evidence. It is killed then, with what it has started.

    Args:
        command: The program and its arguments, as texts. It runs in the server's working directory, with the owner's
            environment, and reads nothing.
        every: Seconds between the starts of two runs, and for each run.

    Raises:
        TypeError: The command is a text, or has anything but texts in it.
        ValueError: It is empty, or `every` is out of range.

    Example:
        >>> ConfigReloadManager(loader, probes=[Command(["bin/smoke-test", "--quick"], every=10)])
    """

    command: Sequence[str]

    def __post_init__(self) -> None:
        self._check_every()
        if isinstance(self.command, str):
            raise TypeError(f"command={self.command!r}: a list of texts is expected, as {_words(self.command)!r}")
        words = tuple(self.command)
        if wrong := [word for word in words if not isinstance(word, str)]:
            raise TypeError(f"command: {wrong[0]!r} is no text")
        if not words or not words[0] or any("\0" in word for word in words):
            raise ValueError("command: a program and its arguments are expected")
        msgspec.structs.force_setattr(self, "command", words)

    @property
    def shown(self) -> str:
        """The program; its arguments may be secret."""
        return self.command[0] + (" …" if len(self.command) > 1 else "")

    def __repr__(self) -> str:
        return f"Command({self.shown})"


class Http(Probe, frozen=True, tag="http"):
    """A URL that is asked, while a version is provisional, whether it is well.

    An answer with a status of 200 to 399 is a yes, and any other one a no: the version is undone. No answer within
    `every`, a connection that is refused or lost, and a certificate that can't be verified, are none: that is logged,
    counted, and no evidence. A redirect is followed to the same host and port only; one to elsewhere is a yes. Proxies
    of the environment are not used.

    Args:
        url: `http://` or `https://`. A user and a password in it are sent as Basic authentication; neither they nor
            the query are shown.
        every: Seconds between two requests, and for each of them.

    Raises:
        ValueError: It is no such URL, or `every` is out of range.

    Example:
        >>> ConfigReloadManager(loader, probes=[Http("http://127.0.0.1:8000/healthz")])
    """

    url: str

    def __post_init__(self) -> None:
        self._check_every()
        if not urls.is_http(self.url):
            raise ValueError("url: a URL that begins with http:// or https:// is expected, without blanks")

    @property
    def shown(self) -> str:
        """The URL without its password, its query and its fragment."""
        return urls.shown(self.url)

    def __repr__(self) -> str:
        return f"Http({self.shown})"


AnyProbe = Command | Http


def _words(command: str) -> list[str]:
    """The words as a shell would take them; where it would not, those between blanks."""
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def probe_of_text(text: str) -> AnyProbe:
    """The probe that a word of a command line names: a URL, or a program with its arguments. Raises ValueError."""
    if text.partition("://")[0] in ("http", "https"):
        return Http(text)
    return Command(shlex.split(text))


def checked(probes: Any, most: int = 16) -> tuple[AnyProbe, ...]:
    """The probes of a manager. Raises ValueError."""
    if isinstance(probes, AnyProbe):
        raise ValueError("a list of probes is expected, such as [probes.Http('http://127.0.0.1:8000/healthz')]")
    found = tuple(probes) if isinstance(probes, list | tuple) else (probes,)
    if not all(isinstance(each, AnyProbe) for each in found):
        raise ValueError("probes are expected, such as [probes.Http('http://127.0.0.1:8000/healthz')]")
    if len(found) > most:
        raise ValueError(f"at most {most} probes are expected")
    return found
