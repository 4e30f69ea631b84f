"""What the API says: each answer is what the OpenAPI document says it is, and what the command says on the host."""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from confcast import ReloadResult
from confcast.admin.openapi import document
from confcast.admin.table import CHANGES, READS
from confcast.cli import main as confcast_command
from tests.integration.admin.conftest import Site
from tests.support import certificates
from tests.support.admin import AdminServer, Answer
from tests.support.settings import write
from tests.support.waiting import DEADLINE, eventually

QUERIES = {"/v1/explain": "?key=limits.high", "/v1/diff": "?a=running&b=sources", "/v1/history": "?limit=5"}
PATHS = [*(each.path for each in READS), "/v1/owners", "/v1/session", "/v1/fleet", "/v1/openapi.json"]


@functools.cache
def described() -> dict[str, Any]:
    return document()


def is_as_described(path: str, answer: Answer, method: str = "get") -> None:
    """Whether an answer is what the document says of it."""
    responses = described()["paths"][path][method]["responses"]
    assert str(answer.status) in responses, "each status is described"
    found = responses[str(answer.status)]
    told = {name.lower() for name in found.get("headers", ())}
    assert told >= {"etag", "retry-after", "www-authenticate", "allow"} & answer.headers.keys()
    assert "known" in str(found.get("headers")) or told <= answer.headers.keys()
    [(kind, media)] = found["content"].items()
    assert answer.headers["content-type"] == kind
    schema = {**media["schema"], "components": described()["components"]}
    errors = [f"{each.json_path}: {each.message}" for each in Draft202012Validator(schema).iter_errors(answer.data)]
    assert not errors, "\n".join(errors)


def every_answer(site: Site) -> dict[str, Answer]:
    api = site.api("read")
    return {path: api.ask("GET", path + QUERIES.get(path, "")) for path in PATHS}


def is_whole(site: Site, *refused: str) -> None:
    """`refused`: what no answer can be given to, since the sources are refused."""
    for path, answer in every_answer(site).items():
        assert answer.status == (422 if path in refused else 200), (path, answer)
        assert answer.headers["cache-control"] == "no-store"
        is_as_described(path, answer)
        if path in {each.path for each in READS if each.path not in refused}:
            assert answer.tag == f'"{site.manager.version}"'


def test_every_answer_is_as_described(site: Site) -> None:
    is_whole(site)


def test_also_while_something_is_set_refused_to_be_confirmed_and_held(site: Site) -> None:
    assert site.manager.set({"limits.high": 50}, ttl=600.0, confirm_within=600.0, reason="a test")
    write(site.config, 1, nonsense=1)
    assert site.manager.reload().result is ReloadResult.VALIDATION_FAILED
    is_whole(site, "/v1/diff", "/v1/explain")
    assert site.manager.confirm()
    assert site.manager.rollback()
    is_whole(site, "/v1/diff")


def test_the_status_is_that_of_the_command(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert site.manager.set({"limits.high": 50})
    answer = site.api().get("status").data
    assert confcast_command(["status", "--json", "--address", site.manager.address]) == 0
    told = json.loads(capsys.readouterr().out)
    moving = ("phase_seconds", "phase_since", "dropped")
    assert {name: value for name, value in answer.items() if name not in moving} == {
        name: value for name, value in told.items() if name not in moving
    }


def test_all_that_runs_has_its_origin_and_can_be_searched(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert site.manager.set({"limits.high": 50})
    answer = site.api("read").get("config?q=limits").data
    high = next(each for each in answer["values"] if each["key"] == "limits.high")
    assert (high["value"], high["default"], high["type"]) == (50, 100, "int")
    assert high["origin"].startswith("set by uid ")
    assert {each["key"] for each in answer["values"]} == {"limits.low", "limits.high"}
    named = site.api("read").get("config?prefix=number").data["values"]
    assert [each["origin"] for each in named] == [f"{site.config}:1:10"]
    at = ["--address", site.manager.address]
    assert confcast_command(["show", "--origins", "--search", "limits", "--json", *at]) == 0
    assert json.loads(capsys.readouterr().out) == answer
    assert confcast_command(["show", "limits", "--origins", *at]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split() == ["KEY", "VALUE", "FROM", "SINCE"]
    assert "set by uid" in shown[2]


@pytest.mark.parametrize(
    ("path", "status", "result", "words"),
    [
        ("explain?key=limits.hihg", 422, "refused", "did you mean limits.high"),
        ("explain", 400, "query", "missing required field `key`"),
        ("config?prefix=nowhere", 422, "refused", "nothing runs under this key"),
        ("diff?a=4711", 422, "refused", "is not kept"),
        ("diff?a=yesterday", 400, "query", "$.a"),
        ("history?limit=0", 400, "query", "$.limit"),
        ("history?limt=1", 400, "query", "unknown field `limt`"),
        ("status?owner=nobody", 404, "no_such_owner", "no config owner has this id"),
        ("stat", 404, "not_found", "no such path"),
        ("set", 405, "method", "another method"),
    ],
)
def test_what_can_t_be_answered_is_a_problem_in_words(
    site: Site, path: str, status: int, result: str, words: str
) -> None:
    answer = site.api("read").get(path)
    assert (answer.status, answer.data["result"]) == (status, result)
    assert words in answer.data["detail"]
    is_as_described("/v1/status", answer)


def test_nothing_is_told_without_a_token(site: Site) -> None:
    stranger = site.api()
    stranger._token = ""
    for method, path in [
        *(("GET", path) for path in [*PATHS, "/v1/events"]),
        *(("POST", each.path) for each in CHANGES),
    ]:
        answer = stranger.ask(method, path, b"{}" if method == "POST" else None)
        assert (answer.status, answer.data["result"]) == (401, "no_token"), path
        assert answer.headers["www-authenticate"].startswith("Bearer")
        is_as_described("/v1/status", answer)


def test_the_page_holds_no_data_and_needs_no_token(site: Site) -> None:
    stranger = site.api()
    stranger._token = ""
    page = stranger.ask("GET", "/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.data.encode() == (resources.files("confcast.admin") / "page" / "index.html").read_bytes()
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert stranger.ask("GET", "/", if_none_match=page.tag).status == 304
    assert stranger.ask("HEAD", "/").status == 200
    for path in ("/static/nothing.js", "/static/../server.py", "/static/%2e%2e/server.py", "/static//etc/passwd"):
        assert stranger.ask("GET", path).status == 404, path


def test_the_session_says_whose_token_it_is(site: Site) -> None:
    assert site.api("read").get("session").data["token"] == "viewer"
    assert site.api("read").get("session").data["may_write"] is False
    assert site.api("write").get("session").data["may_write"] is True


def test_owners_are_listed_and_of_several_one_has_to_be_chosen(
    start_manager: Callable[..., Any], start_admin: Callable[..., AdminServer], no_other_owners: None
) -> None:
    server = start_admin()
    nobody = server.client().get("status")
    assert (nobody.status, nobody.data["result"]) == (503, "owner_unavailable")
    assert nobody.headers["retry-after"]
    assert server.client().get("owners").data == {"owners": []}
    first, second = start_manager(name="first"), start_manager(name="second")
    eventually_there = server.client()
    eventually(lambda: len(eventually_there.get("owners").data["owners"]) == 2, "both are found")
    listed = {each["id"]: each for each in eventually_there.get("owners").data["owners"]}
    assert {id_: each["address"] for id_, each in listed.items()} == {"first": first.address, "second": second.address}
    assert all(each["version"] == 1 for each in listed.values())
    is_as_described("/v1/owners", eventually_there.get("owners"))
    refused = eventually_there.get("status")
    assert (refused.status, refused.data["result"]) == (409, "several_owners")
    assert sorted(refused.data["owners"]) == ["first", "second"]
    assert server.client(owner="second").get("status").data["address"] == second.address
    by_pid = f"first.{listed['first']['pid']}"
    assert server.client(owner=by_pid).get("status").data["address"] == first.address


def test_over_tls_a_renewed_certificate_is_shown(
    start_admin: Callable[..., AdminServer], site: Site, tmp_path: Path
) -> None:
    authority = certificates.Authority(tmp_path)
    files = ("--tls-cert", str(authority.certfile), "--tls-key", str(authority.keyfile))
    server = start_admin("--address", site.manager.address, *files)
    assert "listening on https://127.0.0.1:" in server.said
    assert certificates.served(server.port) == "first"
    authority.issue("second")
    context = certificates.trusting()
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=DEADLINE, context=context)
    with contextlib.closing(connection):
        connection.request("GET", "/v1/session", None, {"authorization": f"Bearer {server.token('read')}"})
        assert connection.getresponse().status == 200
    assert certificates.served(server.port) == "second"
