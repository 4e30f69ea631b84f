"""The options that this interpreter was started with, as arguments for another one that must behave alike.

They are `-O`, `-I`, `-E`, `-P`, `-s`, `-S`, `-b`, `-B`, `-W` and every option of `-X`. This file imports the standard
library only, so that a test can run it with each version of Python.

Rejected: `sys.orig_argv` (only the interpreter knows where its options end; an embedding program has others), and a
table alone (the standard library's function has the exceptions that its versions need).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

_LETTERS = {
    "optimize": "O",
    "dont_write_bytecode": "B",
    "no_site": "S",
    "verbose": "v",
    "bytes_warning": "b",
    "quiet": "q",
}
_ISOLATION = {"ignore_environment": "E", "no_user_site": "s", "safe_path": "P"}


def flags() -> list[str]:
    """The options, by the private function of the standard library that multiprocessing uses.

    If that function is gone or returns something else, `sys.flags` is read. It leaves out most options of -X, which are
    added here.
    """
    found = _checked(getattr(subprocess, "_args_from_interpreter_flags", None))
    if found is None:
        found = from_sys_flags()
    for name, value in sys._xoptions.items():
        option = name if value is True else f"{name}={value}"
        if option not in found:
            found += ["-X", option]
    return found


def from_sys_flags() -> list[str]:
    """The options except -X, found without any private name."""
    letters = _LETTERS | ({"isolated": "I"} if sys.flags.isolated else _ISOLATION)
    given = [f"-{letter * int(value)}" for name, letter in letters.items() if (value := getattr(sys.flags, name, 0))]
    return given + [f"-W{option}" for option in sys.warnoptions]


def _checked(function: Callable[[], Any] | None) -> list[str] | None:
    if function is None:
        return None
    try:
        found = function()
    except TypeError:  # a later version that wants arguments
        return None
    return list(found) if isinstance(found, list) and all(isinstance(each, str) for each in found) else None
