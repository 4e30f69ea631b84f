"""A server's document as a source: what is asked, what an answer means, what is used while there is none."""

from __future__ import annotations

import base64
import email.utils
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import SecretStr

from confcast import ConfigError, ConfigLoader, Http, Problem
from confcast.config.sources import http as module
from confcast.config.sources import last_known, polled
from tests.support.config_server import ConfigServer, Handler, config_server, says
from tests.support.waiting import in_thread

SCHEMA = "tests.support.number:Settings"
SOON = 1e-9
"""`every` of a source that is always due."""


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(polled, "_records", type(polled._records)())
    yield
    last_known.keep_in(None)


@pytest.fixture
def server() -> Iterator[ConfigServer]:
    with config_server("number = 1\n", tag='"one"') as found:
        yield found


def polls(source: Http) -> None:
    """Poll it until it was asked: the first call only notes when."""
    source.poll()
    source.poll()


def problem(source: Http) -> Problem:
    with pytest.raises(ConfigError) as raised:
        source.read()
    return raised.value.problems[0]


def forgets() -> None:
    """As another process, which has asked nobody."""
    polled._records.clear()


# ---- a document


def test_a_document_has_positions(server: ConfigServer) -> None:
    server.body = "number = 1\n[table]\nkey = 2\n"
    layer = Http(server.url()).read()
    assert layer.data == {"number": 1, "table": {"key": 2}}
    assert layer.where(("table", "key")) == f"{server.url()}:3:7"
    server.body = "\nnumber = 'x'\n"
    with pytest.raises(ConfigError) as raised:
        ConfigLoader(SCHEMA, Http(server.url())).load()
    assert str(raised.value).startswith(f"{server.url()}:2:10: number: ")


def test_what_is_wrong_is_shown_with_its_line(server: ConfigServer) -> None:
    for body, line in (("\nnumber = 'x'\n", "number = 'x'"), ("\nnumber =\n", "number =")):
        server.body = body
        loader = ConfigLoader(SCHEMA, Http(server.url()))
        with pytest.raises(ConfigError) as raised:
            loader.load()
        (found,) = loader._with_excerpts(raised.value.problems)
        assert found.excerpt.splitlines()[0] == line
    assert Http(server.url("/other.toml"))._text_called("elsewhere") is None


@pytest.mark.parametrize(
    ("path", "kind", "form", "body"),
    [
        ("/app.json", "text/plain", None, '{"number": 1}'),
        ("/app.YML", "application/json", None, "number: 1"),
        ("/app", "application/toml", None, "number = 1"),
        ("/app", "application/vnd.x+json; charset=utf-8", None, '{"number": 1}'),
        ("/app", "application/x-yaml", None, "number: 1"),
        ("/app.toml", "application/toml", "json", '{"number": 1}'),
    ],
)
def test_its_format(server: ConfigServer, path: str, kind: str, form: Any, body: str) -> None:
    server.script = says(200, body.encode(), Content_Type=kind)
    assert Http(server.url(path), format=form).read().data == {"number": 1}


@pytest.mark.parametrize(
    ("answer", "said", "reason"),
    [
        (says(404, b"number = 1"), "answers with status 404", "file_not_found"),
        (says(403), "answers with status 403", "io_error"),
        (says(204, length=-1), "answers with status 204", "io_error"),
        (
            says(200, b"<h1>Log in", Content_Type="text/html; charset=utf-8"),
            "answers with a page of HTML (text/html) where toml is expected: an error, or a login",
            "io_error",
        ),
        (
            says(304, length=-1),
            "answers with status 304 (not modified), though it was asked for the document",
            "io_error",
        ),
        (says(200), "is empty: nothing is set in it (allow_empty=True accepts that)", "validation_failed"),
        (says(200, b"<h1>Log in"), "is no valid TOML: Invalid statement", "validation_failed"),
        (says(200, b"number = '\xff'"), "is not UTF-8: save it as UTF-8", "validation_failed"),
        (says(200, b"x = 1\n" * 2), "is no valid TOML: Cannot overwrite a value", "validation_failed"),
        (says(200, b"x" * 101), "answers with more than 100 bytes", "io_error"),
        (
            says(302, Location="https://elsewhere.example/?secret"),
            (
                "redirects to another place, https://elsewhere.example:443, where a token or a password must not go: "
                "give the URL there"
            ),
            "io_error",
        ),
    ],
)
def test_what_is_no_document_is_said(server: ConfigServer, answer: Any, said: str, reason: str) -> None:
    server.script = answer
    source = Http(server.url(), max_bytes=100)
    with pytest.raises(ConfigError) as raised:
        source.read()
    (found,) = raised.value.problems
    assert (found.message, raised.value.reason) == (said, reason)
    assert found.location.startswith(server.url())


def test_a_format_that_nobody_says_is_said(server: ConfigServer) -> None:
    found = problem(Http(server.url("/app")))
    assert str(found) == (
        f"{server.url('/app')}: says by neither a suffix nor a Content-Type which format it has: give format="
    )


def test_nothing_may_be_allowed(server: ConfigServer) -> None:
    server.body = ""
    assert Http(server.url(), allow_empty=True).read().data == {}


# ---- who asks


def test_a_token_and_headers_are_sent_and_never_shown(server: ConfigServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("hunter2\n")
    for given in (SecretStr("hunter2"), "hunter2", token):
        source = Http(server.url(), token=given, headers={"X-Key": SecretStr("hunter3"), "X-Team": "shop"})
        source.read()
        asked = server.asked[-1].headers
        assert (asked["authorization"], asked["x-key"], asked["x-team"]) == ("Bearer hunter2", "hunter3", "shop")
        assert "hunter" not in repr(source) + str(source.__rich_repr__())
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(source), type=Http) == source
    token.write_text("other\n")
    source.read()
    assert server.asked[-1].headers["authorization"] == "Bearer other"


def test_a_user_in_the_url_is_sent_as_basic_authentication_and_never_shown(server: ConfigServer) -> None:
    source = Http(server.url("/app.toml?key=hunter3").replace("//", "//me:hunter%32@"))
    source.read()
    asked = server.asked[0]
    assert asked.path == "/app.toml?key=hunter3"
    assert asked.headers["authorization"] == f"Basic {base64.b64encode(b'me:hunter2').decode()}"
    server.script = says(404)
    found = problem(source)
    assert str(found) == f"{source.shown}: answers with status 404"
    assert "hunter" not in str(found) + repr(source)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "the token's file can't be read: No such file or directory"),
        ("", "the token's file is empty"),
        ("hunter2\nhunter3", "the token's file has more than one line, or what is no token"),
    ],
)
def test_a_token_s_file_without_a_token_is_a_fault(
    server: ConfigServer, tmp_path: Path, content: str | None, said: str
) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_text(content)
    assert str(problem(Http(server.url(), token=token))) == f"{token}: {said}"
    assert server.asked == []


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("ftp://h/x", {}, "url: a URL that begins with http:// or https:// is expected, without blanks"),
        ("http:///x", {}, "url: a URL that"),
        ("http://h/a b", {}, "url: a URL that"),
        ("http://h:0/", {}, "url: a URL that"),
        ("http://h..x/", {}, "url: a URL that"),
        (5, {}, "url: a URL that"),
        ("http://h/", {"every": -1}, "every=-1: a number of seconds above 0, and at most 86400, is expected"),
        ("http://h/", {"timeout": True}, "timeout=True: a number of seconds"),
        ("http://h/", {"max_bytes": 0}, "max_bytes=0: a number of bytes, at most 16777216, is expected"),
        ("http://h/", {"max_bytes": 2**30}, "max_bytes=1073741824: a number of bytes"),
        ("http://h/", {"format": "xml"}, "unknown format 'xml': it has to be"),
        ("http://h/", {"token": "secret\n"}, "token: one line of printable characters is expected"),
        ("http://h/", {"token": b"secret"}, "token: a text or a SecretStr is expected, not a bytes"),
        ("http://me@h/", {"token": "x"}, "a token, and a user in the URL: a request can have one of them only"),
        ("http://h/", {"headers": {"X-A": "secret\r\n"}}, "headers: X-A: one line of printable characters is expected"),
        ("http://h/", {"headers": {"X A": "x"}}, "headers: 'X A' is no name of a header"),
        ("http://h/", {"headers": {"If-Match": "x"}}, "headers: If-Match is sent as the request needs it"),
        ("http://h/", {"headers": {"Authorization": "x"}}, "headers: Authorization is sent as the request needs it: g"),
    ],
)
def test_what_is_no_source_is_refused_without_its_secrets(url: Any, options: Any, said: str) -> None:
    with pytest.raises((TypeError, ValueError)) as raised:
        Http(url, **options)
    assert str(raised.value).startswith(said)
    assert "secret" not in str(raised.value)


# ---- asked again


def test_a_poll_names_what_is_known_and_a_load_asks_for_the_whole(server: ConfigServer) -> None:
    source = Http(server.url(), every=SOON)
    assert source.content_fingerprint() == polled.NOT_ASKED
    first = source.read()
    polls(source)
    assert "if-none-match" not in server.asked[0].headers
    assert server.asked[1].headers["if-none-match"] == '"one"'
    assert source.content_fingerprint() == first.fingerprint
    source.read()
    assert "if-none-match" not in server.asked[-1].headers


def test_a_poll_finds_another_document_and_asks_by_its_name_from_then_on(server: ConfigServer) -> None:
    source = Http(server.url(), every=SOON)
    before = source.read().fingerprint
    server.body, server.tag = "number = 2\n", '"two"'
    polls(source)
    assert source.content_fingerprint() != before
    polls(source)
    assert server.asked[-1].headers["if-none-match"] == '"two"'
    assert source.read().data == {"number": 2}


def test_the_tag_of_a_304_is_not_taken_for_the_document_s(server: ConfigServer) -> None:
    """nginx gives a weak one with the 200 that it compresses, and a strong one with the 304."""

    def script(request: Handler) -> None:
        if request.headers.get("If-None-Match"):
            request.give(304, length=-1, ETag='"strong"')
        else:
            request.give(200, b"number = 1", ETag='W/"weak"')

    server.script = script
    source = Http(server.url(), every=SOON)
    source.read()
    for _ in range(3):
        polls(source)
    assert {each.headers.get("if-none-match") for each in server.asked[1:]} == {'W/"weak"'}
    assert source.read().data == {"number": 1}


def test_a_server_without_tags_is_asked_by_the_time_of_change(server: ConfigServer) -> None:
    server.script = says(200, b"number = 1", Last_Modified="Sun, 29 Nov 2020 10:00:00 GMT")
    source = Http(server.url(), every=SOON)
    source.read()
    polls(source)
    assert server.asked[1].headers["if-modified-since"] == "Sun, 29 Nov 2020 10:00:00 GMT"


def test_a_document_of_this_very_second_is_asked_for_anew(server: ConfigServer) -> None:
    """A static file that is rewritten within that second, at its size, keeps its tag: nginx."""
    now = email.utils.formatdate(usegmt=True)
    server.script = says(200, b"number = 1", Last_Modified=now, ETag='"1"')
    source = Http(server.url(), every=SOON)
    before = source.read().fingerprint
    server.script = says(200, b"number = 2", Last_Modified=now, ETag='"1"')
    polls(source)
    assert "if-none-match" not in server.asked[1].headers
    assert source.content_fingerprint() != before


def test_a_304_that_nobody_asked_for_is_a_fault_and_the_document_comes_back(server: ConfigServer) -> None:
    source = Http(server.url(), every=SOON)
    known = source.read().fingerprint
    server.script = says(304, length=-1)
    problem(source)
    assert source.content_fingerprint() != known
    server.script = server.document
    polls(source)
    assert source.content_fingerprint() == known


@pytest.mark.parametrize("answer", [says(404), says(200, b"number ="), says(200, b"<p>", Content_Type="text/html")])
def test_a_poll_that_finds_a_fault_finds_a_change_once(server: ConfigServer, answer: Any) -> None:
    source = Http(server.url(), every=SOON)
    known = source.read().fingerprint
    server.script = answer
    polls(source)
    fault = source.content_fingerprint()
    assert fault != known
    problem(source)
    polls(source)
    assert source.content_fingerprint() == fault
    server.script = server.document
    polls(source)
    assert source.content_fingerprint() == known


@pytest.mark.parametrize("after", ["120", "http-date"])
def test_a_server_that_wants_time_is_given_it_but_not_by_a_load(server: ConfigServer, after: str) -> None:
    wanted = email.utils.formatdate(time.time() + 120, usegmt=True) if after == "http-date" else after
    source = Http(server.url(), every=SOON)
    source.read()
    server.script = says(429, Retry_After=wanted)
    source.poll()
    assert 110 < source.poll() <= 120
    source.read()
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("text", "seconds"), [("9" * 400, 3600.0), ("-5", 0.0), ("soon", 0.0), ("", 0.0), ("٣", 0.0), ("Sun, 99", 0.0)]
)
def test_what_a_server_wants_is_bounded(text: str, seconds: float) -> None:
    assert module._seconds(text) == seconds


# ---- a server that does not answer


def test_a_server_that_never_answered_is_an_error(server: ConfigServer, tmp_path: Path) -> None:
    url = server.url()
    server.close()
    found = problem(Http(url))
    assert str(found) == (
        f"{url}: can't be reached: Connection refused; what it gave before is not known (state_dir keeps it)"
    )
    last_known.keep_in(tmp_path)
    assert str(problem(Http(url))).endswith("; what it gave before is not known")


def test_no_answer_is_no_change_whatever_the_reason(server: ConfigServer) -> None:
    """Else a server that is down would make a load, and a refusal, at each other error."""
    source = Http(server.url(), every=SOON)
    server.script = says(503)
    problem(source)
    before = source.content_fingerprint()
    server.script = says(500)
    polls(source)
    server.close()
    polls(source)
    assert source.content_fingerprint() == before


def test_a_server_that_is_restarted_is_found_again(server: ConfigServer) -> None:
    source = Http(server.url(), every=SOON)
    source.read()
    server.close()
    assert source.read().data == {"number": 1}
    assert "Connection refused" in source.stale()
    with config_server("number = 2\n", port=server.server_port):
        polls(source)
        assert source.stale() == ""
        assert source.read().data == {"number": 2}


@pytest.mark.parametrize("status", [503, 500, 429, 408])
def test_while_it_gives_no_answer_the_last_document_is_used_and_that_is_said_once(
    server: ConfigServer, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    source = Http(server.url(), every=SOON)
    first = source.read()
    assert source.stale() == ""
    server.script = says(status)
    polls(source)
    assert source.content_fingerprint() == first.fingerprint
    assert source.read().data == {"number": 1}
    said = source.stale()
    assert said.startswith(f"{source.shown}: stale since 20")
    assert f": it answers with status {status}; what it gave at 20" in said
    assert polled.stale() == [said]
    assert [each.getMessage() for each in caplog.records] == [said]
    server.script = server.document
    polls(source)
    assert (source.stale(), polled.stale()) == ("", [])
    assert caplog.messages[1:] == [f"{source.shown} answers again"]


def test_a_fault_after_silence_is_a_fault_and_silence_after_a_fault_the_last_document(server: ConfigServer) -> None:
    source = Http(server.url(), every=SOON)
    source.read()
    server.script = says(500)
    source.read()
    server.script = says(404)
    assert problem(source).message == "answers with status 404"
    assert source.stale() == ""
    server.script = says(500)
    assert source.read().data == {"number": 1}


def test_another_process_starts_on_what_is_kept(
    server: ConfigServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    last_known.keep_in(tmp_path)
    source = Http(server.url().replace("//", "//me:hunter2@"), every=SOON)
    first = source.read()
    server.script = says(404)
    problem(source)
    server.script = says(200, b"number =")  # is not kept
    problem(source)
    forgets()
    server.script = says(503)
    layer = source.read()
    assert (layer.data, layer.fingerprint) == ({"number": 1}, first.fingerprint)
    assert caplog.messages == [source.stale()]
    assert all("hunter2" not in each.read_text(errors="replace") for each in tmp_path.iterdir())
    server.script = server.document
    polls(source)
    assert server.asked[-1].headers["if-none-match"] == '"one"'
    assert source.stale() == ""


def test_what_is_kept_is_the_newest(server: ConfigServer, tmp_path: Path) -> None:
    last_known.keep_in(tmp_path)
    source = Http(server.url(), every=SOON)
    source.read()
    server.body, server.tag = "number = 2", '"two"'
    polls(source)
    forgets()
    server.script = says(503)
    assert source.read().data == {"number": 2}
    assert len(list(tmp_path.iterdir())) == 1


def test_what_one_asker_was_given_is_used_for_no_other(server: ConfigServer, tmp_path: Path) -> None:
    """A server may give each user, or each header, a document of its own at one address."""
    last_known.keep_in(tmp_path)
    url = server.url()
    several = [
        Http(url),
        Http(url.replace("//", "//one:hunter2@")),
        Http(url.replace("//", "//two:hunter2@")),
        Http(url, headers={"X-Tenant": "one"}),
        Http(url, headers={"X-Tenant": "two"}),
        Http(url, token=SecretStr("hunter2")),
    ]
    for number, source in enumerate(several):
        server.body = f"number = {number}"
        source.read()
    forgets()
    server.script = says(503)
    assert [each.read().data["number"] for each in several] == list(range(6))
    rotated = Http(url.replace("//", "//two:hunter3@"), every=1)
    assert rotated.read().data == {"number": 2}
    assert all(b"hunter2" not in each.read_bytes() for each in tmp_path.iterdir())


def test_what_is_kept_and_no_longer_fits_is_not_used(server: ConfigServer, tmp_path: Path) -> None:
    last_known.keep_in(tmp_path)
    Http(server.url()).read()
    server.script = says(503)
    assert "is not known" in problem(Http(server.url(), max_bytes=3)).message
    kept = last_known.find(server.url(), "it")
    assert kept is not None
    last_known.save(msgspec.structs.replace(kept, form="xml"), "it")
    forgets()
    assert "is not known" in problem(Http(server.url())).message


def test_a_poll_that_hangs_holds_no_load(server: ConfigServer) -> None:
    source = Http(server.url(), every=SOON, timeout=20)
    source.read()
    server.script = server.hang
    hangs = in_thread(lambda: polls(source))
    server.await_requests(2)
    server.script = server.document
    server.body, server.tag = "number = 2", '"two"'
    assert source.read().data == {"number": 2}
    newest = source.content_fingerprint()
    server.over.set()
    hangs()
    assert source.content_fingerprint() == newest
