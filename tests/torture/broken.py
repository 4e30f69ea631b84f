"""Texts that are no content, and the two parts of one that is written in two.

`right` is the last line of a content, so what is cut anywhere before it is refused for what it lacks, and is no other
valid content.
"""

from __future__ import annotations

import random

from tests.torture import content

KINDS = ("syntax", "type", "missing", "empty", "cut", "garbage")
"""What a text may be instead of a content; a file that is not there, or no file, has no text."""
_SOME = 200
"""Bytes of garbage."""


def text(kind: str, serial: int, lines: int = 0) -> bytes:
    """A text that is no content.

    Args:
        kind: One of `KINDS`.
        serial: The number that it would have, where it has one: no request may ever see it.
        lines: Of padding.
    """
    whole = content.text(serial, padding=lines).encode()
    head, _ = halves(whole, at_its_end=True)
    texts = {
        "syntax": head + b"right = = 1\n",
        "type": head + f'right = "{serial}"\n'.encode(),
        "missing": head,
        "empty": b"",
        "cut": whole[: len(whole) // 2],
        "garbage": random.Random(serial).randbytes(_SOME),
    }
    return texts[kind]


def halves(whole: bytes, *, at_its_end: bool = False) -> tuple[bytes, bytes]:
    """A content in two parts, the second of which has its last line: cut in the middle, or just before that line."""
    end = whole.rindex(b"right = ")
    at = end if at_its_end else min(len(whole) // 2, end)
    return whole[:at], whole[at:]
