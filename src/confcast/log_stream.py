"""Log lines of confcast's own processes to standard error: the owner's, and those of `confcast serve` and `admin`.

On a full disk no line can be written. Python's stream keeps the last kilobytes of them and writes those later; once a
line can be written again, the log says how many could not be.

Rejected: the traceback that logging prints of each line that can't be written: it goes to the same full disk, and takes
up the kilobytes that are kept of the lines.
"""

from __future__ import annotations

import logging
import sys

from confcast.log_fields import about

_log = logging.getLogger("confcast")


class LogStream(logging.StreamHandler):  # type: ignore[type-arg]  # no parameters at run time in Python 3.11
    """Writes to standard error. It holds that stream as it was when this was made, as logging's own handler does."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self._unwritten = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line. As with every handler of logging, it raises nothing."""
        unwritten = self._unwritten
        super().emit(record)
        if unwritten and self._unwritten == unwritten:
            self._tell()

    def _tell(self) -> None:
        """Write how many lines could not be written; if that can't be, they are told of later.

        Not through the logger: some releases of Python 3.13 drop what is logged while a line is.
        """
        lines, self._unwritten = self._unwritten, 0
        if _log.getEffectiveLevel() > logging.WARNING:
            return
        text = "%d lines before the last one could not be written when they were logged: some may be missing"
        more = about("log_not_written", lines=lines)
        self.handle(_log.makeRecord(_log.name, logging.WARNING, __file__, 0, text, (lines,), None, extra=more))
        self._unwritten += lines if self._unwritten else 0

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Count a line that the stream did not take; of what is wrong with a record, tell as logging does."""
        if isinstance(sys.exception(), OSError):
            self._unwritten += 1
        else:
            super().handleError(record)
