"""Starts the program of a `Command`, for execute.py and fresh_loader.py, with the `Popen` that the command asks for.

A debugger that follows child processes puts functions of its own in the place of `fork_exec`; a profiler or an agent
wraps `Popen.__init__`. Each changes a command that starts a Python, so that the tool starts first. For an owner that is
not to be instrumented, second modules are made from the files of `subprocess`, `_posixsubprocess` and `os`, which
nobody has changed: the modules that other code imports stay as they are.

Rejected: undoing each tool's changes (they are private, and other threads start programs meanwhile), and
`os.posix_spawn` (it can't close the descriptors that a server made inheritable, and debuggers replace it, too).
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
from itertools import chain
from types import ModuleType
from typing import Any, cast

from confcast.master.start import surroundings
from confcast.master.start.interpreter import Command, as_file


def started(command: Command, arguments: list[str], **how: Any) -> subprocess.Popen[bytes]:
    """Start the program with these arguments, and with nothing on its standard input. Raises OSError.

    Args:
        command: The program to start.
        arguments: What it gets besides its own.
        **how: As `Popen` takes it.
    """
    words = [*command.arguments, *arguments]
    if command.instrument:
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, **how)  # noqa: S603 - our program, our arguments
    frozen = command.path is None  # such a program could not be given back what is left out
    environment = dict(os.environ) if frozen else surroundings.without_tools(os.environ)
    return untouched_popen()(words, stdin=subprocess.DEVNULL, env=environment, **how)


def content(command: Command) -> bytes | None:
    """What stands in the file with the search path: the path, and the variables that the program gets with it."""
    if command.instrument or command.path is None:
        return command.path
    hidden = surroundings.hidden(os.environ)
    return b"\0".join([command.path, *([as_file(chain(*hidden.items()))] if hidden else [])])


def untouched_popen() -> type[subprocess.Popen[bytes]]:
    """A class that starts programs as `subprocess.Popen` does in a process without any tool. Takes a millisecond."""
    import _posixsubprocess  # here: most owners don't need it

    fresh = _made_again(subprocess)
    # gevent's os.close() closes later: Popen would read for ever from a pipe whose other end it has closed itself.
    vars(fresh).update(_fork_exec=_made_again(_posixsubprocess).fork_exec, os=_made_again(os))
    return cast("type[subprocess.Popen[bytes]]", fresh.Popen)


def _made_again(module: ModuleType) -> ModuleType:
    """A module of the same file, which no other code can find."""
    spec = module.__spec__
    assert spec is not None, module
    assert spec.loader is not None, module
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made
