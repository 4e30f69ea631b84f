"""Reads what a program prints as a source, and runs it again from time to time.

Guarantees. The program runs in the config owner, with its rights, and never in a worker; no shell runs it. It ends
within `timeout`, with all that it has started in its process group, whatever it ignores. An exit status other than 0, a
timeout, no output, and output that is no document refuse the load with what the program said on its standard error, and
what runs stays: half an output is never taken for a whole one. No message shows the arguments, which may be secret.

Rejected: to keep the last output on disk, as that of a server is (a program that fails says so, and is repaired on this
machine), a shell (`["sh", "-c", "…"]` is one), and to go on with output that is followed by a failure.
"""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from confcast.config.schema.kinds import Secret
from confcast.config.schema.masking import masking
from confcast.config.schema.secret_urls import secrets_of_url
from confcast.config.sources import polled
from confcast.config.sources.file import _SUFFIXES, FORMATS, Format
from confcast.config.sources.formats.common import MAX_BYTES
from confcast.config.sources.layer import Layer
from confcast.config.sources.polled import Told
from confcast.texts import shortened
from confcast.wire import programs
from confcast.wire.messages import WithSecrets

_LONGEST_TIMEOUT = 600.0
_LONGEST_SAID = 300
_LINES = 3
_MIB = 1024**2
_OPTION = re.compile(r"[\w.-]+=(?P<value>.+)", re.DOTALL)
_HEADER = re.compile(r"[\w.-]+:\s*(?P<value>.+)", re.DOTALL)
_PATH = re.compile(r"\.{0,2}(?:/[\w.@-]{1,32}){2,}/?")


class _Options(WithSecrets, frozen=True, kw_only=True):
    SHOWN = ("shown",)

    every: float = 30.0
    timeout: float = 5.0
    format: Format = "toml"
    allow_empty: bool = False


class Command(_Options, frozen=True):
    """A document that a program prints.

        Command(["bin/settings", "--json"], format="json")

    The config owner runs it at each load, and every `every` seconds, a tenth sooner or later. It runs in the server's
    working directory, with the owner's environment, and reads nothing. It has to print a whole document (16 MiB at the
    most) to its standard output, and to exit with 0.

    Args:
        command: The program and its arguments, as texts. The arguments are never shown.
        every: Seconds between two runs.
        timeout: Seconds for a run. Then the program is killed, and what it has started.
        format: What it prints, as of `File`.
        allow_empty: Whether it may print nothing, which sets no key.

    Raises:
        TypeError: The command is a text, or has anything but texts in it.
        ValueError: It is empty, or an option is none.
    """

    command: Annotated[tuple[str, ...], Secret]

    if TYPE_CHECKING:
        # A Struct that is sent to another process has a tuple; callers may give any sequence.
        def __init__(
            self,
            command: Sequence[str],
            *,
            every: float = 30.0,
            timeout: float = 5.0,
            format: Format = "toml",  # noqa: A002
            allow_empty: bool = False,
        ) -> None: ...

    def __post_init__(self) -> None:
        given: Any = self.command
        if isinstance(given, str | bytes):
            raise TypeError(f"command: a list of texts is expected{_as_words(given)}")
        words = tuple(given)
        if not all(isinstance(word, str) for word in words):
            raise TypeError("command: a list of texts is expected, and one of its items is none")
        if not words or not words[0] or any("\0" in word for word in words):
            raise ValueError("command: a program and its arguments are expected")
        msgspec.structs.force_setattr(self, "command", words)
        polled.checked_seconds("every", self.every, polled.LONGEST)
        polled.checked_seconds("timeout", self.timeout, _LONGEST_TIMEOUT)
        if self.format not in _SUFFIXES.values():
            raise ValueError(f"unknown format {self.format!r}: it has to be {FORMATS}")

    @property
    def shown(self) -> str:
        """The program, as messages show it; its arguments may be secret."""
        return self.command[0] + (" …" if len(self.command) > 1 else "")

    def read(self) -> Layer:
        """Run the program, and parse what it prints. May take `timeout` seconds.

        Raises:
            ConfigError: It can't be run, fails, does not end in time, or prints no document.
        """
        return polled.ask(self, self.every, self._asked).given()

    def content_fingerprint(self) -> bytes:
        """The fingerprint of what the last run has printed; nothing is run. Never raises."""
        return polled.fingerprint(self)

    def poll(self) -> float:
        """Run the program again, if it is time; returns the seconds until the next run."""
        return polled.poll(self, self.every, self._asked)

    def _text_called(self, shown: str) -> bytes | None:
        """What it has printed, if messages call this source so."""
        return polled.text_called(self, shown)

    def _asked_now(self) -> Told:
        return polled.asked(self, self.every, self._asked)

    def _asked(self, before: Told | None) -> Told:
        try:
            ended = programs.run(self.command, time.monotonic() + self.timeout, MAX_BYTES)
        except programs.NotStarted as error:
            return self._fault(f"can't be started: {error.strerror}")
        except OSError as error:
            return self._fault(f"can't be watched while it runs: {error.strerror}")
        said = self._said(ended.errors)
        if ended.too_long:
            return self._fault(f"prints more than {MAX_BYTES // _MIB} MiB, and was killed", said)
        if ended.status is None:
            return self._fault(f"has not ended within {self.timeout:g} s, and was killed", said)
        code = os.waitstatus_to_exitcode(ended.status)
        if code:
            return self._fault(f"exited with status {code}" if code > 0 else f"was ended by signal {-code}", said)
        if before is not None and before.layer and before.fingerprint == polled.mark_of(ended.output, self.format):
            return before
        if not ended.output.strip() and not self.allow_empty:
            return self._fault("prints nothing (allow_empty=True accepts that)", said)
        return polled.parsed(ended.output, self.format, self.shown, allow_empty=self.allow_empty)

    def _fault(self, text: str, said: str = "") -> Told:
        """What the program said counts not, when two faults are compared: it may have a date in it."""
        return polled.fault(f"{text}{f': {said}' if said else ''}", self.shown, same=text)

    def _said(self, errors: bytes) -> str:
        """The last lines of what the program said on its standard error, without its arguments but for paths."""
        hidden = [each for word in self.command[1:] for each in _secrets_of(word)]
        lines = [line.strip() for line in errors.decode(errors="replace").splitlines() if line.strip()]
        return shortened(masking(hidden)(" | ".join(lines[-_LINES:])), _LONGEST_SAID)


def _secrets_of(word: str) -> Iterator[Any]:
    """What may be secret in an argument, as a program may quote it; nothing of one that is a path."""
    if _is_path(word):
        return
    yield word
    if "//" in word and not re.search(r"\s", word):
        yield from secrets_of_url(word)
    if (option := _OPTION.fullmatch(word)) and not _is_path(option["value"]):
        yield option["value"]
    if header := _HEADER.fullmatch(word):
        yield from header["value"].split()


def _is_path(word: str) -> bool:
    """Whether this is a path, though perhaps of a file that is missing: a token may have a `/` in it, too."""
    return os.sep in word and (os.path.lexists(word) or _PATH.fullmatch(word) is not None)


def _as_words(given: str | bytes) -> str:
    """How a text would be given as a list: nothing that is quoted is left out of what the caller wrote."""
    try:
        return f", such as {shlex.split(given)!r}" if isinstance(given, str) else ""
    except ValueError:
        return ""
