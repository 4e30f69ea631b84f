"""A fleet of one host: an engine, a gateway to it, and a publisher of contents with one key, `published`.

All is done by one thread, which lasts: the kernel ends a test's engine and gateway with the thread that started them,
and a publisher's connection belongs to the loop of its thread.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from tests.support.engines.etcd import Etcd
from tests.support.engines.redis import Redis
from tests.support.engines.server import Server
from tests.support.fleet.gateways import Gateway
from tests.support.fleet.publisher import Publisher

KEY = "torture"
ENGINES: dict[str, type[Server]] = {"redis": Redis, "etcd": Etcd}
"""By the name that `--fleet` has."""


class Fleet:
    """All of it, which runs when this returns. Any thread may call it, but `publish`.

    Args:
        engine: Its name.
    """

    def __init__(self, engine: str) -> None:
        programs = ENGINES[engine].programs()
        assert programs, f"there is no server of {engine} on this machine"
        self._thread, self._is_closed = ThreadPoolExecutor(1), False
        self.engine = ENGINES[engine](programs[0])
        self._thread.submit(self._begin).result()

    def _begin(self) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.engine)
            publisher = stack.enter_context(Publisher(self.engine.access(), KEY))
            publisher.force(_payload(0))
            self.gateway = stack.enter_context(Gateway(self.engine.url, KEY))
            self._publisher, self._stack = publisher, stack.pop_all()

    def publish(self, number: int) -> None:
        """Have the host load this number. For `later`. Raises EngineError while the engine is away."""
        self._publisher.force(_payload(number))

    def later(self, what: Callable[[], object]) -> Future[object]:
        """Have the thread do this, after what it was given before."""
        return self._thread.submit(what)

    def processes(self) -> dict[str, list[int]]:
        """Those that run, by role."""
        gateway = [self.gateway.pid] if self.gateway.is_running else []
        return {"engine": [self.engine.pid] if self.engine.is_running else [], "gateway": gateway}

    def start_again(self, role: str) -> None:
        """After it was killed, on its port, with its data."""
        self._thread.submit({"engine": self.engine.restart, "gateway": self.gateway.restart}[role]).result()

    def close(self) -> None:
        """End all of it, unless that was done."""
        if not self._is_closed:
            self._is_closed = True
            self._thread.submit(self._stack.close).result()
            self._thread.shutdown()


def _payload(number: int) -> bytes:
    return f"published = {number}\n".encode()
