"""One exchange with a server that does what servers do: hang, drip, cut, send without end, lead elsewhere."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from confcast.wire import http_exchange as module
from confcast.wire.http_exchange import Reply, Unanswered, Unusable, get, post
from tests.support.certificates import Authority, context_of
from tests.support.config_server import ConfigServer, Handler, config_server, says
from tests.support.receiver import receiving
from tests.support.waiting import eventually

LONG = 20.0
MOST = 1000


@pytest.fixture
def server() -> Iterator[ConfigServer]:
    with config_server("number = 1\n") as found:
        yield found


@pytest.fixture(autouse=True)
def all_threads_end() -> Iterator[None]:
    yield
    eventually(_nobody_asks, "their end")


def _nobody_asks() -> bool:
    return "confcast-http" not in [each.name for each in threading.enumerate()]


def ask(server: ConfigServer, path: str = "/app.toml", *, timeout: float = LONG, most: int = MOST) -> Reply:
    return get(server.url(path), {"X-Key": "k"}, timeout=timeout, most=most)


def test_an_answer_is_whole(server: ConfigServer) -> None:
    reply = ask(server, "/a b.toml?x=1")
    assert (reply.status, reply.body, reply.headers["content-length"]) == (200, b"number = 1\n", "11")
    asked = server.asked[0]
    assert asked.path == "/a%20b.toml?x=1"
    assert (asked.headers["x-key"], asked.headers["accept-encoding"]) == ("k", "identity")


def _chunked(request: Handler) -> None:
    request.send_response(200)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    request.wfile.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")


def test_chunks_are_put_together(server: ConfigServer) -> None:
    server.script = _chunked
    assert ask(server).body == b"abcde"


def _cut_in_a_chunk(request: Handler) -> None:
    request.send_response(200)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    request.wfile.write(b"3\r\nabc\r\n5\r\nd")


def _drip_headers(request: Handler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\n")
    request.drip(b"X")


def _drip_body(request: Handler) -> None:
    request.give(200, length=10**9)
    request.drip()


def _continue_for_ever(request: Handler) -> None:
    request.drip(b"HTTP/1.1 100 Continue\r\n\r\n")


def _close(request: Handler) -> None:
    request.connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("script", [ConfigServer.hang, _drip_headers, _drip_body, _continue_for_ever])
def test_a_server_that_hangs_or_drips_is_left_at_the_deadline(server: ConfigServer, script: object) -> None:
    server.script = script if script is not ConfigServer.hang else server.hang  # type: ignore[assignment]
    began = time.monotonic()
    with pytest.raises(Unanswered, match=r"no whole answer within 0\.3 s"):
        ask(server, timeout=0.3, most=10**9)
    assert time.monotonic() - began < LONG / 2
    eventually(_nobody_asks, "the end of the thread, though the server goes on")
    server.over.set()


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (says(200, b"number = 1", length=100), "the connection was cut after 10 of 100 bytes"),
        (_cut_in_a_chunk, "the connection was cut within the answer"),
        (_close, "it closed the connection without an answer"),
        (lambda request: request.wfile.write(b"220 mail\r\n"), "does not speak HTTP as it should"),
    ],
)
def test_half_an_answer_is_none(server: ConfigServer, script: object, why: str) -> None:
    server.script = script  # type: ignore[assignment]
    with pytest.raises(Unanswered, match=why):
        ask(server)


def _endless(request: Handler) -> None:
    request.send_response(200)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    try:
        while True:
            request.wfile.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
    except OSError:
        pass


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (says(200, b"x" * (MOST + 1)), "answers with more than 1000 bytes"),
        (says(200, length=10 * 1024**3), "answers with more than 1000 bytes"),
        (_endless, "answers with more than 1000 bytes"),
        (says(200, b"number = 1", length=-1), "does not say how long its answer is"),
        (says(200, b"\x1f\x8b", Content_Encoding="gzip"), "answers in the coding 'gzip', which was not asked for"),
    ],
)
def test_an_answer_that_can_t_be_used(server: ConfigServer, script: object, why: str) -> None:
    server.script = script  # type: ignore[assignment]
    with pytest.raises(Unusable, match=why):
        ask(server)


def test_the_largest_answer_is_taken(server: ConfigServer) -> None:
    server.script = says(200, b"x" * MOST)
    assert len(ask(server).body) == MOST


def test_a_redirect_is_followed_within_the_place_only(server: ConfigServer) -> None:
    def script(request: Handler) -> None:
        if request.path == "/app.toml":
            request.give(200, b"there")
        elif request.path == "/loop":
            request.give(307, Location="/loop")
        else:
            request.give(302, b"see there", Location=request.path.partition("?")[2])

    server.script = script
    assert ask(server, "/to?/app.toml").body == b"there"
    assert ask(server, f"/to?{server.url()}").body == b"there"
    with pytest.raises(Unusable, match="redirects more than 3 times"):
        ask(server, "/loop")
    for place in ("http://elsewhere.example/app.toml", f"https://127.0.0.1:{server.server_port}/", "//[::1]/x?secret"):
        with pytest.raises(Unusable, match=r"redirects to another place, https?://") as raised:
            ask(server, f"/to?{place}")
        assert "secret" not in str(raised.value)


def test_nobody_there_and_no_such_name(server: ConfigServer, monkeypatch: pytest.MonkeyPatch) -> None:
    url = server.url()
    server.shutdown()
    server.server_close()
    with pytest.raises(Unanswered, match=r"^Connection refused$"):
        get(url, {}, timeout=LONG, most=MOST)

    def unknown(*about: object, **more: object) -> object:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Unanswered, match=r"^its name is not found: Name or service not known$"):
        get("http://no-such-host.invalid/", {}, timeout=LONG, most=MOST)


def test_a_resolver_that_hangs_holds_nobody_and_the_threads_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def hangs(*about: object, **more: object) -> object:
        over.wait()
        raise socket.gaierror(1, "over")

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    try:
        for _ in range(32):
            with pytest.raises(Unanswered, match=r"no whole answer within 0\.001 s"):
                get("http://config.example/", {}, timeout=0.001, most=MOST)
        with pytest.raises(Unanswered, match=r"32 requests before this one have hung for 0\.01 s"):
            get("http://config.example/", {}, timeout=0.01, most=MOST)
    finally:
        over.set()


def test_of_many_at_once_each_gets_its_answer(server: ConfigServer) -> None:
    """A load asks all its sources at the same time."""
    waiting = threading.Barrier(32)

    def together(request: Handler) -> None:
        if len(server.asked) <= 32:
            waiting.wait(LONG)
        request.give(200, b"x")

    server.script = together
    with ThreadPoolExecutor(40) as threads:
        replies = list(threads.map(lambda _: get(server.url(), {}, timeout=LONG, most=MOST), range(40)))
    assert [each.body for each in replies] == [b"x"] * 40


def test_what_connects_after_its_deadline_sends_nothing(server: ConfigServer, monkeypatch: pytest.MonkeyPatch) -> None:
    may_go_on, resolved = threading.Event(), socket.getaddrinfo

    def late(*about: object, **more: object) -> object:
        may_go_on.wait()
        return resolved(*about, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", late)
    with pytest.raises(Unanswered):
        ask(server, timeout=0.01)
    may_go_on.set()
    eventually(_nobody_asks, "its end")
    assert server.asked == []


# ---- TLS


def test_a_certificate_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    server = ConfigServer("number = 1", context=context_of(authority))
    try:
        with pytest.raises(Unanswered, match=r"its certificate can't be verified: self.signed certificate"):
            ask(server)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.certfile))
        with pytest.raises(Unanswered, match="its certificate can't be verified: IP address mismatch"):
            ask(server)
        plain = server.url().replace("https", "http")
        with pytest.raises(Unanswered):
            get(plain, {}, timeout=LONG, most=MOST)
        assert server.asked == []
    finally:
        server.close()


def test_over_tls_an_answer_is_whole_and_one_that_hangs_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.pair("server", address="127.0.0.1")
    authority.put(authority.keyfile, key)
    authority.put(authority.certfile, certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certfile))
    server = ConfigServer("number = 1", context=context_of(authority))
    try:
        assert ask(server).body == b"number = 1"
        server.script = _drip_body
        with pytest.raises(Unanswered, match=r"no whole answer within 0\.3 s"):
            ask(server, timeout=0.3, most=10**9)
        eventually(_nobody_asks, "the end of the thread, though the server goes on")
    finally:
        server.close()


def test_a_server_without_tls_is_no_answer(server: ConfigServer) -> None:
    with pytest.raises(Unanswered, match=r"^TLS fails: (wrong version number|record layer failure)$"):
        get(server.url().replace("http", "https"), {}, timeout=LONG, most=MOST)


def test_a_handshake_that_hangs_is_left_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(Unanswered, match=r"no whole answer within 0\.2 s"):
            get(url, {}, timeout=0.2, most=MOST)
        eventually(_nobody_asks, "the end of the thread")  # reset before its handshake, ssl leaves a socket unclosed


def test_words_are_there_for_each_error() -> None:
    assert module._words(ssl.SSLError(1, "text"), 1) == "TLS fails: sslerror"
    assert module._words(OSError("text"), 1) == "OSError"
    assert module._words(ValueError("secret"), 1) == "ValueError"


def test_a_port_that_is_the_usual_one_is_the_same_place() -> None:
    assert module._place("http://a/b") == module._place("http://A:80/") != module._place("http://a:8080/")
    assert module._place("https://a/b") == module._place("https://a:443/") != module._place("http://a:443/")


# ---- posts


def test_a_post_sends_its_body_and_follows_nothing() -> None:
    with receiving(secret=None) as receiver:
        receiver.answer = (307, {"Location": "/elsewhere"})
        reply = post(receiver.url, {"X-Key": "k"}, b"{}", timeout=LONG)
        assert (reply.status, reply.headers["location"], reply.body) == (307, "/elsewhere", b"")
        (got,) = receiver.got
        assert (got.body, got.headers["x-key"], got.path) == (b"{}", "k", "/hook")


@pytest.mark.parametrize("how", ["hang", "drip"])
def test_a_post_whose_answer_does_not_come_has_a_deadline(how: str) -> None:
    with receiving(secret=None) as receiver:
        receiver.answer = how
        with pytest.raises(Unanswered, match=r"no whole answer within 0\.3 s"):
            post(receiver.url, {}, b"{}", timeout=0.3)


def test_of_the_body_of_an_answer_to_a_post_little_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_DRAIN_WITHIN", 0.2)
    with receiving(secret=None) as receiver:
        receiver.answer = "slow"
        assert post(receiver.url, {}, b"{}", timeout=LONG).status == 200


def test_posts_that_hang_hold_up_no_load(server: ConfigServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(module._MOST_AT_ONCE):
        module._posts_at_once.acquire()
    try:
        assert ask(server).status == 200
        with pytest.raises(Unanswered, match="requests before this one have hung"):
            post(server.url("/"), {}, b"{}", timeout=0.1)
    finally:
        for _ in range(module._MOST_AT_ONCE):
            module._posts_at_once.release()
