"""Where an owner's log lines go: to standard error, and on to the next log file when that one is rotated.

A server that was told to reopen its log files reopens its own. What its owner was started with stays the old file,
renamed by then. So, before each line, the owner looks whether the log's path leads to another file, and makes that one
its standard output and error; what the application's modules print goes along with the next line.

Rejected: a signal for it (gunicorn's master tells its workers only), and making a missing file (in the moment between
the renaming and the making of the next one it belongs to whoever rotates: its mode and owner are not ours to choose).
"""

from __future__ import annotations

import logging
import os
import stat
import sys
from pathlib import Path


class StandardError(logging.StreamHandler):  # type: ignore[type-arg]  # no parameters at run time in Python 3.11
    """Writes to standard error.

    Args:
        log: The log file that standard error is, to be followed; empty where it is none.
    """

    def __init__(self, log: str) -> None:
        super().__init__(sys.stderr)
        self._log = Path(log) if log else None

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line. As with every handler of logging, it raises nothing."""
        if self._log is not None:
            try:
                follow(self._log)
            except OSError:
                self.handleError(record)
        super().emit(record)


def follow(log: Path) -> None:
    """Have standard output and error be the file at this path, if there is one. Raises OSError."""
    try:
        there = log.stat()
    except FileNotFoundError:  # renamed, and not made anew yet
        return
    mine = os.fstat(2)
    if not stat.S_ISREG(there.st_mode) or (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino):
        return
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        for stream in (1, 2):
            os.dup2(file, stream)
    finally:
        os.close(file)
