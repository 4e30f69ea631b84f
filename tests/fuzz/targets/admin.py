"""The HTTP API of `confcast admin`: a request's method, path, headers and body, up to the message for an owner.

An input is a line `METHOD TARGET`, lines of headers, an empty line, and a body. Declared: nothing. No answer is a fault
of confcast's (500), each is what the OpenAPI document calls a problem or an answer, and no refusal quotes a value. What
an owner is sent, it can read.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

from confcast.admin.app import Admin
from confcast.admin.limits import Limits
from confcast.admin.owners import ActingClient, Owner
from confcast.admin.tokens import Tokens
from confcast.wire.messages import (
    ConfigRequest,
    Configuration,
    Described,
    Differences,
    DiffRequest,
    Explained,
    ExplainRequest,
    Explanation,
    History,
    HistoryRequest,
    Outcome,
    ReloadEvent,
    ReloadResult,
    Request,
    SchemaRequest,
    Shown,
    ShowRequest,
    Stats,
    StatsRequest,
    Status,
    Versions,
    VersionsRequest,
    Workers,
    WorkersRequest,
    decode_to_client,
    decode_to_owner,
    encode,
)
from tests.fuzz import engines, loading
from tests.fuzz.bounds import Finding

FORM = "json"
SENTINEL = b"Hunter2"
TOKENS = [
    *(
        b"GET /v1/",
        b"POST /v1/",
        b"status",
        b"history?limit=",
        b"set",
        b"unset",
        b"rollback",
        b"check",
        b"reload",
        b"confirm",
        b"resume",
    ),
    *(
        b"explain?key=",
        b"diff?a=",
        b"config?q=",
        b"schema",
        b"owner=",
        b'if-match: "7"\n',
        b"if-match: *\n",
        b"origin: null\n",
    ),
    *(
        b"content-type: application/json\n",
        b"content-length: 5\n",
        b'{"values": {"a": 1}}',
        b'"ttl": 5',
        b'"files": {}',
    ),
    *(
        b'"canary": {"size": 1}',
        b'"confirm_within": 1',
        b'"version": 3',
        b'"keys": ["a"]',
        SENTINEL,
        b"transfer-encoding: chunked\n",
    ),
]
HOST = "http://127.0.0.1:9151"
EVENT = ReloadEvent(timestamp=1.0, result=ReloadResult.SUCCESS, version=8, previous_version=7)


def seeds():
    json_ = b"content-type: application/json\n"
    for read in (
        b"status",
        b"stats",
        b"workers",
        b"versions?limit=3",
        b"history?limit=2&before=9.5",
        b"schema",
        b"owners",
    ):
        yield b"GET /v1/" + read + b"\n\n"
    for read in (
        b"diff?a=3&b=running",
        b"explain?key=a.b",
        b"config?prefix=a&q=x",
        b"openapi.json",
        b"session",
        b"fleet",
    ):
        yield b"GET /v1/" + read + b"\n\n"
    yield b"GET /\n\n"
    yield b"GET /static/page.js\n\n"
    for change, body in (
        (b"check", b'{"values": {"a.b": "Hunter2"}, "files": {}}'),
        (b"check", b'{"files": {"app.toml": "a = 1"}}'),
        (b"reload", b'{"reason": "x", "allow": ["touches:a"], "confirm_within": 5.5, "canary": {"size": "10%"}}'),
        (b"set", b'{"values": {"a": {"b": [1, 2.5, null]}}, "ttl": 60, "reason": "x"}'),
        (b"unset", b'{"keys": ["a.b"], "reason": ""}'),
        (b"rollback", b'{"version": 3, "reason": "x"}'),
        (b"resume", b'{"reason": "x"}'),
        (b"confirm", b'{"version": 8}'),
    ):
        yield b"POST /v1/" + change + b'?owner=app\nif-match: "7"\n' + json_ + b"\n" + body


class Client(ActingClient):
    """Asks an owner that is not there: each request is read as an owner reads it, and answered as one may."""

    def _answers_within(self) -> float:
        return 1.0

    def ask_once(self, make: Callable[[int], Request], timeout: float) -> Any:
        request = make(1)
        read = decode_to_owner(encode(request))
        assert type(read) is type(request)
        return decode_to_client(encode(_answer(read)))

    def answers(self, seconds: float) -> bool:
        return True


def _answer(asked: Any) -> Any:
    found: dict[type, Any] = {
        StatsRequest: lambda: Stats(
            asked.id, {"version": 7, "answers_within": 1.0}, Status(version=7) if asked.status else None
        ),
        HistoryRequest: lambda: History(asked.id, [EVENT]),
        WorkersRequest: lambda: Workers(asked.id, []),
        VersionsRequest: lambda: Versions(asked.id, []),
        ExplainRequest: lambda: Explained(asked.id, Explanation(key="a", value=1, origin="x")),
        DiffRequest: lambda: Differences(asked.id),
        ShowRequest: lambda: Shown(asked.id),
        SchemaRequest: lambda: Described(asked.id),
        ConfigRequest: lambda: Configuration(asked.id, 7),
    }
    return found.get(type(asked), lambda: Outcome(asked.id, EVENT))()


class Owned(Owner):
    def client(self, actor: str = "") -> Client:
        return Client(self.address, self.name, actor)


class Owners:
    """One owner."""

    async def all(self) -> list[Owner]:
        return [Owned("app", "app", "/nowhere", 0)]

    async def find(self, wanted: str | None) -> Owner:
        return (await self.all())[0]

    def described(self, found: list[Owner]) -> list[dict[str, Any]]:
        return [{"id": each.id} for each in found]


class Now:
    """Calls what blocks at once, in the place of a thread."""

    async def do(self, whom: str, what: Callable[[], Any]) -> Any:
        return what()


def _application() -> tuple[Any, str]:
    path = loading.own_folder(__name__) / "tokens"
    tokens = Tokens(path)
    token = next(line.split()[2] for line in path.read_text().splitlines() if " write " in line)
    admin = Admin(Owners(), Now(), tokens, Limits())  # type: ignore[arg-type]
    return admin.application([HOST]), token


_APP, _TOKEN = _application()


def one(data: bytes) -> None:
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    method, _, target = first.partition(b" ")
    path, _, query = target.partition(b"?")
    if path.startswith(b"/v1/events") or not path.startswith(b"/"):
        return  # a stream without an end; and what no server passes on
    given = [
        (name.strip().lower(), value.strip())
        for line in lines
        for name, colon, value in [line.partition(b":")]
        if colon
    ]
    if any(name == b"content-length" and not (value.isdigit() and len(value) < 20) for name, value in given):
        return  # which the server refuses by itself
    headers = [(b"host", b"127.0.0.1:9151"), (b"authorization", b"Bearer " + _TOKEN.encode()), *given]
    with contextlib.suppress(UnicodeDecodeError):
        status, content = engines.run(_ask(method.decode(), path, query, headers, body))
        _check(status, content, target, body)


async def _ask(
    method: str, path: bytes, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> tuple[int, bytes]:
    from urllib.parse import unquote

    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http"}
    scope |= {"path": unquote(path.decode("ascii")), "raw_path": path, "query_string": query, "headers": headers}
    scope |= {"client": ("127.0.0.1", 5), "server": ("127.0.0.1", 9151), "root_path": ""}
    pieces = [body[at : at + 1000] for at in range(0, len(body), 1000)] or [b""]
    said: list[Any] = []

    async def receive() -> dict[str, Any]:
        if not pieces:
            return {"type": "http.disconnect"}
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        said.append(message)

    await _APP(scope, receive, send)
    return said[0]["status"], b"".join(each.get("body", b"") for each in said[1:])


def _check(status: int, content: bytes, target: bytes, body: bytes) -> None:
    if status == 500 or not 200 <= status < 600:
        raise Finding(f"status {status}: {content[:200]!r}")
    if status >= 400:
        if content:
            json.loads(content)
        is_named = b"unknown field" in content  # a name is no value
        if SENTINEL in content and SENTINEL in body and SENTINEL not in target and not is_named:
            raise Finding(f"a refusal quotes a value: {content[:300]!r}")
