"""The server for metrics: what it answers, and that no client holds it up, however many there are and how slow."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest

from confcast.metrics import http_server
from confcast.metrics.address import Address, bind
from confcast.metrics.http_server import MOST_CONNECTIONS, MetricsServer
from tests.support.waiting import DEADLINE, eventually, in_thread


class Counting:
    """A collector whose answers are counted; `gate`: what each of them waits for."""

    def __init__(self) -> None:
        self.asked = 0
        self.gate = threading.Event()
        self.gate.set()

    def describe(self) -> Iterator[Any]:
        return iter([])

    def collect(self) -> Iterator[Any]:
        from prometheus_client.metrics_core import GaugeMetricFamily

        self.asked += 1
        assert self.gate.wait(DEADLINE)
        yield GaugeMetricFamily("confcast_up", "Whether it answers", float(self.asked))


@pytest.fixture
def collector() -> Counting:
    return Counting()


@pytest.fixture
def server(collector: Counting) -> Iterator[MetricsServer]:
    made = MetricsServer(bind(Address("127.0.0.1", 0)), collector)  # type: ignore[arg-type]
    made.start()
    yield made
    collector.gate.set()
    made.close()
    made.close()


@pytest.fixture
def port(server: MetricsServer) -> int:
    found: int = server._sockets[0].getsockname()[1]
    return found


def asks(port: int, method: str = "GET", target: str = "/metrics", **headers: str) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    try:
        connection.request(method, target, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def says(port: int, *content: bytes) -> bytes:
    """What a client is answered that writes this, until the connection ends."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as client:
        for each in content:
            client.sendall(each)
        received = b""
        while data := client.recv(65536):
            received += data
    return received


# ---- what is answered


def test_metrics_are_answered_in_the_form_that_is_asked_for(port: int) -> None:
    response, body = asks(port)
    assert (response.status, response.getheader("Content-Type")) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert body.endswith(b"confcast_up 1.0\n")
    response, body = asks(port, Accept="application/openmetrics-text; version=1.0.0", Accept_Encoding="gzip")
    assert response.getheader("Content-Type", "").startswith("application/openmetrics-text; version=1.0.0")
    assert gzip.decompress(body).endswith(b"confcast_up 2.0\n# EOF\n")
    response, body = asks(port, target="http://other.example/metrics?a=b")
    assert body.endswith(b"confcast_up 3.0\n")


def test_head_is_answered_without_the_metrics(port: int) -> None:
    response, body = asks(port, "HEAD")
    assert (response.status, body) == (200, b"")
    assert int(response.getheader("Content-Length", "0")) > 50


@pytest.mark.parametrize(
    ("method", "target", "status", "text"),
    [
        ("GET", "/", 404, b"metrics are at /metrics\n"),
        ("GET", "/metrics/", 404, b"metrics are at /metrics\n"),
        ("POST", "/metrics", 405, b"metrics can be read, with GET or HEAD\n"),
    ],
)
def test_nothing_else_is_answered(port: int, collector: Counting, method: str, target: str, status: int, text: bytes):
    response, body = asks(port, method, target)
    assert (response.status, body) == (status, text)
    assert response.getheader("Allow") == ("GET, HEAD" if status == 405 else None)
    assert collector.asked == 0


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"hello\r\n\r\n", b"400 Bad Request"),
        (b"\x16\x03\x01 \xff\r\n\r\n", b"400 Bad Request"),
        (b"GET /metrics HTTP/2\r\n\r\n", b"400 Bad Request"),
        (b"GET http://[/metrics HTTP/1.1\r\n\r\n", b"400 Bad Request"),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n", b"431 Request Header Fields Too Large"),
        (b"GET /" + b"x" * 20_000, b"431 Request Header Fields Too Large"),
    ],
    ids=["a word", "TLS", "another version", "no URL", "a long header", "a long line"],
)
def test_what_is_no_request_is_told_so(port: int, request_: bytes, status: bytes) -> None:
    assert says(port, request_).startswith(b"HTTP/1.1 " + status)
    assert asks(port)[0].status == 200


def test_a_collector_that_raises_is_a_500_and_is_logged(port: int, collector: Counting, caplog: Any, monkeypatch: Any):
    monkeypatch.setattr(collector, "collect", lambda: 1 / 0)
    response, body = asks(port)
    assert (response.status, body) == (500, b"metrics could not be made: see the log\n")
    assert "metrics could not be made" in caplog.text
    monkeypatch.undo()
    assert asks(port)[0].status == 200


# ---- slow clients, and many


def test_a_thousand_silent_clients_keep_no_scraper_out(port: int, collector: Counting) -> None:
    silent = []
    try:
        for number in range(1000):
            silent.append(socket.create_connection(("127.0.0.1", port), DEADLINE))
            silent[-1].sendall(b"GET /metrics HTTP/1.1\r\n" if number % 2 else b"")
        assert asks(port)[0].status == 200
        assert collector.asked == 1

        def ended() -> int:
            return sum(is_over(each) for each in silent)

        eventually(lambda: ended() >= 1000 - MOST_CONNECTIONS, "the end of the oldest ones")
    finally:
        for each in silent:
            each.close()


def is_over(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_clients_that_read_nothing_keep_no_scraper_out(port: int, collector: Counting, monkeypatch: Any) -> None:
    monkeypatch.setattr(collector, "collect", lambda: [LONG])
    monkeypatch.setattr(http_server, "MOST_CONNECTIONS", 10)
    greedy = []
    try:
        for _ in range(20):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            client.settimeout(DEADLINE)
            client.connect(("127.0.0.1", port))
            client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            greedy.append(client)
        assert asks(port)[0].status == 200
    finally:
        for each in greedy:
            each.close()


class Long:
    name, documentation, type, samples, unit = "long", "x" * 1_000_000, "gauge", (), ""


LONG = Long()


def test_a_client_that_sends_letter_by_letter_is_ended(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as impatient:
        impatient.setattr(http_server, "_PATIENCE", 0.2)
        assert says(port, b"GET /metr", b"i") == b""
    assert asks(port)[0].status == 200


def test_a_storm_of_scrapes_asks_once(server: MetricsServer, port: int, collector: Counting) -> None:
    collector.gate.clear()
    storm = [in_thread(lambda: asks(port)[1]) for _ in range(20)]
    eventually(lambda: len(server._answered) == 20, "all requests")
    collector.gate.set()
    answers = [each() for each in storm]
    assert collector.asked == 1
    assert all(each.startswith(b"# HELP confcast_up") for each in answers)


def test_the_end_waits_for_no_client(collector: Counting) -> None:
    sockets = bind(Address("127.0.0.1", 0))
    server = MetricsServer(sockets, collector)  # type: ignore[arg-type]
    server.start()
    port = sockets[0].getsockname()[1]
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as client:
        client.sendall(b"GET")
        server.close()
        assert client.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), DEADLINE)


def test_a_server_that_never_started_closes(collector: Counting) -> None:
    server = MetricsServer(bind(Address("127.0.0.1", 0)), collector)  # type: ignore[arg-type]
    server.close()


def test_the_urls_name_what_is_listened_at(collector: Counting) -> None:
    sockets = bind(Address("127.0.0.1", 0))
    server = MetricsServer(sockets, collector)  # type: ignore[arg-type]
    assert server.urls == [f"http://127.0.0.1:{sockets[0].getsockname()[1]}/metrics"]
    server.close()
