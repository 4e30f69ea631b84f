"""What may stand in a log, in an event or on a terminal: printable text, one line of it for each thing that is said.

Files, the environment and other processes put into keys, values, names and paths what they like. Guaranteed: none of it
begins a line of its own in a log, clears a terminal, or turns the order of what is read around. One function escapes
it, for the texts of problems and errors when they are made, for all else in a filter on each of our loggers, before any
handler of the application's sees the record.

Rejected: escaping in our own log handler (workers and masters log through the application's), and `str.isprintable` (it
takes a no-break space, and letters that are newer than this Python, for unprintable).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from confcast.loggers import keep_enabled

LOGGERS = (
    "confcast.cli",
    "confcast.journal",
    "confcast.loader",
    "confcast.master",
    "confcast.observers",
    "confcast.owner",
    "confcast.servers",
    "confcast.watch",
    "confcast.worker",
    "confcast.worker.debug",
)
"""Every logger of ours."""

# Control characters, C0 and C1; marks, embeddings, overrides and isolates that turn the direction of writing; the
# separators of lines and paragraphs; and what is no character at all, of a name that is no UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """This text on one line: what can't be printed shows as an escape of Python's."""
    return _UNPRINTABLE.sub(_escaped, text)


def printable_lines(text: str) -> str:
    """The same of a text whose line breaks are meant."""
    return "\n".join(map(printable, text.split("\n")))


def printable_json(text: str) -> str:
    """A JSON document, as it is to a program, and harmless on a terminal."""
    return _UNPRINTABLE.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)


class Lines(str):
    """For a log: a text of several lines, such as a traceback. All but the first are indented: none passes for ours."""

    __slots__ = ()


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def _shown(value: Any) -> Any:
    """As it was, where it shows as nothing else than numbers and printable text."""
    if isinstance(value, int | float):
        return value
    try:
        text = str(value)
    except Exception:  # logging meets it again when it formats the record, and has a rule for it
        return value
    if isinstance(value, Lines):
        return _indented(text)
    safe = printable_lines(text) if getattr(value, "several_lines", False) else printable(text)
    return value if safe == text else safe


def _escape(record: logging.LogRecord) -> bool:
    """A filter that lets everything through."""
    if isinstance(record.args, Mapping):
        record.args = {name: _shown(value) for name, value in record.args.items()}
    elif record.args:
        record.args = tuple(map(_shown, record.args))
    if record.exc_info and record.exc_info[0] is not None and not record.exc_text:
        trace = logging.Formatter().formatException(record.exc_info)
        # An exception's text may have lines of its own. Formatters take this for what they have formatted themselves.
        record.exc_text = "  " + _indented(trace)
    return True


def _indented(text: str) -> str:
    return printable_lines(text).replace("\n", "\n  ")


for _name in LOGGERS:
    logging.getLogger(_name).addFilter(_escape)
    keep_enabled(logging.getLogger(_name))
