"""A stranger at the control socket: closed or refused, and neither a worker nor a reload notices."""

from __future__ import annotations

import os
import resource
import select
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from confcast import ReloadResult
from confcast.wire.framing import Deframer, frame
from confcast.wire.messages import (
    PROTOCOL,
    Hello,
    Message,
    Refused,
    Reload,
    StatsRequest,
    WorkersRequest,
    decode_to_worker,
    encode,
)
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.forking import said_in_child
from tests.support.settings import write
from tests.support.waiting import DEADLINE, eventually, in_thread
from tests.support.workers import Worker

NOBODY = 65534
CLIENT = Hello(PROTOCOL, 0, "client", "app")


class Stranger:
    """A peer that says what it likes."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(address)

    def says(self, *messages: Message) -> None:
        self.sends(b"".join(frame(encode(message)) for message in messages))

    def sends(self, data: bytes) -> None:
        self.socket.sendall(data)

    def is_closed_at(self, data: bytes) -> bool:
        """Whether what it says can't be said any more."""
        try:
            self.sends(data)
        except (BrokenPipeError, ConnectionResetError):
            return True
        return False

    def receives(self) -> list[Message]:
        """All that comes before the end."""
        deframer, received = Deframer(), list[Message]()
        while data := self._receive():
            received += map(decode_to_worker, deframer.feed(data))
        return received

    def _receive(self) -> bytes:
        try:
            return self.socket.recv(65536)
        except ConnectionResetError:  # the end, with something that was never read
            return b""


@pytest.fixture
def worker(shared_manager: Manager, start_worker: StartWorker) -> Worker:
    return start_worker(shared_manager)


@pytest.fixture
def stranger(shared_manager: Manager, worker: Worker) -> Iterator[Stranger]:
    stranger = Stranger(shared_manager.address)
    yield stranger
    stranger.socket.close()


@pytest.fixture
def nobody_notices(shared_manager: Manager, worker: Worker, shared_config: Path) -> Callable[[], None]:
    """A reload goes through, a worker that was there applies it, and it is the same owner."""
    owner = shared_manager.owner_pid

    def check() -> None:
        number = worker.ask("read")[1] + 1
        write(shared_config, number)
        event = shared_manager.reload()
        assert event.result in (ReloadResult.SUCCESS, ReloadResult.UNCHANGED), event  # if a stranger's reload was first
        assert event.lagging == []
        assert worker.pid in event.applied
        assert worker.ask("read") == (event.version, number)
        assert shared_manager.owner_pid == owner

    return check


@contextmanager
def counted(manager: Manager, kind: str) -> Iterator[None]:
    """What is refused within is counted."""
    before = manager.get_stats()["refused"].get(kind, 0)
    yield
    eventually(lambda: manager.get_stats()["refused"].get(kind, 0) > before, f"another {kind!r} in the statistics")


@pytest.mark.parametrize(
    "data",
    [
        b"\x7f\xff\xff\xff" + b"x" * 4096,
        b"\xff\xff\xff\xff" + b"\0\0\0\0\x80\0\0\0",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        frame(b"\xc1" * 64),
        frame(encode(WorkersRequest(1))),
        frame(encode(CLIENT)) * 2,
        frame(encode(CLIENT).replace(b"client", b"\xff\xfe\xfd\xfc\xfb\xfa")),
    ],
    ids=["2 GiB", "a Connection's 2 GiB", "HTTP", "no msgpack", "no Hello", "two Hellos", "no UTF-8"],
)
def test_bytes_that_the_protocol_does_not_know_end_that_pipe(
    data: bytes, shared_manager: Manager, stranger: Stranger, nobody_notices: Callable[[], None]
) -> None:
    with counted(shared_manager, "malformed"):
        stranger.sends(data)
        assert stranger.receives() == []
        nobody_notices()


def test_random_bytes_end_their_pipe(shared_manager: Manager, worker: Worker, nobody_notices: Callable[[], None]):
    with counted(shared_manager, "malformed"):
        for seed in range(20):
            stranger = Stranger(shared_manager.address)
            with stranger.socket:
                stranger.sends(bytes([0x10 | seed]) + os.urandom(256))  # a length above what is allowed
                assert stranger.receives() == []
    nobody_notices()


def test_another_protocol_s_number_is_refused_in_words(
    shared_manager: Manager, stranger: Stranger, nobody_notices: Callable[[], None]
) -> None:
    with counted(shared_manager, "hello"):
        stranger.says(Hello(PROTOCOL + 1, 0, "replica", "app"))
        (refused,) = stranger.receives()
        assert isinstance(refused, Refused)
        assert refused.final
        assert f"speaks protocol {PROTOCOL}, not {PROTOCOL + 1}" in refused.reason
        nobody_notices()


def test_half_a_frame_and_silence_has_a_deadline_and_the_owner_sleeps_until_then(start_manager: StartManager) -> None:
    manager = start_manager(name="patient", vote_timeout=2.5, load_timeout=100.0)  # no other deadline wakes the owner
    hello, question = frame(encode(CLIENT)), frame(encode(StatsRequest(1)))
    with ExitStack() as open_, counted(manager, "silent"):
        strangers = []
        for beginning in (b"", hello[:7], hello + question[:2]):
            strangers.append(Stranger(manager.address))
            open_.enter_context(strangers[-1].socket)
            strangers[-1].sends(beginning)
        before = processor_seconds(manager.owner_pid)
        assert [stranger.receives() for stranger in strangers] == [[], [], []]
        assert processor_seconds(manager.owner_pid) - before < 0.2
    assert manager.reload().result is ReloadResult.UNCHANGED


def processor_seconds(pid: int) -> float:
    """What it has used: a loop that spins uses all that there is."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_thousand_connections_leave_room_for_clients_and_workers(
    shared_manager: Manager, worker: Worker, start_worker: StartWorker, nobody_notices: Callable[[], None]
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4096, hard)), hard))
    try:
        with ExitStack() as crowd, counted(shared_manager, "crowd"):
            first = Stranger(shared_manager.address)
            crowd.enter_context(first.socket)
            for number in range(999):
                stranger = Stranger(shared_manager.address)
                crowd.enter_context(stranger.socket)
                if number % 2:
                    stranger.says(CLIENT)
            nobody_notices()
            assert start_worker(shared_manager).ask("connected") is True
            assert first.receives() == []
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("make", [StatsRequest, Reload], ids=["questions", "reloads"])
def test_a_peer_that_floods_and_never_reads_is_closed(
    make: Callable[[int], Message], stranger: Stranger, nobody_notices: Callable[[], None]
) -> None:
    stranger.says(CLIENT)
    flood = b"".join(frame(encode(make(number))) for number in range(1000))
    eventually(lambda: stranger.is_closed_at(flood), "the end of its pipe")
    nobody_notices()


def test_a_peer_that_floods_and_reads_holds_nobody_up(
    shared_manager: Manager, stranger: Stranger, nobody_notices: Callable[[], None]
) -> None:
    stop, rounds, deframer = threading.Event(), list[int](), Deframer()
    stranger.says(CLIENT)
    flood = b"".join(frame(encode(StatsRequest(number))) for number in range(500))

    def ask_and_read() -> None:
        while not stop.is_set():
            stranger.sends(flood)
            answers = 0
            while answers < 500:
                data = stranger.socket.recv(65536)
                assert data, "its pipe was closed, though it reads"
                answers += len(deframer.feed(data))
            rounds.append(answers)

    flooding = in_thread(ask_and_read)
    try:
        eventually(lambda: rounds, "the flood")
        for _ in range(5):
            nobody_notices()
    finally:
        stop.set()
    flooding()


# ---- another user


@pytest.fixture
def other_user() -> int:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    return NOBODY


def connect_as(user: int, address: str) -> str:
    def connect() -> str:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
        stranger = Stranger(address)
        poller = select.poll()
        poller.register(stranger.socket, select.POLLIN)
        assert poller.poll(DEADLINE * 1000)
        return str([type(message).__name__ + ": " + str(message) for message in stranger.receives()])

    return said_in_child(connect)


def test_another_user_does_not_get_through_the_folder(
    other_user: int, shared_manager: Manager, worker: Worker, nobody_notices: Callable[[], None]
) -> None:
    folder = Path(shared_manager.address).parent
    with opened(folder.parent):  # it is the owner's own folder that keeps them out
        assert connect_as(other_user, shared_manager.address).startswith("PermissionError")
    nobody_notices()


def test_another_user_who_gets_to_the_socket_is_refused_by_what_the_kernel_says(
    other_user: int, shared_manager: Manager, worker: Worker, nobody_notices: Callable[[], None]
) -> None:
    folder = Path(shared_manager.address).parent
    with opened(folder.parent), opened(folder), opened(Path(shared_manager.address)):
        with counted(shared_manager, "stranger"):
            said = connect_as(other_user, shared_manager.address)
            assert "Refused" in said
            assert f"uid {other_user} is not served here" in said
        nobody_notices()


@contextmanager
def opened(path: Path) -> Iterator[None]:
    """To everybody."""
    mode = stat.S_IMODE(path.stat().st_mode)
    path.chmod(0o777)
    yield
    path.chmod(mode)
