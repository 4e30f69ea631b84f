"""Metrics of a `confcast serve`: over HTTP, as a file, or both.

What is wrong with an option refuses the start, before anything is loaded. Once an owner serves, nothing of this ends
it: a port that the former process still has, which this one is taking over from, is tried until it is free.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from confcast.errors import ConfcastError
from confcast.log_fields import about
from confcast.metrics.address import Address, InUse, bind
from confcast.metrics.text_file import TextFile, unwritable
from confcast.serve.serving import PlugIn, Serving

if TYPE_CHECKING:
    from confcast.metrics.collector import Collector
    from confcast.metrics.http_server import MetricsServer

_log = logging.getLogger("confcast.metrics")

_AGAIN = 0.5
"""Seconds between two tries of a port that is in use."""


class Metrics(PlugIn):
    """Serves the numbers of the process's owner.

    Args:
        address: Where they are served over HTTP; None: nowhere.
        file: The file that they are written into; None: none.
        mode: The file's permissions.
    """

    def __init__(self, address: Address | None, file: Path | None, mode: int) -> None:
        self._address, self._path, self._mode = address, file, mode
        self._sockets: list[socket.socket] = []
        self._server: MetricsServer | None = None
        self._file: TextFile | None = None
        self._binding: threading.Thread | None = None
        self._has_ended = threading.Event()

    def starts(self, serving: Serving) -> None:
        """Find out what is wrong before anything is loaded. Raises ConfcastError."""
        if importlib.util.find_spec("prometheus_client") is None:
            raise ConfcastError("prometheus-client is not installed: pip install 'confcast[metrics]'")
        if self._path is not None:
            check_folder(self._path)
        if self._address is not None:
            with contextlib.suppress(*[InUse] if serving._takes_over else []):
                self._sockets = bind(self._address)

    def serves(self, serving: Serving) -> None:
        """Serve."""
        from confcast.metrics.collector import Collector

        assert serving.manager is not None
        collector = Collector(serving.manager)
        try:
            if self._path is not None:
                self._file = TextFile(self._path, collector, mode=self._mode)
                self._file.start()
            if self._sockets:
                self._listen(collector)
            elif self._address is not None:
                self._binding = threading.Thread(
                    target=self._bind, args=(self._address, collector), name="confcast-metrics-bind", daemon=True
                )
                self._binding.start()
        except (ConfcastError, RuntimeError) as error:  # no thread can be started
            _log.error("metrics are not served: %s", error, extra=about("metrics_not_served", error=error))

    def ends(self, serving: Serving) -> None:
        """Stop serving, and remove the file."""
        self._has_ended.set()
        if self._binding is not None and self._binding.is_alive():
            self._binding.join()
        if self._server is not None:
            self._server.close()
        if self._file is not None:
            self._file.close()
        for each in self._sockets:
            each.close()

    def _listen(self, collector: Collector) -> None:
        from confcast.metrics.http_server import MetricsServer

        self._server = MetricsServer(self._sockets, collector)
        self._server.start()

    def _bind(self, address: Address, collector: Collector) -> None:
        """Listen as soon as the port is free; in a thread of its own."""
        is_said = False
        while not self._has_ended.is_set():
            try:
                self._sockets = bind(address)
                self._listen(collector)
            except ConfcastError as error:
                if not is_said:
                    _log.warning(
                        "metrics are not served yet: %s; it is tried again",
                        error,
                        extra=about("metrics_not_bound", error=error),
                    )
                is_said = True
                self._has_ended.wait(_AGAIN)
            else:
                return


def check_folder(path: Path) -> None:
    """Raise ConfcastError if no file can be made beside this one."""
    try:
        is_folder = path.parent.is_dir()
    except OSError as error:
        raise unwritable(path, error) from None
    if not is_folder:
        raise ConfcastError(f"--metrics-file {path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ConfcastError(f"--metrics-file {path}: this user (uid {os.geteuid()}) can't write in {path.parent}")
