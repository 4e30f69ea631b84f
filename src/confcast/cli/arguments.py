"""What commands take as text: durations, and the assignments `K=V` of values that are set."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smh]?)")


def duration(text: str) -> float:
    """Seconds: `90`, `60s`, `10m` or `2h`. Raises ArgumentTypeError."""
    found = _DURATION.fullmatch(text)
    if found is None or float(found[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration above 0: give 90, 60s, 10m or 2h")
    return float(found[1]) * _UNITS[found[2]]


def assignment(text: str) -> tuple[str, str]:
    """Key and text of `K=V`. Raises ArgumentTypeError, without the value in it.

    `K=@FILE` takes the file's text, and `K=@-` that of standard input, without its last end of line.
    """
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError("give KEY=VALUE, KEY=@FILE or KEY=@- (standard input)")
    if not value.startswith("@"):
        return key, value
    try:
        given = sys.stdin.read() if value == "@-" else Path(value[1:]).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise argparse.ArgumentTypeError(f"{key}: {value[1:]} can't be read: {why}") from None
    return key, given.removesuffix("\n").removesuffix("\r")


def on_the_command_line(words: Iterable[str]) -> set[str]:
    """The keys whose values stand in these words, where other users may read them in the list of processes."""
    return {key for key, _, value in (word.partition("=") for word in words) if value and not value.startswith("@")}
