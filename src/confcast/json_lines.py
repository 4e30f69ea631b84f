"""An owner's log as JSON, and that of its `confcast serve`, one object a line: for a collector (`log_format="json"`).

    {"timestamp": "2026-11-29T12:03:07.512Z", "level": "info", "logger": "confcast.owner", "pid": 4711, "message":
     "watch: success, version 2 in 4.1 ms: greeting", "config_name": "app", "config_event": "reload_applied", …}

`message` is the text that the other format has. What else a record has is a field, as is each `extra` of a library that
the schema's module imports. Guaranteed: every line is one JSON object in UTF-8 with all its control characters escaped,
whatever a record has; a traceback is a text in `exception`. What is printed, and not logged, is no line of these.

Rejected: python-json-logger in the owner (the package is the user's, and forty lines do), and field names of one
collector (each has its own, and all of them rename).
"""

from __future__ import annotations

import logging
import warnings
from datetime import UTC, datetime

import msgspec

from confcast.texts import encodable, printable_json

_STANDARD = {*logging.makeLogRecord({}).__dict__, "message", "asctime", "color_message"}


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object.

    Args:
        name: The configuration's name, which every line has.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, object] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
            "config_name": self._name,
        }
        for name, value in record.__dict__.items():
            # The schema's module may stamp records (confcast.logging): no replica has a version in this process.
            if name not in _STANDARD and (name, value) != ("config_version", 0):
                line.setdefault(name, value)
        if trace := record.exc_text or (self.formatException(record.exc_info) if record.exc_info else ""):
            line["exception"] = trace
        return _encoded(line)


def of_warnings() -> None:
    """Have Python's warnings logged, too: else they would be two lines of text between the objects."""
    logging.captureWarnings(True)
    warnings.formatwarning = lambda message, category, filename, lineno, line=None: (
        f"{filename}:{lineno}: {category.__name__}: {message}"
    )


def _encoded(line: dict[str, object]) -> str:
    try:
        return printable_json(msgspec.json.encode(line, enc_hook=str).decode())
    except Exception:  # a lone surrogate, a number beyond 64 bits, an object whose text can't be made
        texts = {encodable(str(name)): encodable(_text_of(value)) for name, value in line.items()}
        return printable_json(msgspec.json.encode(texts).decode())


def _text_of(value: object) -> str:
    try:
        return str(value)
    except Exception:
        return type(value).__name__
