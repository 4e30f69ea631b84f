"""How a report reaches a terminal: folded to its width, and coloured.

Guaranteed: standard output that is no terminal gets the text unchanged, on unbroken lines. On a terminal, the words are
the same: a line breaks between two words only, so that a path or a key can be copied in one piece, and nothing is cut.
There are colours if rich is installed (the extra `cli`), `NO_COLOR` is empty and the terminal has colours.

rich knows what a terminal can show; it is imported for a terminal alone, and decides on no word. Rejected: tables of
rich (a report would differ without it, and columns that have no room are cut), and colours by the commands themselves
(each would have to switch them off).
"""

from __future__ import annotations

import os
import re
from typing import TextIO

_COLORS = (
    (r"^(success|unchanged|ok|would apply|published|promoted|confirmed|rolled back)\b", "bold green"),
    (r"^(partial|held|on_trial)\b", "bold yellow"),
    (
        r"^(validation_failed|file_not_found|io_error|rejected|owner_unavailable|conflict|guarded|undone|stopped)\b",
        "bold red",
    ),
    (r"(?:^|(?<=  ))(behind|late|declined|disconnected|no answer|held)(?=  |$)", "yellow"),
    (r"(?:^|(?<=  ))(refused|unreadable|unknown)(?=:)", "red"),
    (r"(?:^|(?<=  ))(current|applied)(?=  |:|$)", "green"),
    (r"^(declined|now|refused|trouble|held)(?=  )", "bold yellow"),
    (r"^ *[A-Z][A-Z ]+$", "bold"),
    (r"^[a-z]+(?=  )", "bold"),
)
"""What is coloured, by its place in a line: a header, a label, the result that a line begins with, a cell."""

_HANGING = r" *[^ ]+ {2,}(?=[^ ])| +"
"""What a line begins with, below which its further lines stay free: a label, or an indent."""


def columns(stream: TextIO | None) -> int:
    """How many characters a line of this stream has room for; 0 if it is no terminal, or does not say."""
    if stream is None or not is_terminal(stream):
        return 0
    try:
        asked = int(os.environ.get("COLUMNS", ""))
    except ValueError:
        asked = 0
    try:
        return asked if asked > 0 else os.get_terminal_size(stream.fileno()).columns
    except OSError:
        return 0


def shown(text: str, stream: TextIO | None) -> str:
    """The report's text as this stream gets it."""
    if stream is None or not is_terminal(stream):
        return text
    if width := columns(stream):
        text = "\n".join(folded(each, width) for each in text.split("\n"))
    return _colored(text, stream) if not os.environ.get("NO_COLOR") else text


def folded(line: str, width: int) -> str:
    """This line in as many lines as it needs, broken at blanks; further lines are indented like its beginning."""
    if cells(line) <= width:
        return line
    import textwrap  # imported here, and patterns are not compiled earlier: most lines fit

    start = re.match(_HANGING, line)
    head = start[0] if start and len(start[0]) <= width // 2 else ""
    return "\n".join(
        textwrap.wrap(
            line[len(head) :],
            width,
            initial_indent=head,
            subsequent_indent=" " * (len(head) or 2),
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def cells(text: str) -> int:
    """How many columns of a terminal this text takes: letters of East Asia take two, combining marks none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(each) else 2 if east_asian_width(each) in "WF" else 1 for each in text)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person reads this stream."""
    if stream is None:
        return False
    try:
        return stream.isatty()
    except ValueError:  # it is closed
        return False


def _colored(text: str, stream: TextIO) -> str:
    try:
        from rich.console import Console
        from rich.text import Text
    except ImportError:
        return text
    console = Console(file=stream, highlight=False, width=len(text) + 1)
    painted = Text(text)
    for pattern, style in _COLORS:
        painted.highlight_regex(re.compile(pattern, re.MULTILINE), style)
    with console.capture() as capture:
        console.print(painted, soft_wrap=True, end="")
    return capture.get()
