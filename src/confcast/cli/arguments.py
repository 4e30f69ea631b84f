"""What commands take as text: durations, and the assignments `K=V` of values that are set."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from confcast.wire.messages import LONGEST_TTL

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_KEY = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^="])+(?==)')
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smh]?)")


def duration(text: str) -> float:
    """Seconds: `90`, `60s`, `10m` or `2h`; at most ten years. Raises ArgumentTypeError."""
    found = _DURATION.fullmatch(text)
    if found is None or float(found[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration above 0: give 90, 60s, 10m or 2h")
    if (seconds := float(found[1]) * _UNITS[found[2]]) > LONGEST_TTL:
        raise argparse.ArgumentTypeError(f"{text!r} is longer than ten years: give a shorter time")
    return seconds


def assignment(text: str) -> tuple[str, str]:
    """Key and text of `K=V`. Raises ArgumentTypeError, without the value in it.

    `K=@FILE` takes the file's text, and `K=@-` that of standard input, without its last end of line. A value that
    begins with `@` is written `K=@@…`. A key in quotes may have `=` in it.
    """
    found = _KEY.match(text)
    if found is None:
        raise argparse.ArgumentTypeError("give KEY=VALUE, KEY=@FILE or KEY=@- (standard input)")
    key, value = found[0], text[found.end() + 1 :]
    if not value.startswith("@") or value.startswith("@@"):
        return key, value.removeprefix("@")
    try:
        given = sys.stdin.read() if value == "@-" else Path(value[1:]).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise argparse.ArgumentTypeError(f"{key}: {value[1:]} can't be read: {why}") from None
    return key, given.removesuffix("\n").removesuffix("\r")


def on_the_command_line(words: Iterable[str]) -> set[str]:
    """The keys whose values stand in these words, where other users may read them in the list of processes."""
    found = ((key[0], word[key.end() + 1 :]) for word in words if (key := _KEY.match(word)))
    return {key for key, value in found if value and (value.startswith("@@") or not value.startswith("@"))}


def module_and_name(text: str) -> str:
    """The name of a loader, as it is typed. Raises ArgumentTypeError."""
    if not all(text.partition(":")):
        raise argparse.ArgumentTypeError(f"{text!r} has to be MODULE:NAME, such as pkg.settings:loader")
    return text
