"""In a celery worker the owner writes its lines to the worker's `--logfile`, or to standard error if there is none.

A detached worker has no standard error, and a start may be refused before celery sets up its log.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from confcast.servers.common import launching

_STANDARD_ERROR = 2


class Output:
    """The log file of one worker's owners. Opens it only when a descriptor is needed."""

    def __init__(self) -> None:
        self._path = ""
        self._descriptor = -1

    def follow(self, worker: Any) -> None:
        """Use the log file of celery's worker, with `%n` and the like replaced."""
        nodenames = launching.require("celery.utils.nodenames", "celery")
        if worker.logfile:
            self._path = str(Path(nodenames.node_format(worker.logfile, worker.hostname)).absolute())

    def path(self) -> str:
        """The log file's path; empty if there is none."""
        return self._path

    def descriptor(self) -> int:
        """Open the file for the start of an owner; anew each time, since it may have been rotated. Raises OSError."""
        if not self._path:
            return _STANDARD_ERROR
        self.close()
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        return self._descriptor

    def report(self, text: str) -> None:
        """Write a line to standard error, and to the log file."""
        launching.report(text)
        if self._path:
            os.write(self.descriptor(), f"{text}\n".encode())

    def close(self) -> None:
        """Close the log file if it is open."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
