"""The arguments `KEY=VALUE` of a command: the text of a value as it is given, or from a file or standard input.

`KEY=@FILE` takes the content of a file, `KEY=@-` that of standard input, both without a last line break; so a secret
stands neither in the shell's history nor in the list of processes. A value that begins with `@` is written `KEY=@@…`.
Nothing is converted here: the owner does that, as for an environment variable.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

_KEY = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^="])+(?==)')


def assignments(words: Iterable[str]) -> dict[str, str]:
    """The texts by key.

    Raises:
        ValueError: A word is no assignment, a key is given twice, or a file can't be read. No value is quoted.
    """
    found: dict[str, str] = {}
    for word in words:
        key, text = _assignment(word)
        if key in found:
            raise ValueError(f"{key} is set twice: leave one out")
        found[key] = text
    return found


def _assignment(word: str) -> tuple[str, str]:
    match = _KEY.match(word)
    if match is None:
        shown = word.partition("=")[0]
        raise ValueError(f"{shown!r} is no assignment: write KEY=VALUE, KEY=@FILE, or KEY=@- for standard input")
    key, value = match[0], word[match.end() + 1 :]
    if value.startswith("@@"):
        return key, value[1:]
    return key, _content(key, value[1:]) if value.startswith("@") else value


def _content(key: str, path: str) -> str:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise ValueError(f"the value of {key} can't be read from {path!r}: {why}") from None
    return text.removesuffix("\n").removesuffix("\r")
