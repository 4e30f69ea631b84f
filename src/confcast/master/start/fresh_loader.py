"""A loader found under the code that is on disk now: a new process imports it, and sends it to this process as data.

A server's master imported its loader's module when it started. After a deploy the master still has the old code of that
module, and of every module that it imports; workers that the master forks would inherit it. A new process, which has
imported nothing, finds what a restart would find, with the master's interpreter, flags, search path and working
directory, and then exits. It is started as an owner is (interpreter.py): a frozen program without an interpreter is
refused, and the search path is passed in a file without a name.

Rejected: `importlib.reload` (names that other modules imported from the old module stay; a module that raises half way
is left half changed), and multiprocessing (its resource tracker would stay with a master that forks).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import msgspec

from confcast.config.loader import ConfigLoader, LoaderSpec
from confcast.errors import ConfcastError, ConfigError, NotCarried, Problem
from confcast.master.start import interpreter
from confcast.master.start.execute import nameless_file
from confcast.master.start.popen import content, started
from confcast.wire.decoders import decode
from confcast.wire.signal_mask import BLOCKED_AT_THE_START, held_back

_NAME = "confcast.loader"
_IMPORT_TIMEOUT = 30.0


class _Question(msgspec.Struct, frozen=True):
    """What the new process gets: the loader's path, as MODULE:NAME, and the search path."""

    path: str
    sys_path: list[bytes]  # as UTF-8 with surrogates: file names may be any bytes


class _Found(msgspec.Struct, frozen=True):
    """The new process's answer: a loader, or why there is none."""

    spec: LoaderSpec | None = None
    problems: list[Problem] = []
    reason: str = ""


class _Described(ConfigLoader[Any]):
    """A loader that can only be given to a manager: this process imports nothing that it names."""

    def __init__(self, spec: LoaderSpec) -> None:
        super().__init__(spec.schema)
        self._spec = spec

    def _to_spec(self) -> LoaderSpec:
        """The description that the new process sent."""
        return self._spec


def find_afresh(path: str, executable: str | None, *, instrument: bool = True) -> ConfigLoader[Any]:
    """Find a loader: see `EmbeddedManager.find_afresh`. Raises ConfigError."""
    try:
        command = interpreter.finder(executable, instrument=instrument)
    except ConfcastError as error:
        raise _unanswered(path, str(error)) from error
    entries = [entry.encode("utf-8", "surrogatepass") for entry in interpreter.search_path()]
    try:
        with _file(msgspec.msgpack.encode(_Question(path, entries))) as question, _file() as answers:
            status = _run(path, command, question.fileno(), answers.fileno())
            answers.seek(0)
            return _taken(path, answers.read(), status)
    except OSError as error:
        raise _unanswered(path, f"no process can be started: {error}") from error


def _run(path: str, command: interpreter.Command, question: int, answers: int) -> int:
    """Run the new process to its end; its exit status. Raises ConfigError, OSError."""
    with _file(content(command) or b"") as path_file:
        given = (answers, path_file.fileno(), question)
        with held_back():
            process = started(command, [_NAME, *map(str, given)], pass_fds=given)
    try:
        return process.wait(_IMPORT_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise _unanswered(path, f"its module was not imported within {_IMPORT_TIMEOUT:g} s") from None
    finally:
        process.kill()
        process.wait()


@contextmanager
def _file(content: bytes = b"") -> Iterator[IO[bytes]]:
    """A nameless file, opened for reading from its beginning, for content that may be long or secret."""
    with os.fdopen(nameless_file(_NAME), "w+b") as file:
        file.write(content)
        file.seek(0)
        yield file


def _taken(path: str, answered: bytes, status: int) -> ConfigLoader[Any]:
    try:
        found = decode(answered, _Found)
    except msgspec.DecodeError:
        how = f"status {status}" if status >= 0 else f"signal {-status}"
        raise _unanswered(path, f"the process that imports its module ended with {how}") from None
    if found.spec is None:
        raise ConfigError(found.problems, found.reason)
    return _Described(found.spec)


def answer(write_end: int, question: int) -> None:
    """Find the loader, and send it. Called in the new process."""
    _outlive_what_a_service_is_sent()
    with os.fdopen(question, "rb") as file:
        asked = decode(file.read(), _Question)
    sys.path[:] = [entry.decode("utf-8", "surrogatepass") for entry in asked.sys_path]
    try:
        found = _Found(ConfigLoader.find(asked.path)._to_spec())
    except ConfigError as error:
        found = _Found(problems=error.problems, reason=error.reason)
    except (NotCarried, TypeError) as error:
        found = _Found(problems=[Problem("", f"{asked.path}: {error}")], reason="validation_failed")
    with os.fdopen(write_end, "wb") as answers:
        answers.write(msgspec.msgpack.encode(found))


def _outlive_what_a_service_is_sent() -> None:
    """Ignore HUP, USR1 and RTMIN, which a service's processes get. Programs that a module starts don't inherit it."""
    for number in BLOCKED_AT_THE_START:
        signal.signal(number, lambda number, frame: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED_AT_THE_START)


def _unanswered(path: str, why: str) -> ConfigError:
    return ConfigError([Problem("", f"{path} can't be found: {why}")])
