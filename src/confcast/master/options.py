"""What a manager's options may be. Refused in the caller's process, and in words: the owner would end at its start.

Rejected: leaving it to the owner's decoder (its error would name a field of a message, not an option).
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

from confcast.config.loader import ConfigLoader


def check_loader(loader: object) -> None:
    """Raises TypeError: it is none."""
    if not isinstance(loader, ConfigLoader):
        hint = f"; the one at this path is ConfigLoader.find({loader!r})" if isinstance(loader, str) else ""
        raise TypeError(f"loader={loader!r}: a ConfigLoader is expected{hint}")


def folder(state_dir: str | os.PathLike[str] | None) -> Path | None:
    """The same one after a change of the working directory. Raises ValueError: the text is empty, and names none."""
    if state_dir is None:
        return None
    if not os.fspath(state_dir):
        raise ValueError("state_dir='': a folder is expected, or None")
    return Path(state_dir).absolute()


def executable(given: str | os.PathLike[str] | None) -> str | None:
    """A program's path, independent of the working directory, or its name. Raises ValueError: the text is empty."""
    if given is None:
        return None
    path = os.fspath(given)
    if not path:
        raise ValueError("executable='': a Python interpreter is expected, or None")
    return os.path.abspath(path) if os.sep in path else path  # noqa: PTH100 - a name is looked for in PATH


DURATIONS = ("vote_timeout", "precommit_timeout", "load_timeout")
"""The options that are seconds."""


LogLevel = Literal["debug", "info", "warning", "error", "critical"]
"""From which severity on an owner's lines are written."""


def check(
    name: object,
    seconds: Mapping[str, object],
    silent: object,
    history_limit: object,
    supervise: object,
    log_level: object,
) -> None:
    """Raises ValueError: an option can't have this value."""
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"name={name!r}: a name is expected, such as 'app'")
    for option, value in seconds.items():
        if type(value) not in (int, float) or not 0 < value < math.inf:  # type: ignore[operator]  # a number by now
            raise ValueError(f"{option}={value!r}: a number of seconds above 0 is expected")
    if type(history_limit) is not int or history_limit < 0:
        raise ValueError(f"history_limit={history_limit!r}: a number of events is expected, 0 or more")
    for option, value, words in (
        ("silent", silent, ("proceed", "refuse")),
        ("supervise", supervise, ("thread", "caller")),
        ("log_level", log_level, get_args(LogLevel)),
    ):
        if value not in words:
            expected = f"{', '.join(map(repr, words[:-1]))} or {words[-1]!r}"
            raise ValueError(f"{option}={value!r}: {expected} is expected")
