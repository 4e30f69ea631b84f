"""Where an owner's lines go in a celery worker: to its `--logfile` if it has one, else to standard error.

A detached worker's standard error leads nowhere, and what refuses its start is known before celery sets up its log.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from confcast.servers.common import launching

_STANDARD_ERROR = 2


class Output:
    """The output of one worker's owners. Nothing is opened before it is asked for."""

    def __init__(self) -> None:
        self._path = ""
        self._descriptor = -1

    def follow(self, worker: Any) -> None:
        """Take the log file that celery's worker was given, with what stands for `%n` and the like."""
        nodenames = launching.require("celery.utils.nodenames", "celery")
        if worker.logfile:
            self._path = str(Path(nodenames.node_format(worker.logfile, worker.hostname)).absolute())

    def path(self) -> str:
        """The log file; empty where there is none."""
        return self._path

    def descriptor(self) -> int:
        """For the start of an owner: the file anew each time, since it may have been rotated. Raises OSError."""
        if not self._path:
            return _STANDARD_ERROR
        self.close()
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        return self._descriptor

    def say(self, text: str) -> None:
        """On standard error, and in the log file."""
        launching.say(text)
        if self._path:
            os.write(self.descriptor(), f"{text}\n".encode())

    def close(self) -> None:
        """Close what is open."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
