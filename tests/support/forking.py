"""A forked child that does one thing and is gone: it never becomes a second test run, whatever it raises."""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable


def holds_in_child(condition: Callable[[], bool]) -> bool:
    """Whether the condition is true in a fork of this process. What it raises there is printed, and false."""
    child = _fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    status = 1
    try:
        status = 0 if condition() else 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def said_in_child(act: Callable[[], object]) -> str:
    """What `act` gives, or what it raises, in a fork of this process."""
    ear, mouth = os.pipe()
    child = _fork()
    if child == 0:
        try:
            said = str(act())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(mouth, said.encode())
        os._exit(0)
    os.close(mouth)
    with os.fdopen(ear) as file:
        said = file.read()
    os.waitpid(child, 0)
    return said


def _fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # this process has threads; the child uses none of them
        return os.fork()
