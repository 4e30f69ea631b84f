"""What may stand in a log, in an event or on a terminal: printable text, one line of it for each thing that is said.

Files, the environment and other processes put into keys, values, names and paths what they like. Guaranteed: none of it
begins a line of its own in a log, clears a terminal, or turns the order of what is read around. One function escapes
it, for the texts of problems and errors when they are made, for all else in a filter on each of our loggers, before any
handler of the application's sees the record.

Rejected: escaping in our own log handler (workers and masters log through the application's), and `str.isprintable` (it
takes a no-break space, and letters that are newer than this Python, for unprintable).

Loggers that a program's logging configuration does not switch off unless it names them.

`logging.config.dictConfig` and `fileConfig` disable every logger that exists and that they do not name, unless they are
told otherwise; Django's `LOGGING` goes through the first. Ours exist once confcast is imported, which in a server is
before the application configures logging: nobody would hear of a failing observer, or of a lost config owner. So what
these two functions disable without having named it stays enabled. A configuration that names `confcast`, or one logger
of ours, is obeyed (level, handlers, `propagate`, filters), and so is a program that sets `disabled` on one.

Rejected: enabling them again before each line (nobody could disable one), making them at their first line (those that
have spoken before would be lost), and loggers outside the tree (no configuration could name them).
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

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


class _StaysEnabled:
    """What a logger's class has before its own."""

    @property
    def disabled(self) -> bool:
        return bool(self.__dict__.get("disabled", False))

    @disabled.setter
    def disabled(self, value: bool) -> None:
        by = sys._getframe(1).f_globals.get("__name__")
        if not (value and by == "logging.config"):  # which never disables what it names
            self.__dict__["disabled"] = value


def keep_enabled(logger: logging.Logger) -> None:
    """From now on a logging configuration disables this logger only by naming it. May be called again."""
    own = type(logger)
    if not issubclass(own, _StaysEnabled):
        logger.__class__ = type(own.__name__, (_StaysEnabled, own), {})


for _name in LOGGERS:
    logging.getLogger(_name).addFilter(_escape)
    keep_enabled(logging.getLogger(_name))
