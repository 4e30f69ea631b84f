"""Strangers, floods and hangs: none shuts out who has a token, fills the memory, or reaches an owner."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.admin.conftest import Site
from tests.support.admin import AdminServer, Api, resident
from tests.support.stopping import stop
from tests.support.waiting import DEADLINE, eventually

MIB = 1024 * 1024
StartAdmin = Callable[..., AdminServer]


def short(start_admin: StartAdmin, site: Site, **limits: Any) -> AdminServer:
    """A further admin server of the same owner, with these limits."""
    program = ("tests.support.short_admin", json.dumps(limits))
    return start_admin("--address", site.manager.address, program=program)


@contextlib.contextmanager
def connected(server: AdminServer, count: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """So many connections that have sent this."""
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(count):
            found.append(stack.enter_context(socket.create_connection(("127.0.0.1", server.port), DEADLINE)))
            with contextlib.suppress(ConnectionError):  # it is closed again, to have room
                found[-1].sendall(sent)
        yield found


def answered(connection: socket.socket) -> bytes:
    """All that comes until the end."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65536):
            found += piece
    return found


# ---- pages of others


@pytest.mark.parametrize(
    ("headers", "result"),
    [
        ({"host": "evil.example"}, "host"),
        ({"host": "evil.example:{port}"}, "host"),
        ({"origin": "https://evil.example"}, "origin"),
        ({"origin": "null"}, "origin"),
        ({"origin": "http://127.0.0.1:1"}, "origin"),
        ({"sec_fetch_site": "cross-site"}, "origin"),
    ],
)
def test_a_page_of_another_origin_changes_nothing(site: Site, headers: dict[str, str], result: str) -> None:
    given = {name: value.format(port=site.server.port) for name, value in headers.items()}
    before = site.manager.version
    refused = site.api().post("set", {"values": {"limits.high": 50}}, "*", **given)
    assert (refused.status, refused.data["result"]) == (403, result)
    assert not [name for name in refused.headers if name.startswith("access-control")]
    assert site.manager.version == before
    own = {"origin": site.server.url, "sec_fetch_site": "same-origin"}
    assert site.api().post("set", {"values": {"limits.high": 50}}, "*", **own).status == 200


def test_a_form_s_post_and_a_preflight_are_refused(site: Site) -> None:
    api = site.api()
    form = api.ask("POST", "/v1/set", b"values=1", content_type="application/x-www-form-urlencoded", if_match="*")
    assert form.status == 415
    wishes = {"origin": site.server.url, "access_control_request_method": "POST"}
    preflight = api.ask("OPTIONS", "/v1/set", None, **wishes)
    assert preflight.status == 405
    assert not [name for name in preflight.headers if name.startswith("access-control")]


def test_a_token_in_a_url_is_refused_and_in_no_log(site: Site) -> None:
    token = site.server.token("write")
    for target in (f"/v1/status?access_token={token}", f"/v1/status?x={token}", f"/{token}"):
        refused = site.api().ask("GET", target)
        assert (refused.status, refused.data["result"]) == (400, "token_in_url")
        assert token not in str(refused)
    assert token not in site.server.said


def test_who_tries_tokens_waits_and_who_has_one_does_not(start_admin: StartAdmin, site: Site) -> None:
    server = short(start_admin, site, failures=3)
    stranger = Api(server.port, "x" * 43)
    answers = [stranger.get("status") for _ in range(6)]
    assert [each.status for each in answers] == [401, 401, 401, 429, 429, 429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert server.client().get("status").status == 200
    assert "x" * 43 not in server.said


# ---- bodies


@pytest.mark.parametrize("framing", ["Content-Length: 1073741824", "Transfer-Encoding: chunked"])
def test_a_body_of_a_gigabyte_is_refused_at_once(site: Site, framing: str) -> None:
    api, before = site.api(), resident(site.server.pid)
    head = api.wish("/v1/set").decode().replace("GET", "POST", 1).rstrip("\r\n")
    head += f"\r\nContent-Type: application/json\r\nIf-Match: *\r\n{framing}\r\n\r\n"
    piece = b"x" * 65536
    sent = 0
    with socket.create_connection(("127.0.0.1", site.server.port), DEADLINE) as connection:
        connection.sendall(head.encode())
        with contextlib.suppress(ConnectionError):
            for _ in range(1024 * MIB // len(piece)):
                connection.sendall(b"10000\r\n" + piece + b"\r\n" if "chunked" in framing else piece)
                sent += len(piece)
        told = answered(connection)
    assert sent < 64 * MIB
    assert told.startswith(b"HTTP/1.1 413 ")
    assert b"at most 1048576 bytes" in told
    assert resident(site.server.pid) - before < 8 * MIB
    assert api.get("status").status == 200


def test_a_body_that_does_not_come_is_not_waited_for(start_admin: StartAdmin, site: Site) -> None:
    server = short(start_admin, site, body_within=0.2)
    head = server.client().wish("/v1/set").decode().replace("GET", "POST", 1).rstrip("\r\n")
    head += "\r\nContent-Type: application/json\r\nIf-Match: *\r\nContent-Length: 100\r\n\r\n{"
    with connected(server, 20, head.encode()) as slow:
        assert server.client().get("status").status == 200
        assert {answered(each)[:13] for each in slow} == {b"HTTP/1.1 408 "}


# ---- connections


def test_a_thousand_half_sent_requests_shut_nobody_out(start_admin: StartAdmin, site: Site) -> None:
    server = short(start_admin, site, waiting=200)
    half = b"GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
    with connected(server, 1000, half) as slow:
        assert server.client().get("status").status == 200
        assert answered(slow[0]) == b"", "the oldest was closed to have room"
        with server.client("read").events() as events:
            assert events.next("hello").data["version"] == site.manager.version


def test_a_request_whose_headers_do_not_end_is_closed_in_its_time(start_admin: StartAdmin, site: Site) -> None:
    server = short(start_admin, site, head_within=0.3)
    with connected(server, 3, b"GET / HTTP/1.1\r\nHost: x") as slow, connected(server, 1, b"") as silent:
        assert [answered(each) for each in (*slow, *silent)] == [b""] * 4


def test_headers_that_are_too_long_are_refused(site: Site) -> None:
    endless = b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000
    with connected(site.server, 1, endless) as [connection]:
        assert answered(connection)[:13] in (b"HTTP/1.1 400 ", b"")


@contextlib.contextmanager
def reading_nothing(server: AdminServer, count: int) -> Iterator[list[socket.socket]]:
    """So many connections that have asked for the stream of events, and take as little as a connection can."""
    wish, found = server.client("read").wish("/v1/events"), list[socket.socket]()
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(DEADLINE)
            connection.connect(("127.0.0.1", server.port))
            connection.sendall(wish)
            found.append(connection)
        yield found


def is_connected(connection: socket.socket, server: AdminServer) -> bool:
    """By the kernel's table of the server's end: what waits for a client that reads nothing hides the end from it."""
    ends = f":{server.port:04X}", f":{connection.getsockname()[1]:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any((local[-5:], remote[-5:], state) == (*ends, "01") for _, local, remote, state, *_ in rows)


def test_a_client_that_reads_nothing_is_cut_off_and_one_that_reads_is_not(start_admin: StartAdmin, site: Site) -> None:
    server = short(start_admin, site, taken=0.2, buffered=1024)
    with reading_nothing(server, 1) as [deaf], server.client("read").events() as events:
        events.next("hello")
        assert is_connected(deaf, server)
        for number in range(40):  # more than the kernel's buffers have room for
            last = site.manager.set({"limits.high": 50 + number, "name": "x" * 200}, reason="x" * 400).version
        events.until("reload", lambda data: data["version"] == last)
        eventually(lambda: not is_connected(deaf, server), "the end of who reads nothing")
        told = answered(deaf)
    assert b"event: hello" in told
    assert b'"version":%d' % last not in told


@pytest.mark.slow
def test_a_thousand_clients_that_read_nothing_cost_little(start_admin: StartAdmin, site: Site) -> None:
    server = short(start_admin, site, taken=0.2)
    with reading_nothing(server, 1000):
        with server.client("read").events() as events:
            events.next("hello")
            before = resident(server.pid)
            for number in range(60):
                assert site.manager.set({"limits.high": 50 + number, "name": "x" * 200}, reason="x" * 400)
            last = site.manager.version
            events.until("reload", lambda data: data["version"] == last)
        assert resident(server.pid) - before < 64 * MIB
        assert server.client().get("status").status == 200


def test_streams_are_bounded_in_all_and_of_one_token(start_admin: StartAdmin, site: Site) -> None:
    server = short(start_admin, site, streams=3, streams_of_token=2)
    with server.client("read").events() as one, server.client("read").events() as two:
        one.next("hello")
        two.next("hello")
        refused = server.client("read").get("events")
        assert (refused.status, refused.data["result"]) == (503, "too_many_streams")
        with server.client("write").events() as three:
            three.next("hello")
            refused = server.client("write").get("events")
            assert (refused.status, refused.data["result"]) == (503, "too_many_streams")


# ---- owners that hang


def test_an_owner_that_hangs_is_told_in_time_and_holds_up_no_other(
    start_admin: StartAdmin, start_manager: Callable[..., Any], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, works = start_manager(name="hangs"), start_manager(name="works")
    server = start_admin(program=("tests.support.short_admin", json.dumps({"owner": 3.0, "news": 0.2})))
    eventually(lambda: len(server.client().get("owners").data["owners"]) == 2, "both are found")
    with server.client("read", owner="hangs").events() as events:
        events.next("hello")
        stop(hangs.owner_pid)
        try:
            with concurrent.futures.ThreadPoolExecutor(20) as pool:
                api = server.client(owner="hangs")
                reads = [pool.submit(api.get, path) for path in ["status", "workers", "history"] * 2]
                assert server.client(owner="works").get("status").status == 200
                assert not any(each.done() for each in reads), "it has not waited for the one that hangs"
                answers = [each.result() for each in reads]
                change = pool.submit(api.post, "set", {"values": {"limits.high": 50}}, "*").result()
            assert {each.status for each in answers} == {503}
            assert all("hangs" in each.data["detail"] or "did not answer" in each.data["detail"] for each in answers)
            assert (change.status, change.data["result"]) == (503, "owner_unavailable")
            assert "nothing was asked of it" in change.data["detail"]
            assert events.next("owner").data == {"state": "gone"}
        finally:
            os.kill(hangs.owner_pid, signal.SIGCONT)
        assert events.next("owner").data == {"state": "back"}
    assert (works.version, hangs.version) == (1, 1)


def test_it_ends_in_time_with_open_streams_and_a_caller_of_an_owner_that_hangs(
    start_admin: StartAdmin, start_manager: Callable[..., Any], site: Site
) -> None:
    manager = start_manager(name="hangs")
    patient = ("tests.support.short_admin", json.dumps({"owner": 6 * DEADLINE}))
    server = start_admin("--address", manager.address, program=patient)
    with server.client("read").events() as events, connected(server, 1, server.client().wish("/v1/status")) as _:
        events.next("hello")
        stop(manager.owner_pid)
        try:
            with connected(server, 1, server.client().wish("/v1/status")):
                assert server.kill(signal.SIGTERM) == 0
        finally:
            os.kill(manager.owner_pid, signal.SIGCONT)
        with pytest.raises((EOFError, ConnectionError)):
            events.next("never")
    assert "Traceback" not in server.said
    assert server.said.splitlines()[-1] == "ended"


# ---- nothing happens


def switches(pid: int) -> int:
    """How often the threads of a process have been woken, or have given up the processor."""
    texts = [each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/status")]
    return sum(int(number) for text in texts for number in re.findall(r"ctxt_switches:\s+(\d+)", text))


@pytest.mark.slow
def test_nothing_wakes_up_while_nothing_changes_though_a_page_is_open(site: Site) -> None:
    watched, pause = {"admin": site.server.pid, "owner": site.manager.owner_pid}, 15.0
    with site.api("read").events() as events:
        events.next("hello")
        threading.Event().wait(2.0)  # until the first looks are over
        before = {name: switches(pid) for name, pid in watched.items()}
        threading.Event().wait(pause)
        each_second = {name: (switches(pid) - before[name]) / pause for name, pid in watched.items()}
    assert max(each_second.values()) < 1.5, each_second
