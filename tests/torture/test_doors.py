"""The doors: what the plans have is understood by each surface, and whatever comes back becomes an answer."""

from __future__ import annotations

import http.server
import inspect
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from confcast import Canary, Client, ConfigError, OwnerUnavailable, ReloadEvent, ReloadResult
from confcast.admin import table
from confcast.cli.commands import parser_of
from tests.torture import doors
from tests.torture.doors import UNDECLARED, Answer, Where, call
from tests.torture.plan import Scalar, plan

NUMBERS = {"seen": 12, "before": 11}
EVENT = ReloadEvent(timestamp=1.0, result=ReloadResult.SUCCESS, version=12, previous_version=11, applied=[7])


def calls(door: str) -> list[tuple[str, dict[str, Scalar]]]:
    """What a hundred plans call by a door, with a run's numbers in the place of the plan's words."""
    steps = [step.arguments for seed in range(100) for step in plan(seed, 30.0) if step.act == "call"]
    here = [dict(given) for given in steps if given["door"] == door]
    assert here
    found = []
    for given in here:
        given.pop("door")
        for name in ("expect", "version"):
            given |= {name: NUMBERS[str(given[name])]} if name in given else {}
        given |= {"version": 12} if given.pop("back", None) is not None else {}
        given |= {name: 11 for name in ("a", "b") if isinstance(given.get(name), int)}
        found.append((str(given.pop("verb")), given))
    return found


def test_a_client_takes_the_arguments_of_each_call():
    for verb, given in calls("client"):
        given.pop("awaited", None)
        arguments, how = doors.arguments_of(verb, given)
        inspect.signature(getattr(Client(), doors.CLIENT[verb])).bind(*arguments, **how)
        assert isinstance(how.get("canary"), Canary | None)


def test_the_command_line_takes_each_call():
    for verb, given in calls("cli"):
        line = doors.command_of(verb, given, owner=("--pid", "1"))
        parser_of(line[0]).parse(line[1:])


def test_the_admin_api_takes_each_call():
    changes = {route.path: route.body for route in table.CHANGES}
    reads = {route.path: route.query for route in table.READS}
    for verb, given in calls("admin"):
        method, target, body = doors.request_of(verb, given)
        url = urlsplit(target)
        if method == "POST":
            msgspec.convert(body, changes[url.path])
        elif verb != "events":
            msgspec.convert(dict(parse_qsl(url.query)), reads[url.path], strict=False)


@pytest.mark.parametrize("door", ["client", "cli", "admin"])
def test_a_caller_who_gives_more_time_is_promised_an_answer_later(door: str):
    assert doors.deadline(door, "status", {}, 10.0) < doors.deadline(door, "reload", {}, 10.0)
    assert doors.deadline(door, "reload", {"timeout": 1.0}, 10.0) < doors.deadline(door, "reload", {}, 10.0)
    longer = doors.deadline(door, "reload", {"wait_observers": 3.0}, 10.0)
    assert longer == doors.deadline(door, "reload", {}, 10.0) + 3.0


# ---- what comes back


class Stub(Client):
    """A client whose verbs give, or raise, what a test says."""

    given: Any = EVENT

    def reload(self, *arguments: Any, **how: Any) -> Any:
        if isinstance(self.given, Exception):
            raise self.given
        return self.given

    async def areload(self, *arguments: Any, **how: Any) -> Any:
        return self.reload()


def by_client(given: Any, arguments: Mapping[str, Scalar] | None = None) -> Answer:
    client = Stub()
    Stub.given = given
    return call(Where(client, ("--pid", "1"), None), "client", "reload", arguments or {}, 1.0)


@pytest.mark.parametrize("awaited", [False, True])
def test_an_outcome_is_taken_as_it_is(awaited: bool):
    answer = by_client(EVENT, {"awaited": awaited})
    assert (answer.result, answer.version, answer.previous, answer.applied) == ("success", 12, 11, [7])


def test_an_error_that_names_its_cause_is_an_answer():
    for error in (OwnerUnavailable("no owner"), ConfigError([])):
        answer = by_client(error)
        assert answer.answered
        assert answer.error.startswith(type(error).__name__)


def test_an_error_that_no_caller_may_get_is_marked():
    assert by_client(KeyError("a fault")).error.startswith(UNDECLARED)


@contextmanager
def serving(status: int, body: bytes) -> Iterator[int]:
    """An HTTP server that gives this answer to each request; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, json.dumps({"event": msgspec.to_builtins(EVENT)}), ""),
        (503, '{"detail": "nobody answers"}', '{"detail'),
        (200, "12", ""),
        (500, "a fault", UNDECLARED),
        (401, "no token", UNDECLARED),
    ],
)
def test_what_the_admin_api_says_is_told_apart(status: int, body: str, error: str):
    with serving(status, body.encode()) as port:
        answer = call(Where(Client(), ("--pid", "1"), (port, "token")), "admin", "reload", {}, 1.0)
    assert answer.answered
    assert answer.error.startswith(error)
    assert bool(answer.error) == bool(error)


def test_an_admin_process_that_is_gone_is_an_answer():
    with serving(200, b"") as port:
        pass
    answer = call(Where(Client(), ("--pid", "1"), (port, "token")), "admin", "status", {}, 1.0)
    assert answer.answered
    assert answer.error.startswith("ConnectionRefusedError")


def test_a_command_is_run_and_its_exit_status_says_what_it_means(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("CONFCAST_RUNTIME_DIR", str(tmp_path))
    nobody = call(Where(Client(), ("--pid", str(2**22)), None), "cli", "status", {}, 5.0)
    assert nobody == Answer(result="exit 3", error=nobody.error, waited=nobody.waited)
    misspelt = call(Where(Client(), ("--pid", str(2**22)), None), "cli", "explain", {"key": "--nothing"}, 5.0)
    assert misspelt.error.startswith(UNDECLARED)
