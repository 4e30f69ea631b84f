"""What runs while it is measured: `confcast admin` beside an owner, a bare server beside that, and how often they wake.

A wakeup is a switch that a thread has made by itself, by the kernel's account: a thread that waits makes one each time.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec

from benchmarks.server import NAME, PATIENCE

KEYS = 5000
_ROUTES = KEYS // 5
SCHEMA = """
from pydantic import BaseModel

class Route(BaseModel, frozen=True):
    url: str
    weight: int
    timeout: float
    retries: int = 3
    enabled: bool = True

class Settings(BaseModel, frozen=True):
    routes: dict[str, Route]
"""


_TABLE = """\
[routes.shop-{number:04}]
url = "http://10.0.{host}.9:8080/"
weight = {number}
timeout = {timeout}
retries = 5
enabled = true
"""


class Admin(msgspec.Struct, frozen=True):
    """One `confcast admin`.

    Attributes:
        url: Without a slash at its end.
        token: May read.
        pid: Its process.
    """

    url: str
    token: str
    pid: int


def write_keys(folder: Path) -> str:
    """Write a schema's module and a file with 5,000 keys; the schema's import path."""
    (folder / "benchmark_settings.py").write_text(SCHEMA, encoding="utf-8")
    tables = (_TABLE.format(number=number, host=number % 250, timeout=number / 100) for number in range(_ROUTES))
    (folder / "config.toml").write_text("\n".join(tables), encoding="utf-8")
    return "benchmark_settings:Settings"


@contextmanager
def admin(address: str, folder: Path) -> Iterator[Admin]:
    """A `confcast admin` for this owner."""
    tokens = folder / "tokens"
    command = [sys.executable, "-m", "confcast", "admin", "--bind", "127.0.0.1:0", "--address", address]
    process = subprocess.Popen(
        [*command, "--token-file", str(tokens)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, bufsize=0
    )
    with process:
        try:
            url = _next_line(process).removeprefix("listening on ").rstrip("/")
            _next_line(process)
            lines = [line.split() for line in tokens.read_text().splitlines() if line.strip() and line[0] != "#"]
            yield Admin(url, next(token for _, role, token in lines if role == "read"), process.pid)
        finally:
            process.terminate()


def _next_line(process: subprocess.Popen[bytes]) -> str:
    assert process.stderr is not None
    if not select.select([process.stderr], [], [], PATIENCE)[0]:
        raise TimeoutError(f"{process.args!r} said nothing for {PATIENCE:g} s")
    return process.stderr.readline().decode().strip()


@contextmanager
def forked(count: int) -> Iterator[None]:
    """So many workers, forked from this process, which imports nothing for them; it must have no threads yet."""
    fork = multiprocessing.get_context("fork")
    pipes = [fork.Pipe() for _ in range(count)]
    crew = [fork.Process(target=_work, args=(pipes, each)) for each in range(count)]
    try:
        for worker in crew:
            worker.start()
        for mine, its in pipes:
            its.close()
            if not mine.poll(PATIENCE):
                raise TimeoutError(f"a worker said nothing for {PATIENCE:g} s")
            mine.recv()
        yield
    finally:
        for mine, _ in pipes:
            mine.close()
        for worker in crew:
            worker.join(PATIENCE)
            worker.kill()


def _work(pipes: list[tuple[Connection, Connection]], number: int) -> None:
    """A worker's whole life: attach, say so, and end with its pipe."""
    from confcast import Replica
    from confcast.examples.leindex.schema import MCPConfig

    mine = pipes[number][1]
    for ours, its in pipes:
        ours.close()
        if its is not mine:
            its.close()
    settings = Replica(MCPConfig, name=NAME).attach(timeout=PATIENCE)
    mine.send("ready")
    with contextlib.suppress(EOFError):
        mine.recv()
    settings.close()


def wakeups(pids: list[int], seconds: float) -> list[float]:
    """How often each process wakes a second, in the next so many seconds."""
    before = [_switches(pid) for pid in pids]
    time.sleep(seconds)
    return [(_switches(pid) - base) / seconds for pid, base in zip(pids, before, strict=True)]


def _switches(pid: int) -> int:
    files = [each.read_text(encoding="ascii") for each in Path(f"/proc/{pid}/task").glob("*/status")]
    lines = (line for file in files for line in file.splitlines() if line.startswith("voluntary_ctxt_switches"))
    return sum(int(line.split()[1]) for line in lines)
