"""A process of its own finds a loader under the code that is on disk now, and sends it here as data.

A server's master has imported its loader's module when it started. After a deploy that module, and every module that it
imports, is the old one in the master for good; and workers that the master forks would inherit them. A process that has
imported nothing finds what a restart would find, with the master's interpreter, its flags, its search path and its
working directory, and ends.

Rejected: `importlib.reload` (the names that other modules took from the old one stay; a module that raises half way is
left half changed), and multiprocessing (its resource tracker would stay with a master that forks).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from multiprocessing import spawn
from typing import IO, Any

import msgspec

from confcast.config.loader import ConfigLoader, LoaderSpec
from confcast.errors import ConfigError, NotCarried, Problem

_PATIENCE = 30.0


class _Found(msgspec.Struct, frozen=True):
    """What the process answers: a loader, or why there is none."""

    spec: LoaderSpec | None = None
    problems: list[Problem] = []
    reason: str = ""


class _Described(ConfigLoader[Any]):
    """A loader that is only handed on: nothing of what it names is imported here."""

    def __init__(self, spec: LoaderSpec) -> None:
        super().__init__(spec.schema)
        self._spec = spec

    def to_spec(self) -> LoaderSpec:
        """What was sent."""
        return self._spec


def find_afresh(path: str, timeout: float = _PATIENCE) -> ConfigLoader[Any]:
    """See `ConfigLoader.find_afresh`. Raises ConfigError."""
    with _unnamed_file() as answers:
        try:
            process = _start(path, answers.fileno())
        except OSError as error:
            raise _unanswered(path, f"no process can be started: {error}") from error
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise _unanswered(path, f"its module was not imported within {timeout:g} s") from None
        finally:
            process.kill()
            process.wait()
        answers.seek(0)
        return _taken(path, answers.read(), process.returncode)


def _start(path: str, descriptor: int) -> subprocess.Popen[bytes]:
    program = f"import sys; sys.path[:] = {sys.path!r}; from confcast.config import fresh_loader; fresh_loader.answer()"
    interpreter = os.fsdecode(spawn.get_executable() or sys.executable)
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing takes them
    command = [interpreter, *flags, "-c", program, path, str(descriptor)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(descriptor,))  # noqa: S603 - ours


def _unnamed_file() -> IO[bytes]:
    """For an answer of any size, which overrides may make secret; a module's own prints go elsewhere."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("confcast-loader"), "w+b")
    return tempfile.TemporaryFile()


def _taken(path: str, answered: bytes, status: int) -> ConfigLoader[Any]:
    try:
        found = msgspec.msgpack.decode(answered, type=_Found)
    except msgspec.DecodeError:
        how = f"status {status}" if status >= 0 else f"signal {-status}"
        raise _unanswered(path, f"the process that imports its module ended with {how}") from None
    if found.spec is None:
        raise ConfigError(found.problems, found.reason)
    return _Described(found.spec)


def answer() -> None:
    """In the process: find the loader, and send it."""
    path, write_end = sys.argv[1:]
    try:
        found = _Found(ConfigLoader.find(path).to_spec())
    except ConfigError as error:
        found = _Found(problems=error.problems, reason=error.reason)
    except (NotCarried, TypeError) as error:
        found = _Found(problems=[Problem("", f"{path}: {error}")], reason="validation_failed")
    with os.fdopen(int(write_end), "wb") as answers:
        answers.write(msgspec.msgpack.encode(found))


def _unanswered(path: str, why: str) -> ConfigError:
    return ConfigError([Problem("", f"{path} can't be found: {why}")])
