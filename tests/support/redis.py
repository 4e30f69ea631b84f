"""A real redis-server on a free port, in a folder of its own, that keeps nothing."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.waiting import DEADLINE, eventually

_ATTEMPTS = 5


def needs_redis() -> pytest.MarkDecorator:
    """Leaves tests out where there is no redis-server, and says why."""
    return pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")


@contextmanager
def redis_server() -> Iterator[int]:
    """The port of one that answers; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        process, port = _start(Path(folder))
        try:
            yield port
        finally:
            process.terminate()
            try:
                process.wait(DEADLINE)
            finally:
                process.kill()
                process.wait()


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """It takes no port 0; a port that was free a moment ago may be somebody else's by now, so it is tried again."""
    for _ in range(_ATTEMPTS):
        process, port = _launch(folder)
        eventually(lambda: process.poll() is not None or _answers(process.pid, port), "a redis-server that answers")  # noqa: B023
        if process.poll() is None:
            return process, port
    raise AssertionError(f"redis-server does not start; its log:\n{(folder / 'log').read_text()}")


def _launch(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {"port": port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": folder}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            ["redis-server", *(part for name, value in options.items() for part in (f"--{name}", str(value)))],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    return process, port


def _answers(pid: int, port: int) -> bool:
    """Whether it is this one that does, and not the one that has taken the port."""
    try:
        with socket.create_connection(("127.0.0.1", port), DEADLINE) as connection:
            connection.sendall(b"INFO server\r\n")
            return b"\r\nprocess_id:%d\r\n" % pid in connection.recv(4096)
    except OSError:
        return False
