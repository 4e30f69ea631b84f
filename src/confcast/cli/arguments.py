"""What commands take as text: durations, and the assignments `K=V` of values that are set."""

from __future__ import annotations

import argparse
import errno
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from confcast.wire.messages import LONGEST_TTL, MAX_REQUEST

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
    key, value = _key_and_value(text)
    if not value.startswith("@") or value.startswith("@@"):
        return key, value.removeprefix("@")
    if value == "@":
        raise argparse.ArgumentTypeError(f"{key}: give the file's name behind the @, or - for standard input")
    name = "standard input" if value == "@-" else value[1:]
    try:
        given = _read(value[1:])
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise argparse.ArgumentTypeError(f"{key}: {name} can't be read: {why}") from None
    if len(given) > MAX_REQUEST:
        raise argparse.ArgumentTypeError(f"{key}: {name} is larger than {MAX_REQUEST // 1024**2} MiB, the most to set")
    return key, given.removesuffix("\n").removesuffix("\r")


def assignments(words: Iterable[str]) -> dict[str, str]:
    """The texts of `K=V` words, by key. Raises ArgumentTypeError, also if only one of two words could count."""
    given = list(words)
    pairs = list(map(_key_and_value, given))
    keys = [key for key, _ in pairs]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise argparse.ArgumentTypeError(f"{twice} is given twice: leave one of its values out")
    if len(by_input := [key for key, value in pairs if value == "@-"]) > 1:
        raise argparse.ArgumentTypeError(f"{' and '.join(by_input)}: standard input can be read for one key only")
    return dict(map(assignment, given))


def _key_and_value(text: str) -> tuple[str, str]:
    found = _KEY.match(text)
    if found is None:
        raise argparse.ArgumentTypeError("give KEY=VALUE, KEY=@FILE or KEY=@- (standard input)")
    return found[0], text[found.end() + 1 :]


def _read(name: str) -> str:
    """The text of a file, or of standard input (`-`), as far as a request could carry it: a pipe may have no end."""
    if name != "-":
        with Path(name).open(encoding="utf-8") as file:
            return file.read(MAX_REQUEST + 1)
    if sys.stdin is None:  # its descriptor is closed
        raise OSError(errno.EBADF, "it is closed")
    return sys.stdin.read(MAX_REQUEST + 1)


def on_the_command_line(words: Iterable[str]) -> set[str]:
    """The keys whose values stand in these words, where other users may read them in the list of processes."""
    found = ((key[0], word[key.end() + 1 :]) for word in words if (key := _KEY.match(word)))
    return {key for key, value in found if value and (value.startswith("@@") or not value.startswith("@"))}


def module_and_name(text: str) -> str:
    """The name of a loader, as it is typed. Raises ArgumentTypeError."""
    if not all(text.partition(":")):
        raise argparse.ArgumentTypeError(f"{text!r} has to be MODULE:NAME, such as pkg.settings:loader")
    return text
