"""A look-up of a name that hangs holds up nobody: neither who waits for it, nor the end of a loop or a process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from confcast.wire import patient_loops
from tests.support.waiting import DEADLINE, eventually


class Resolver:
    """In the place of the system's: answers once it may."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.asked: list[str] = []

    def __call__(self, host: str, port: int | None, *more: int) -> list[object]:
        self.asked.append(host)
        assert self.may_answer.wait(DEADLINE)
        if host == "unknown.example":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", port or 0))]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    """What it is asked hangs until the end of the test at the latest; no thread is left."""
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    yield resolver
    resolver.may_answer.set()
    eventually(lambda: not [each for each in threading.enumerate() if each.name == "confcast-call"], "no thread")
    assert patient_loops._hanging == 0
    assert not patient_loops._look_ups


async def look_up(name: str, seconds: float = DEADLINE) -> list[object]:
    async with asyncio.timeout(seconds):
        return list(await asyncio.get_running_loop().getaddrinfo(name, 80))


def test_a_look_up_that_hangs_may_be_given_up_and_the_loop_is_closed_at_once(resolver: Resolver):
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        patient_loops.run(look_up("config.example", 0.05))
    assert time.monotonic() - began < DEADLINE / 2
    assert not resolver.may_answer.is_set()


def test_a_name_is_looked_up_once_at_a_time_also_for_another_loop(resolver: Resolver):
    with pytest.raises(TimeoutError):
        patient_loops.run(look_up("config.example", 0.05))

    async def main() -> None:
        asking = [asyncio.create_task(look_up("config.example")) for _ in range(20)]
        other = asyncio.create_task(look_up("other.example"))
        await asyncio.sleep(0)
        asking[0].cancel()
        while len(resolver.asked) < 2:
            await asyncio.sleep(0)
        resolver.may_answer.set()
        await asyncio.wait(asking)
        assert asking[0].cancelled()
        assert all(len(each.result()) == 1 for each in asking[1:])
        assert await other

    patient_loops.run(main())
    assert resolver.asked == ["config.example", "other.example"]


def test_after_a_while_another_try_is_made_and_its_answer_counts(resolver: Resolver, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(TimeoutError):
        patient_loops.run(look_up("config.example", 0.05))
    monkeypatch.setattr(patient_loops, "AGAIN", 0.0)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *about: ["found"])
    assert patient_loops.run(look_up("config.example")) == ["found"]
    assert not resolver.may_answer.is_set()


def test_so_many_hang_at_the_most_and_others_are_refused(resolver: Resolver, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(patient_loops, "MOST", 2)

    async def main() -> None:
        for name in ("a.example", "b.example"):
            with pytest.raises(TimeoutError):
                await look_up(name, 0.02)
        with pytest.raises(OSError, match="the system's resolver gives no answers"):
            await look_up("c.example")
        assert await asyncio.to_thread(lambda: 7) == 7, "a call that is no look-up"

    patient_loops.run(main())
    assert resolver.asked == ["a.example", "b.example"]


def test_what_the_resolver_says_is_raised(resolver: Resolver):
    resolver.may_answer.set()
    with pytest.raises(socket.gaierror, match="not known"):
        patient_loops.run(look_up("unknown.example"))


def test_what_a_call_raises_comes_back():
    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 / 0)

    patient_loops.run(main())


_OWNER = """
import socket, sys, threading, time

asked = threading.Event()

def hang(*about):
    asked.set()
    threading.Event().wait()

socket.getaddrinfo = hang

from confcast.config.sources.following import Host
from confcast.fleet import {name}
from confcast.owner.watch.following import Following
import asyncio

source = {name}({where!r}, "shop")
host = lambda key: Host("id", "name", {{}}, None, lambda: None, asyncio.Queue())
following = Following({{0: source}}, host)
following.start()
assert asked.wait(20.0)
began = time.monotonic()
following.close()
assert not following._thread.is_alive(), "it has not ended"
print(f"closed {{time.monotonic() - began:.3f}}")
"""


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("Redis", "redis://config.example"),
        ("Etcd", "etcd://config.example"),
        ("Postgres", "postgresql://u@config.example/db"),
        ("Nats", "nats://config.example"),
        ("Gateway", "http://config.example:9180"),
    ],
)
def test_a_process_that_follows_ends_at_once_while_a_look_up_hangs(name: str, where: str):
    program = _OWNER.format(name=name, where=where)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("closed 0."), done.stdout
    assert "Traceback" not in done.stderr


def test_a_connection_that_was_left_open_is_closed_with_the_loop():
    with socket.create_server(("127.0.0.1", 0)) as server:

        async def main() -> asyncio.Transport:
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_connection(asyncio.Protocol, *server.getsockname())
            return transport

        transport = patient_loops.run(main())
        peer, _ = server.accept()
        with peer:
            peer.settimeout(DEADLINE)
            with contextlib.suppress(ConnectionResetError):
                assert peer.recv(1) == b""
        assert transport.is_closing()
