"""HTTP's corners: each has an answer in words, with the headers that all have, and none fills the log."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

import pytest

from confcast.admin.guard import ALWAYS
from tests.integration.admin.conftest import Site
from tests.support.admin import AdminServer
from tests.support.waiting import DEADLINE


def said_to(server: AdminServer, *sent: bytes) -> bytes:
    """All that comes until the server closes; each further piece is sent after something has come."""
    with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as connection:
        connection.sendall(sent[0])
        found = b""
        for piece in sent[1:]:
            found += connection.recv(65536)
            connection.sendall(piece)
        with contextlib.suppress(ConnectionError):
            while more := connection.recv(65536):
                found += more
    return found


@pytest.mark.parametrize(
    "sent",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nNo Header\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_what_is_no_http_is_a_problem_with_the_headers_of_all_answers(site: Site, sent: bytes) -> None:
    head, _, body = said_to(site.server.start(), sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b'"result":"request"' in body
    for name, value in ALWAYS:
        assert b"\r\n%s: %s\r\n" % (name, value) in head + b"\r\n"


def test_strangers_do_not_fill_the_log(site: Site) -> None:
    server, before = site.server.start(), site.server.said
    host = f"Host: 127.0.0.1:{server.port}\r\n".encode()
    refused = b"POST /v1/set HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
    assert b" 401 " in said_to(server, refused, b"no chunk\r\n\r\n")
    for _ in range(10):
        said_to(server, b"GARBAGE\r\n\r\n")
    stream = site.api("read").wish("/v1/events")
    assert b" 200 " in said_to(server, stream, b"GARBAGE\r\n\r\n")
    assert site.server.said == before


def test_past_the_bound_of_connections_a_request_is_refused_with_the_headers_of_all(
    start_admin: Callable[..., AdminServer], site: Site
) -> None:
    program = ("tests.support.short_admin", '{"connections": 2}')
    server = start_admin("--address", site.manager.address, program=program)
    with server.client("read").events() as one, server.client("read").events() as two:
        one.next("hello")
        two.next("hello")
        refused = server.client("read").get("session")
        assert (refused.status, refused.data["result"]) == (503, "too_many_connections")
        assert {name.decode(): value.decode() for name, value in ALWAYS}.items() <= refused.headers.items()
    assert "Traceback" not in server.said


def test_the_head_of_a_stream_ends(site: Site) -> None:
    answer = site.api("read").ask("HEAD", "/v1/events")
    assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/set", {"POST"}),
        ("POST", "/v1/status", {"GET", "HEAD"}),
        ("HEAD", "/v1/reload", {"POST"}),
        ("PUT", "/v1/status", {"GET", "HEAD", "POST"}),  # which no path has
    ],
)
def test_another_method_of_a_path_is_called_so(site: Site, method: str, path: str, allowed: set[str]) -> None:
    answer = site.api().ask(method, path)
    assert answer.status == 405
    assert method == "HEAD" or answer.data["result"] == "method"
    assert set(answer.headers["allow"].split(", ")) == allowed


def test_a_path_with_a_slash_at_its_end_is_none(site: Site) -> None:
    assert site.api().get("status/").status == 404
    assert site.api().post("set/", {}, "*").status == 404
