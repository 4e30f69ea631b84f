"""A real PgBouncer before a PostgreSQL, from `with` to its end."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Self

import pytest

from tests.support.engines.postgres import Postgres, account
from tests.support.engines.server import free_port
from tests.support.waiting import DEADLINE, eventually

_PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/local/bin:/usr/bin")

needs_pgbouncer = pytest.mark.skipif(_PROGRAM is None, reason="pgbouncer is not installed")

_SETTINGS = """
[databases]
configs = host={sockets} port={port} dbname=configs {more}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = {mode}
"""


class PgBouncer:
    """Keeps connections to a server for its clients.

    Args:
        server: The one behind it.
        mode: When a client's connection is handed to the next one: "session", "transaction" or "statement".
        more: More of the database's settings, such as "pool_size=1".
    """

    def __init__(self, server: Postgres, mode: str, more: str = "") -> None:
        self._server, self._mode, self._more = server, mode, more
        self.port = 0
        self._folder = tempfile.TemporaryDirectory(prefix="pgbouncer-")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/configs"

    def __enter__(self) -> Self:
        folder = Path(self._folder.name)
        folder.chmod(0o755)  # it runs as another user
        self.port = free_port()
        settings = folder / "settings.ini"
        settings.write_text(
            _SETTINGS.format(
                sockets=self._server.sockets,
                port=self._server.port,
                more=self._more,
                own_port=self.port,
                folder=folder,
                mode=self._mode,
            )
        )
        (folder / "users").write_text('"postgres" ""\n')
        dies_with_us = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*dies_with_us, str(_PROGRAM), str(settings)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **account().options(),
            )
        eventually(lambda: self._listens() or self._process.poll() is not None, "a pgbouncer that listens")
        assert self._process.poll() is None, (folder / "log").read_text()
        return self

    def __exit__(self, *about: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(DEADLINE)
        self._folder.cleanup()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
