"""The demonstration's own parts: a judgement that finds what it is there to find, and a load that reports the truth."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from confcast.examples.leindex.demo.load import BROKEN, Answer, Load
from confcast.examples.leindex.demo.server import wait
from confcast.examples.leindex.demo.verdict import Barrier, Killed, judge, stale


def answer(sent: float, version: int = 1, *, pid: int = 11, error: str = "", ended: float | None = None) -> Answer:
    return Answer(sent, sent + 0.01 if ended is None else ended, pid, version, error)


# ---- the verdict


def test_an_answer_older_than_what_was_known_when_it_was_asked_for_is_stale() -> None:
    late = answer(10.5, version=1)
    assert stale([answer(9.0), late, answer(10.6, version=2)], [Barrier(10.0, 2)]) == [late]


def test_what_was_sent_before_the_barrier_may_be_of_either_version() -> None:
    answers = [answer(9.99, version=1, ended=12.0), answer(9.99, version=2), answer(10.0, version=1)]
    assert stale(answers, [Barrier(10.0, 2)]) == []


def test_a_newer_version_is_never_stale() -> None:
    assert stale([answer(11, version=5)], [Barrier(10, 2)]) == []


def test_a_settled_that_comes_late_does_not_lower_the_one_before() -> None:
    late = answer(12, version=2)
    assert stale([late], [Barrier(11, 2), Barrier(10, 3)]) == [late]


def test_a_failed_attempt_is_no_stale_answer() -> None:
    assert stale([answer(11, version=0, error="HTTP 500")], [Barrier(10, 2)]) == []


def test_what_broke_with_the_killed_worker_is_lost_and_all_else_failed() -> None:
    killed = [Killed(11, 10.0, 10.1)]
    lost = answer(9.99, 0, pid=0, error=BROKEN, ended=10.05)
    failed = [
        answer(10.2, 0, pid=0, error=BROKEN, ended=10.25),  # sent after the worker was gone
        answer(9.0, 0, pid=0, error=BROKEN, ended=9.5),  # broken before it was killed
        answer(9.99, 0, pid=12, error=BROKEN, ended=10.05),  # another worker's connection
        answer(9.99, 0, pid=0, error="HTTP 500", ended=10.05),
        answer(9.99, 0, pid=0, error="no answer in 5 s", ended=10.05),
        answer(9.99, 0, pid=0, error=BROKEN, ended=11.2),  # long afterwards
    ]
    verdict = judge([lost, *failed], [], killed, {11, 12}, {12})
    assert verdict.lost == [lost]
    assert verdict.failed == failed
    assert not verdict


def test_a_kept_connection_made_anew_is_counted_and_fails_nothing() -> None:
    closed = answer(1, 0, error="closed")
    verdict = judge([closed, answer(1.1)], [], [], {11}, {11})
    assert verdict.closed == [closed]
    assert verdict


def test_a_run_without_a_request_is_no_success() -> None:
    assert not judge([], [], [], {11}, {11})


def test_a_worker_that_was_replaced_without_being_killed_is_found() -> None:
    answers = [answer(1), answer(2, pid=12), answer(3, pid=13)]
    assert not judge(answers, [], [], {11, 12}, {11})
    assert judge(answers, [], [Killed(12, 2.5, 2.6)], {11, 12}, {11})


def test_a_worker_that_came_and_went_in_between_is_found() -> None:
    answers = [answer(1), answer(2, pid=99), answer(3)]
    assert not judge(answers, [], [], {11}, {11})


# ---- the load


class Service(ThreadingHTTPServer):
    """Answers as the example does; `status` and `close_after_answer` spoil it."""

    daemon_threads = False
    status = 200
    close_after_answer = False


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def do_GET(self) -> None:
        body = json.dumps({"pid": 4711, "version": 7}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection |= self.server.close_after_answer  # without saying so, as a dying worker does

    def log_request(self, *args: object) -> None:
        pass


@contextmanager
def served() -> Iterator[tuple[Service, Load]]:
    service = Service(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    load = Load(service.server_address[1])
    try:
        yield service, load
    finally:
        load.stop()
        service.shutdown()
        thread.join()
        service.server_close()


def test_the_load_reports_who_answered_with_what() -> None:
    with served() as (_, load):
        assert wait(lambda: len(load.answers) > 20, 10)
    assert {(each.pid, each.version, each.error) for each in load.answers} == {(4711, 7, "")}
    assert all(each.sent < each.ended <= time.monotonic() for each in load.answers)


def test_a_connection_closed_between_two_requests_is_made_anew_and_reported() -> None:
    with served() as (service, load):
        service.close_after_answer = True
        assert wait(lambda: sum(each.error == "closed" for each in load.answers) >= 3, 10)
    assert {each.error for each in load.answers} == {"", "closed"}
    assert judge(load.answers, [], [], {4711}, {4711})


def test_an_error_of_the_server_is_a_failed_request() -> None:
    with served() as (service, load):
        service.status = 500
        assert wait(lambda: any(each.error == "HTTP 500" for each in load.answers), 10)
    assert not judge(load.answers, [], [], {4711}, {4711})


def test_a_port_that_nobody_listens_on_is_a_failed_request() -> None:
    with served() as (service, load):
        assert wait(lambda: bool(load.answers), 10)
        service.shutdown()
        service.socket.close()
        assert wait(lambda: any("ConnectionRefusedError" in each.error for each in load.answers), 10)
    assert judge(load.answers, [], [], {4711}, {4711}).failed
