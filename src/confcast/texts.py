"""Printable text for logs, events and terminals, and the loggers whose records are escaped so.

Keys, values, names and paths come from files, the environment and other processes. Guaranteed: none of them begins a
new line in a log, clears a terminal, or reverses the direction of the text around it. One function escapes them: in
texts of problems and errors when these are made, and in all other records by a filter on each of confcast's loggers,
before the application's handlers get the record.

`logging.config.dictConfig` and `fileConfig` disable every existing logger that they do not name, by default; Django's
`LOGGING` goes through the first. Confcast's loggers exist once it is imported, which in a server is before the
application configures logging: then a failing observer, or a lost config owner, would not be logged. So a logger that
these two functions disable without naming it stays enabled. A configuration that names `confcast` or one of its loggers
is obeyed (level, handlers, `propagate`, filters), and so is a program that sets `disabled` on one.

Rejected: escaping in a log handler of confcast (workers and masters log through the application's), `str.isprintable`
(it takes a no-break space, and letters that are newer than this Python, for unprintable), enabling the loggers again
before each line (nobody could disable one), making a logger at its first line (a logger with earlier lines would be
disabled), and loggers outside the tree (no configuration could name them).
"""

from __future__ import annotations

import functools
import logging
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

LOGGERS = (
    "confcast.admin",
    "confcast.fleet",
    "confcast.journal",
    "confcast.loader",
    "confcast.master",
    "confcast.metrics",
    "confcast.observers",
    "confcast.owner",
    "confcast.serve",
    "confcast.servers",
    "confcast.watch",
    "confcast.worker",
    "confcast.worker.debug",
)
"""All of confcast's loggers."""

# Control characters (C0 and C1); marks, embeddings, overrides and isolates that change the direction of writing; the
# separators of lines and paragraphs; and surrogates, which stand for the bytes of a name that is not UTF-8.
# A text until its first use: to compile it takes half a millisecond, and most texts are plain ASCII.
_UNPRINTABLE = "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"


def printable(text: str) -> str:
    """This text on one line, with Python's escapes for what can't be printed."""
    if text.isascii() and text.isprintable():
        return text
    return re.sub(_UNPRINTABLE, _escaped, text)


def printable_lines(text: str) -> str:
    """This text with its line breaks, and with Python's escapes for all else that can't be printed."""
    return "\n".join(map(printable, text.split("\n")))


def printable_json(text: str) -> str:
    """This JSON document, unchanged for a program, with JSON's escapes for what can't be printed."""
    return re.sub(_UNPRINTABLE, lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)


def encodable(text: str) -> str:
    """This text with escapes for lone surrogates, which UTF-8 can't encode: a file's name may be any bytes."""
    return text.encode(errors="backslashreplace").decode()


def when(timestamp: float) -> str:
    """Seconds since 1970 as local date and time, with the offset from UTC."""
    from datetime import datetime  # imported here: every process imports this file, and few tell a person a date

    return datetime.fromtimestamp(timestamp).astimezone().isoformat(sep=" ", timespec="seconds")


def str_of(value: object) -> str:
    """The str() of a value, also if str() raises; of a whole number with more digits than Python writes, the hex."""
    return _written(value, str)


def repr_of(value: object) -> str:
    """The repr() of a value, as `str_of` gives its str(); of a table or a list, with all that is in it."""
    return _written(value, repr)


def _written(value: object, write: Callable[[object], str]) -> str:
    try:
        return write(value)
    except Exception as error:
        if isinstance(value, int):  # Python writes 4,300 digits, or as many as `sys.set_int_max_str_digits` was told
            return hex(value)
        if type(value) is dict:
            return "{" + ", ".join(f"{repr_of(key)}: {repr_of(item)}" for key, item in value.items()) + "}"
        if type(value) in (list, tuple):
            return f"{type(value).__name__}({', '.join(map(repr_of, cast('list[object]', value)))})"
        return f"{type(value).__qualname__} (its text can't be had: {type(error).__name__})"


def close_matches(word: str, known: Iterable[str]) -> list[str]:
    """The most similar of these words, for "did you mean"; empty if none is similar."""
    from difflib import get_close_matches  # imported here: every process imports this file, and few words are mistyped

    return get_close_matches(word, known, n=1)


def shortened(text: str, most: int) -> str:
    """This text, or its beginning and an ellipsis: so many characters at the most."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


class Lines(str):
    """A text of several lines for a log. All lines but the first are indented, so that none passes for a record."""

    __slots__ = ()


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def _shown(value: Any) -> Any:
    """This argument of a record: unchanged if it shows as a number or printable text, otherwise as escaped text."""
    if isinstance(value, int | float):
        return value
    try:
        text = str(value)
    except Exception:  # logging gets the same error when it formats the record, and handles it
        return value
    if isinstance(value, Lines):
        return _indented(text)
    safe = printable_lines(text) if getattr(value, "several_lines", False) else printable(text)
    return value if safe == text else safe


def _escape(record: logging.LogRecord) -> bool:
    """Escape the arguments and the traceback of a record; as a filter, let every record through."""
    if isinstance(record.args, Mapping):
        record.args = {name: _shown(value) for name, value in record.args.items()}
    elif record.args:
        record.args = tuple(map(_shown, record.args))
    if record.exc_info and record.exc_info[0] is not None and not record.exc_text:
        trace = logging.Formatter().formatException(record.exc_info)
        # An exception's text may have several lines. A formatter uses `exc_text` if it is set.
        record.exc_text = "  " + _indented(trace)
    return True


def _indented(text: str) -> str:
    return printable_lines(text).replace("\n", "\n  ")


if TYPE_CHECKING:
    from logging import Logger as _Logger
else:
    _Logger = object


class _Ours(_Logger):
    """A base class that the class of each of our loggers gets: `logging.config` can't set `disabled`, no field clashes.

    logging raises KeyError for a field that the record has already. An application's factory of records may set any
    attribute, and then a line of ours with that field would end in this error, in the thread that has logged it.
    """

    def makeRecord(  # noqa: N802 - logging's name
        self,
        name: str,
        level: int,
        fn: str,
        lno: int,
        msg: object,
        args: Any,
        exc_info: Any,
        func: str | None = None,
        extra: Mapping[str, object] | None = None,
        sinfo: str | None = None,
    ) -> logging.LogRecord:
        """Make a record, whose fields replace attributes of the same name."""
        record: logging.LogRecord
        record = super().makeRecord(name, level, fn, lno, msg, args, exc_info, func, None, sinfo)
        record.__dict__.update(extra or {})
        return record

    @property
    def disabled(self) -> bool:
        return bool(self.__dict__.get("disabled", False))

    @disabled.setter
    def disabled(self, value: bool) -> None:
        by = sys._getframe(1).f_globals.get("__name__")
        if not (value and by == "logging.config"):  # it never disables a logger that it names
            self.__dict__["disabled"] = value


def keep_enabled(logger: logging.Logger) -> None:
    """Let a logging configuration disable this logger only by naming it. May be called again."""
    own: Any = type(logger)
    if not issubclass(own, _Ours):
        logger.__class__ = _staying(own)


@functools.cache
def _staying(own: type[logging.Logger]) -> type[logging.Logger]:
    return type(own.__name__, (_Ours, own), {})


for _name in LOGGERS:
    logging.getLogger(_name).addFilter(_escape)
    keep_enabled(logging.getLogger(_name))
