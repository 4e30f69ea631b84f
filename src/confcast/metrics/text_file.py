"""Metrics as a text file, for node_exporter's textfile collector.

Guarantees. The file is replaced by a rename, so that a reader finds all of it, the former or the next, also while a
process takes over from another that still writes. It is written anew every some seconds also where nothing has changed:
by its age, which node_exporter exports, one sees that the writer has died. It is removed at the end, if it is still the
one that was written, so that no number of a process that has ended is taken for one of today. A disk that is full, or a
folder that is gone, is logged once, and tried again.
"""

from __future__ import annotations

import contextlib
import glob
import logging
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from confcast.errors import ConfcastError
from confcast.log_fields import about
from confcast.texts import printable

if TYPE_CHECKING:
    from confcast.metrics.collector import Collector

_log = logging.getLogger("confcast.metrics")

_CLOSES_WITHIN = 5.0
_WRITTEN_WITHIN = 60.0
"""Seconds after which a half written file is one of a writer that was killed."""


class TextFile:
    """Writes the metrics of a collector into a file, from a thread of its own. Call its methods from one thread.

    Args:
        path: The file; its folder exists. For node_exporter it ends with `.prom`.
        collector: What is written.
        every: Seconds between two writes.
        mode: The file's permissions.
    """

    def __init__(self, path: Path, collector: Collector, *, every: float = 15.0, mode: int = 0o644) -> None:
        from prometheus_client import CollectorRegistry

        self._registry = CollectorRegistry()
        self._registry.register(collector)
        self._path, self._every, self._mode = path, every, mode
        self._ends = threading.Event()
        self._has_failed = False
        self._written = (0, 0)
        self._thread = threading.Thread(target=self._run, name="confcast-metrics-file", daemon=True)

    def start(self) -> None:
        """Write the file, and begin to write it anew. Raises ConfcastError where no thread can be started."""
        self._remove_leftovers()
        self._try()
        try:
            self._thread.start()
        except RuntimeError as error:
            raise ConfcastError(f"the thread that writes metrics can't start: {error}") from None

    def close(self) -> None:
        """Stop, and remove the file. Harmless when called again, or without `start`."""
        self._ends.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSES_WITHIN)
        with contextlib.suppress(OSError):
            if _identity(self._path.stat()) == self._written:
                self._path.unlink()

    def _remove_leftovers(self) -> None:
        with contextlib.suppress(OSError):
            for left in self._path.parent.glob(f".{glob.escape(self._path.name)}.*.new"):
                if time.time() - left.stat().st_mtime > _WRITTEN_WITHIN:
                    left.unlink()

    def _run(self) -> None:
        while not self._ends.wait(self._every):
            self._try()

    def _try(self) -> None:
        try:
            self._write()
        except OSError as error:
            if not self._has_failed:
                why, path = unwritable(self._path, error), self._path
                _log.warning(
                    "metrics are not written: %s; it is tried again",
                    why,
                    extra=about("metrics_not_written", path=path, error=why),
                )
            self._has_failed = True
        else:
            self._has_failed = False

    def _write(self) -> None:
        from prometheus_client import generate_latest

        content = generate_latest(self._registry)
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}.new")  # another process may write its own now
        fresh.unlink(missing_ok=True)  # of a writer that was killed
        try:
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(content)
                os.fchmod(file.fileno(), self._mode)
                self._written = _identity(os.fstat(file.fileno()))
            fresh.replace(self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                fresh.unlink()
            raise


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def unwritable(path: Path, error: OSError) -> ConfcastError:
    """The error of a file that can't be written."""
    return ConfcastError(f"--metrics-file {printable(str(path))} can't be written: {error.strerror or error}")
