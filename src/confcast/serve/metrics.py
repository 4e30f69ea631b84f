"""Metrics of a `confcast serve`: over HTTP, as a file, or both."""

from __future__ import annotations

import importlib.util
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from confcast.errors import ConfcastError
from confcast.metrics.address import Address, bind
from confcast.metrics.text_file import TextFile, unwritable
from confcast.serve.serving import PlugIn, Serving

if TYPE_CHECKING:
    from confcast.metrics.http_server import MetricsServer


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

    def starts(self, serving: Serving) -> None:
        """Find out what is wrong before anything is loaded. Raises ConfcastError."""
        if importlib.util.find_spec("prometheus_client") is None:
            raise ConfcastError("prometheus-client is not installed: pip install 'confcast[metrics]'")
        if self._path is not None:
            check_folder(self._path)
        if self._address is not None:
            self._sockets = bind(self._address)

    def serves(self, serving: Serving) -> None:
        """Serve. Raises ConfcastError where the file can't be written, or no thread can be started."""
        from confcast.metrics.collector import Collector

        assert serving.manager is not None
        collector = Collector(serving.manager)
        if self._path is not None:
            self._file = TextFile(self._path, collector, mode=self._mode)
            self._file.start()
        if self._sockets:
            from confcast.metrics.http_server import MetricsServer

            self._server = MetricsServer(self._sockets, collector)
            self._server.start()

    def ends(self, serving: Serving) -> None:
        """Stop serving, and remove the file."""
        if self._server is not None:
            self._server.close()
        if self._file is not None:
            self._file.close()
        for each in self._sockets:
            each.close()


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
