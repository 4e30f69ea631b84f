"""A worker with derived things: a pool of the number, a repository that uses it, and what a test makes of its builds.

The pool's build does what the configuration's `name` says: the name of a deed below, or nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from confcast import BuildError, NotAttached, Replica
from tests.support.settings import Settings
from tests.support.waiting import eventually
from tests.support.workers import obey


class Pool:
    """Something that must be closed."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_open = True


class Deriving:
    """The commands; each is a method.

    Args:
        address: Where it attaches.
    """

    def __init__(self, address: str) -> None:
        self._settings: Replica[Settings] = Replica(Settings, name="app")
        self._begun: list[int] = []
        self._built: list[int] = []
        self._closed: list[int] = []
        self._closing = ""
        self._pins: list[Any] = []
        self._logged: list[str] = []
        self._gate = threading.Event()
        self._deeds: dict[str, Callable[[], object]] = {
            "leave": lambda: sys.exit("bad option"),
            "raise": lambda: 1 / 0,
            "reload": self._settings.reload,
            "read another": lambda: self.other.current,
            "hang": self._gate.wait,
            "leak": self._leak,
            "last": lambda: threading.Event().wait(0.5),
        }
        handler = logging.Handler()
        handler.emit = lambda record: self._logged.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger("confcast.worker").addHandler(handler)
        settings = self._settings
        self.other = settings.derive(lambda tags: list(tags), lambda c: c.tags, name="other")
        self.pool = settings.derive(
            self._make_pool, lambda c: (c.number, c.name), close=self._close, linger=0, name="pool"
        )
        self.repo = settings.derive(lambda _, pool: (pool,), lambda c: None, using=self.pool, linger=0, name="repo")
        settings._resources._closing._patience = 0.2
        self._address = address
        settings.attach(address)

    def _make_pool(self, part: tuple[int, str]) -> Pool:
        number, name = part
        self._begun.append(number)
        self._deeds.get(name, lambda: None)()
        self._built.append(number)
        return Pool(number)

    def _leak(self) -> None:
        """Open a file, and fail before anybody could close it."""
        opened = Path(__file__).open("rb")  # noqa: SIM115
        raise ValueError(f"no pool, and descriptor {opened.fileno()} is open")

    def _close(self, pool: Pool) -> None:
        pool.is_open = False
        if self._closing == "raise":
            raise OSError("the socket is gone")
        if self._closing == "hang":
            threading.Event().wait()
        self._closed.append(pool.number)

    def read(self) -> tuple[int, int, bool]:
        """The configuration's number, the pool's, and whether that is open, as one request sees them."""
        with self._settings.pin() as config:
            (pool,) = self.repo.current
            assert pool is self.pool.current
            return config.number, pool.number, pool.is_open

    def pin(self) -> None:
        pin = self._settings.pin()
        pin.__enter__()
        self._pins.append(pin)

    def pinned(self) -> tuple[int, bool]:
        return self.pool.current.number, self.pool.current.is_open

    def unpin(self) -> None:
        self._pins.pop().__exit__(None, None, None)

    def kept(self) -> list[tuple[int, int]]:
        """Version and pins of each former pool that is open."""
        return [(each.version, each.pins) for each in self.pool.kept]

    def opened(self) -> int:
        """How often the file is open that builds have left open."""
        return sum(_is_open_as(each, Path(__file__)) for each in Path("/proc/self/fd").iterdir())

    def say_unhealthy(self) -> None:
        self._settings.unhealthy("no connection")

    def begun(self) -> list[int]:
        """The numbers for which a pool's build has begun, also those that can't be built."""
        return self._begun

    def built(self) -> list[int]:
        return self._built

    def closed(self, count: int) -> list[int]:
        """The closed pools, once there are so many."""
        eventually(lambda: len(self._closed) >= count, f"{count} pools are closed: {self._closed}")
        return self._closed

    def closes_by(self, deed: str) -> None:
        self._closing = deed

    def failed_closes(self, count: int) -> str:
        """The newest log line, once so many closes have failed."""
        eventually(lambda: self.pool.failed_closes >= count and self._logged, f"{count} closes fail")
        return self._logged[-1]

    def go_on(self) -> None:
        self._gate.set()

    def reload(self) -> Any:
        return self._settings.reload()

    def refuse(self) -> None:
        """Refuse every version after this one, once what it needs is built elsewhere."""
        self._deeds["one"] = lambda: 1 / 0

    def detach(self) -> None:
        self._settings.close()

    def in_a_child(self) -> list[str]:
        """What a forked child gets before and after its `attach()`, and what it closes."""
        read, write = os.pipe()
        if os.fork() == 0:
            os.write(write, "\n".join(self._as_a_child()).encode())
            os._exit(0)
        os.close(write)
        os.wait()
        with os.fdopen(read) as lines:
            return lines.read().splitlines()

    def _as_a_child(self) -> list[str]:
        try:
            before = str(self.pool.current.number)
        except NotAttached as error:
            before = type(error).__name__
        self._settings.attach(self._address)
        mine = self.pool.current
        self._settings.close()
        return [before, str(mine.number), str(self._closed)]


def _is_open_as(descriptor: Path, file: Path) -> bool:
    with contextlib.suppress(OSError):  # another thread has closed it meanwhile
        return descriptor.readlink() == file
    return False


def derive(pipe: Connection, address: str) -> None:
    """The worker's main program."""
    obey(pipe, lambda: Deriving(address))


def fails_in_hand(pipe: Connection, address: str, mark: str) -> None:
    """A worker that can't build what the version in hand needs, until the file `mark` exists."""

    def make(number: int) -> int:
        if not Path(mark).exists():
            raise ConnectionError("no database yet")
        return number

    class Serving:
        def __init__(self) -> None:
            self._settings: Replica[Settings] = Replica(Settings, name="app")
            self._pool = self._settings.derive(make, lambda c: c.number, name="pool")

        def attach(self) -> str:
            try:
                self._settings.attach(address)
            except BuildError as error:
                return str(error)
            return ""

        def read(self) -> int:
            return self._pool.current

        def detach(self) -> None:
            self._settings.close()

    obey(pipe, Serving)
