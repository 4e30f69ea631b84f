"""The example of a proxy under a real uvicorn with two workers, its upstreams, and clients with keys.

Each answer says which worker gave it, by a header that is added here.
"""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from confcast import ReloadEvent
from confcast.examples.tenant_proxy.demo.folder import configuration, fill
from confcast.examples.tenant_proxy.demo.stubs import Stub
from confcast.wire.listener import SOCKET
from confcast.worker.client.connection_per_call import AddressClient
from tests.support import examples
from tests.support.waiting import DEADLINE, eventually

LOADER = "confcast.examples.tenant_proxy.sources:loader"
OPTIONS = ("--name", "proxy", "--no-watch", "--vote-timeout", "10", "--probation", "0", "--max-error-rate", "0.1")
NAMED = """\
import os

from confcast.examples.tenant_proxy.app import app as proxy

async def app(scope, receive, send):
    async def named(message):
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"x-worker", b"%d" % os.getpid())]
        await send(message)
    await proxy(scope, receive, named)
"""


class Answer(NamedTuple):
    """What came back for one request."""

    status: int
    version: int
    worker: int
    document: Any


class Proxy(examples.Server):
    """The proxy.

    Args:
        folder: For its files.
        stubs: Its upstreams.
    """

    def __init__(self, folder: Path, stubs: dict[str, Stub]) -> None:
        urls = {name: stub.url for name, stub in stubs.items()}
        self.file = fill(folder / "demo", urls)
        self.keys = folder / "demo" / "keys"
        self.stubs = stubs
        (folder / "named.py").write_text(NAMED)
        super().__init__(folder, "named:app", environment={"TENANT_PROXY_CONFIG": str(self.file)})

    def command(self, *arguments: str) -> list[str]:
        """What starts it."""
        confcast = ["--loader", LOADER, *OPTIONS, "--version-header", "X-Config-Version"]
        ours = ["--port", "0", "--workers", "2", "--timeout-worker-healthcheck", "10", "--no-server-header"]
        return [sys.executable, "-m", "confcast.servers.uvicorn", *confcast, *ours, *arguments, self._application]

    def client(self) -> AddressClient:
        """Its owner's."""
        (address,) = eventually(lambda: list(self.runtime.glob(f"*/{SOCKET}")), "a control socket")
        return AddressClient(str(address), "proxy")

    # ---- its configuration

    def write(self, text: str) -> None:
        """Put this into its file."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.file)

    def text_at(self, url: str, more: str = "", **options: Any) -> ReloadEvent:
        """Reload with the upstream `text` at this stub, or address. No two contents are the same: each is tried."""
        self.number += 1
        text = configuration(text=self.stubs[url].url if url in self.stubs else url, images=self.stubs["images"].url)
        self.write(text.replace("\nhealth =", f"\nconnections = {100 + self.number}\nhealth =", 1) + more)
        return self.client().reload(**options)

    def key(self, tenant: str) -> str:
        """A tenant's."""
        return (self.keys / tenant).read_text()

    # ---- its answers

    def begin(self, path: str, tenant: str = "acme", key: str = "") -> http.client.HTTPResponse:
        """The answer up to its body. It has a connection of its own, so any worker gets it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        headers = {"Authorization": f"Bearer {key or self.key(tenant)}", "Connection": "close"}
        connection.request("GET", path, headers=headers)
        return connection.getresponse()

    def get(self, path: str, tenant: str = "acme", key: str = "") -> Answer:
        """A whole answer."""
        with self.begin(path, tenant, key) as response:
            version, worker = (int(response.headers[name]) for name in ("x-config-version", "x-worker"))
            return Answer(response.status, version, worker, json.loads(response.read()))

    def from_both(self, path: str, tenant: str = "acme", key: str = "") -> list[Answer]:
        """Answers until each worker has given one."""
        answers: list[Answer] = []

        def both() -> bool:
            answers.append(self.get(path, tenant, key))
            return len({each.worker for each in answers}) == 2

        eventually(both, "an answer of each worker")
        return answers


@contextmanager
def proxies(folder: Path) -> Iterator[Proxy]:
    """One that serves, with the demonstration's stubs; at the block's end all of it must be gone."""
    with ExitStack() as stack:
        stubs = {}
        for name in ("text", "images", "moved", "failing"):
            stubs[name] = Stub(name, fails=name == "failing")
            stack.callback(stubs[name].close)
        proxy = Proxy(folder, stubs)
        stack.callback(proxy.end)
        yield proxy.start()
