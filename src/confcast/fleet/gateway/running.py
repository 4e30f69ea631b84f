"""The process of a gateway: its start, its end, and what it has to be able to open.

Guarantees. Nothing listens before each key has a head, of the engine or of the copy on disk; once one key has, the
others are waited for a short time only, and answer 503 until they have. At SIGTERM or SIGINT the streams end in order,
what the hosts reported is written once more, and the process ends within some seconds, whoever does not answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from confcast.fleet import engines
from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import EngineError
from confcast.fleet.gateway import doors
from confcast.fleet.gateway.disk import StateFolder, new_id
from confcast.fleet.gateway.disk_thread import DiskThread
from confcast.fleet.gateway.errors import CanNotStart
from confcast.fleet.gateway.limits import Limits
from confcast.fleet.gateway.server import GatewayServer
from confcast.fleet.gateway.topic import Topic
from confcast.log_fields import about
from confcast.wire.open_files import room_for

_SPARE = 100  # descriptors for what is no connection of a host
_OTHERS = 5.0  # seconds for the heads of further keys, once one is there
_COPY = 5.0  # seconds for the copy on disk to be read

_log = logging.getLogger("confcast.fleet")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway is started with.

    Attributes:
        engine: Where the engine is.
        keys: The keys to follow.
        listen: HOST:PORT.
        state_dir: The folder for the copy on disk; empty for none.
        tls_cert: The gateway's certificate; empty for plain HTTP.
        tls_key: Its key; empty if it is in `tls_cert`.
        client_ca: The authorities of the hosts' certificates; empty: hosts show none.
        token_file: The file with the hosts' tokens; empty: hosts show none.
        limits: The bounds.
    """

    engine: Access
    keys: tuple[str, ...]
    listen: str
    state_dir: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    client_ca: str = ""
    token_file: str = ""
    limits: Limits = Limits()


class Served(NamedTuple):
    """What came of a gateway.

    Attributes:
        hosts: The hosts that were known at its end.
        cut_off: How many were cut off, since they were too slow.
        refused: How many connections were one too many.
    """

    hosts: int
    cut_off: int
    refused: int


async def serve(options: Options, listening: Callable[[str], None], stop: asyncio.Event | None = None) -> Served:
    """Run a gateway until SIGTERM, SIGINT or `stop`.

    Args:
        options: What it is started with.
        listening: Called with the URL once hosts can connect.
        stop: Ends it; given one, no signal is handled.

    Raises:
        CanNotStart: It can't be started like this.
    """
    try:
        engines.find(options.engine)
    except EngineError as error:
        raise CanNotStart(f"--from {error}") from error
    where = doors.address(options.listen)
    tokens = doors.Tokens(options.token_file) if options.token_file else None
    tls = doors.Tls(options.tls_cert, options.tls_key, options.client_ca) if options.tls_cert else None
    if options.client_ca and tls is None:
        raise CanNotStart("--client-ca needs --tls-cert: hosts show certificates only over TLS")
    doors.check(where, tokens=tokens is not None, client_ca=bool(options.client_ca))
    limits = msgspec.structs.replace(options.limits, connections=_possible_connections(options.limits))
    folder = StateFolder(options.state_dir) if options.state_dir else None
    disk = DiskThread()
    try:
        topics = await _topics(options, limits, folder, disk)
        server = GatewayServer(topics, limits, tokens, tls)
        with _until_signal(stop) as ended:
            await _run(server, topics, where, listening, ended, limits)
        hosts = sum(len(topic.hosts) for topic in topics.values())
        return Served(hosts, server.service.cut_off, server.refused)
    finally:
        disk.close(limits.closing)
        if folder is not None:
            folder.close()


async def _topics(options: Options, limits: Limits, folder: StateFolder | None, disk: DiskThread) -> dict[str, Topic]:
    gateway = await disk.do(folder.gateway_id) if folder is not None else new_id()
    topics = {}
    for key in options.keys:
        connect = partial(engines.connect, options.engine, key)
        copy = folder.copy_of(key) if folder is not None else None
        topics[key] = topic = Topic(key, connect, gateway, limits, copy, disk)
        try:
            async with asyncio.timeout(_COPY):
                await topic.read_copy()
        except TimeoutError:
            _log.warning(
                "key %r: the copy on disk has not been read within %g s, and is not used",
                key,
                _COPY,
                extra=about("copy_not_read", key=key, seconds=_COPY),
            )
    return topics


async def _run(
    server: GatewayServer,
    topics: dict[str, Topic],
    where: doors.Address,
    listening: Callable[[str], None],
    ended: asyncio.Event,
    limits: Limits,
) -> None:
    followers = [asyncio.create_task(topic.run()) for topic in topics.values()]
    end = asyncio.create_task(ended.wait())
    start = asyncio.create_task(_start(server, topics, where, listening))
    try:
        await asyncio.wait([end, *followers, start], return_when=asyncio.FIRST_COMPLETED)
        if start.done():
            start.result()
            await asyncio.wait([end, *followers], return_when=asyncio.FIRST_COMPLETED)
        for task in followers:
            if task.done():
                task.result()  # it never ends by itself, so this raises
    finally:
        await _cancelled([start, end])
        await server.close()
        if not start.cancelled() and start.exception() is None:  # one that never listened has no hosts to speak for
            await _last_words(topics, limits)
        await _cancelled(followers)


async def _start(
    server: GatewayServer, topics: dict[str, Topic], where: doors.Address, listening: Callable[[str], None]
) -> None:
    """Listen, once there is something to serve."""
    waiting = [asyncio.create_task(topic.served()) for topic in topics.values()]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait(waiting, timeout=_OTHERS)
    finally:
        await _cancelled(waiting)
    if missing := ", ".join(repr(topic.key) for topic in topics.values() if topic.head is None):
        _log.warning("no head is known yet of %s; the other keys are served", missing, extra=about("head_unknown"))
    found = await server.listen(where)
    for topic in topics.values():
        topic.listens()
    scheme = "https" if server.is_secure else "http"
    listening(f"{scheme}://{found}")


async def _last_words(topics: dict[str, Topic], limits: Limits) -> None:
    """Have the engine keep what the hosts reported, if it answers."""
    with contextlib.suppress(EngineError, TimeoutError):
        async with asyncio.timeout(limits.closing):
            await asyncio.gather(*(topic.last_summary() for topic in topics.values() if not topic.away))


async def _cancelled(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel tasks, again while they swallow the cancellation, and wait for their end."""
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=0.1)


@contextlib.contextmanager
def _until_signal(stop: asyncio.Event | None) -> Iterator[asyncio.Event]:
    if stop is not None:
        yield stop
        return
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    try:
        yield ended
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _possible_connections(limits: Limits) -> int:
    """How many connections the kernel gives this process, up to those of the limits. Says what is in the way."""
    wanted = limits.connections + _SPARE
    soft = room_for(wanted)
    if soft < wanted:
        text = "this process may open %d files, so that %d connections are possible: raise it by `ulimit -n %d`"
        _log.warning(text, soft, soft - _SPARE, wanted, extra=about("file_limit_low", limit=soft))
    backlog = _most_waiting()
    if backlog < limits.hosts:
        text = "the kernel has %d connections wait at the most, so more hosts that come at once try again: raise it"
        _log.warning(
            f"{text} by `sysctl net.core.somaxconn=%d`",
            backlog,
            limits.hosts,
            extra=about("backlog_low", limit=backlog),
        )
    return max(1, min(limits.connections, soft - _SPARE))


def _most_waiting() -> int:
    try:
        return int(Path("/proc/sys/net/core/somaxconn").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 1 << 16  # not known: nothing to say
