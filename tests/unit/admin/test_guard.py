"""What a request has to pass first: whom it is for, where it comes from, and no token in its URL."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response
from starlette.types import Message, Scope

from confcast.admin.guard import CSP, Guard
from confcast.admin.tokens import Tokens

ORIGINS = ["http://127.0.0.1:9151", "http://localhost:9151", "http://[::1]:9151", "https://Config.example"]
TOKEN = "t" * 30
VISIT = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    """A guard before something that answers all."""
    (path := tmp_path / "tokens").write_text(f"bob read {TOKEN}\n")
    path.chmod(0o600)
    return Guard(Response(b"let in"), ORIGINS, Tokens(path))


def asked(
    guard: Guard, target: str = "/v1/status", method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], str]:
    """The status, the headers, and what the answer says."""
    path, _, query = target.partition("?")
    given = {"host": "127.0.0.1:9151", **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope: Scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("a refusal reads no body")

    asyncio.run(guard(scope, receive, send))
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert len(found) == len(sent[0]["headers"]), "a header twice"
    body = b"".join(each.get("body", b"") for each in sent)
    return sent[0]["status"], found, body.decode()


@pytest.mark.parametrize("host", ["127.0.0.1:9151", "localhost:9151", "LOCALHOST:9151", "[::1]:9151", "config.example"])
def test_a_request_for_a_name_of_this_server_is_let_in(guard: Guard, host: str) -> None:
    assert asked(guard, host=host)[2] == "let in"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:80", "evil.example:9151", "", "127.0.0.1:9151."]
)
def test_a_request_for_another_host_is_refused(guard: Guard, host: str) -> None:
    status, _, text = asked(guard, host=host)
    assert (status, json.loads(text)["result"]) == (403, "host")
    assert "--allow-host" in text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://127.0.0.1:9151"}, 200),
        ({"origin": "https://config.example"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "http://127.0.0.1:9152"}, 403),
        ({"origin": "https://127.0.0.1:9151"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        (VISIT, 403),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_page_of_another_origin_may_not_ask(guard: Guard, method: str, headers: dict[str, str], status: int) -> None:
    assert asked(guard, method=method, **headers)[0] == status


@pytest.mark.parametrize(
    ("target", "method", "headers", "status"),
    [
        ("/", "GET", VISIT, 200),
        ("/", "POST", VISIT, 403),
        ("/", "GET", {**VISIT, "sec-fetch-dest": "iframe"}, 403),
        ("/", "GET", {**VISIT, "sec-fetch-mode": "no-cors"}, 403),
        ("/static/api.js", "GET", VISIT, 403),
    ],
)
def test_a_link_may_lead_to_the_page_and_to_nothing_else(
    guard: Guard, target: str, method: str, headers: dict[str, str], status: int
) -> None:
    assert asked(guard, target, method, **headers)[0] == status


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "TRACE", "PATCH"])
def test_only_methods_that_are_used_are_served_and_nothing_is_allowed_to_others(guard: Guard, method: str) -> None:
    status, headers, _ = asked(guard, method=method, origin="http://evil.example")
    assert (status, headers["allow"]) == (405, "GET, HEAD, POST")
    assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "target",
    [
        "/?token=x",
        "/v1/status?a=1&access_token=x",
        "/v1/status?TOKEN=x",
        f"/v1/status?q={TOKEN}",
        f"/v1/{TOKEN}",
        f"/v1/status?q={TOKEN.replace('t', '%74', 1)}",
    ],
)
def test_a_token_in_a_url_is_refused_in_words_that_do_not_repeat_it(guard: Guard, target: str) -> None:
    status, _, text = asked(guard, target)
    assert (status, json.loads(text)["result"]) == (400, "token_in_url")
    assert "Authorization: Bearer" in text
    assert "ttt" not in text


def test_every_answer_stays_out_of_caches_frames_and_other_pages(guard: Guard) -> None:
    for target in ("/", "/?token=x"):
        _, headers, _ = asked(guard, target)
        assert headers["content-security-policy"] == CSP
        assert headers["cache-control"] == "no-store"
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["date"].endswith("GMT")


def test_two_hosts_are_none(guard: Guard) -> None:
    refused: list[Any] = []
    scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b""}
    scope["headers"] = [(b"host", b"127.0.0.1:9151"), (b"host", b"evil.example")]

    async def send(message: Message) -> None:
        refused.append(message)

    asyncio.run(guard(scope, send, send))  # type: ignore[arg-type]
    assert refused[0]["status"] == 403
