"""The proxy under a real uvicorn with two workers: what its tenants see while its configuration changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from confcast import Canary, ReloadResult
from tests.support.leaks import assert_nothing_left, belongings
from tests.support.load import Load
from tests.support.tenant_proxy import Proxy, proxies
from tests.support.waiting import LONG, eventually, history_of

_BEFORE_IDLE_ONES_END = 10.0
"""Seconds; aiohttp closes a connection that nobody uses after 15."""

HALF = Canary("50%", seconds=LONG, by="entity", min_requests=0)

KEYS = [f"tenant-{number}-0123456789" for number in range(16)]
"""So many that a trial by half of the tenants has some, and leaves some."""
TENANTS = "".join(f'[tenants.t{number}]\nkeys = ["{key}"]\n' for number, key in enumerate(KEYS))


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """In place of the one for each test: the upstreams are in this process, with the workers' connections."""
    before = belongings()
    yield
    assert_nothing_left(before, tmp_path_factory.mktemp("none"))


@pytest.fixture(scope="module")
def server(nothing_is_left: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with proxies(tmp_path_factory.mktemp("proxy")) as proxy:
        yield proxy


@pytest.fixture
def proxy(server: Proxy) -> Iterator[Proxy]:
    """As it began: each test changes it."""
    yield server
    server.stubs["text"].proceed.set()
    server.text_at("text", force=True, reason="as it began")


def test_an_upstream_that_moves_under_load_fails_no_request_and_streams_end_where_they_began(proxy: Proxy) -> None:
    text = proxy.stubs["text"]
    text.proceed.clear()
    stream = proxy.begin("/text/stream?lines=3")
    assert stream.readline() == b"line 1 from text\n"
    with Load(lambda: proxy.get("/text/")) as load:
        event = proxy.text_at("moved")
        assert event.result is ReloadResult.SUCCESS, event
        after = load.go_on()
    assert {each.status for each in load.answers} == {200}
    assert {each.document["upstream"] for each in after[3:]} == {"moved"}
    assert {each.document["upstream"] for each in load.answers if each.version < event.version} == {"text"}
    assert text.connections >= 1
    text.proceed.set()
    assert stream.read() == b"line 2 from text\nline 3 from text\n"
    eventually(lambda: text.connections == 0, "the former client's end", _BEFORE_IDLE_ONES_END)


def test_a_tenant_sees_one_version_during_a_trial_in_both_workers(proxy: Proxy) -> None:
    proxy.text_at("text", TENANTS)
    event = proxy.text_at("moved", TENANTS, canary=HALF)
    assert event.result is ReloadResult.ON_TRIAL, event
    eventually(lambda: {proxy.get("/text/", key=key).version for key in KEYS} != {event.version - 1}, "its beginning")
    seen = {key: proxy.from_both("/text/", key=key) for key in KEYS}
    tried = {"moved": event.version, "text": event.version - 1}
    assert all(tried[each.document["upstream"]] == each.version for answers in seen.values() for each in answers)
    versions = [{each.version for each in answers} for answers in seen.values()]
    assert all(len(each) == 1 for each in versions), seen
    assert set().union(*versions) == {event.version - 1, event.version}
    assert proxy.client().confirm().result is ReloadResult.SUCCESS
    assert {each.document["upstream"] for key in KEYS[:3] for each in proxy.from_both("/text/", key=key)} == {"moved"}


def test_an_upstream_whose_requests_fail_is_undone_by_them(proxy: Proxy) -> None:
    proxy.text_at("text", TENANTS)
    event = proxy.text_at("failing", TENANTS, canary=HALF)
    assert event.result is ReloadResult.ON_TRIAL, event

    def undone() -> bool:
        statuses = {proxy.get("/text/", key=key).status for key in KEYS}
        assert statuses <= {200, 500}
        return history_of(proxy.client())[0].result is ReloadResult.UNDONE

    eventually(undone, "an undo")
    (why,) = history_of(proxy.client())[0].evidence
    assert f"failed with version {event.version}, " in why
    assert {proxy.get("/text/", key=key).status for key in KEYS} == {200}


def test_an_upstream_that_is_away_is_undone_by_the_health_check(proxy: Proxy) -> None:
    event = proxy.text_at("http://127.0.0.1:1", canary=HALF)
    assert event.result in (ReloadResult.ON_TRIAL, ReloadResult.UNDONE), event
    eventually(lambda: history_of(proxy.client())[0].result is ReloadResult.UNDONE, "an undo")
    assert "new_upstreams_answer: Unwell: upstreams.text: no answer" in history_of(proxy.client())[0].evidence[0]


def test_an_emptied_list_is_refused_until_it_is_allowed(proxy: Proxy) -> None:
    proxy.write((proxy.file.parent / "emptied.toml").read_text())
    event = proxy.client().reload()
    assert event.result is ReloadResult.GUARDED
    assert "confcast reload --allow shrinks:upstreams" in event.problems[0].message
    assert {each.status for each in proxy.from_both("/text/")} == {200}
    assert proxy.client().reload(allow=["shrinks:upstreams"], reason="it moves").result is ReloadResult.SUCCESS
    assert {each.status for each in proxy.from_both("/text/")} == {404}


def test_a_host_that_the_deployment_does_not_name_is_refused(proxy: Proxy) -> None:
    proxy.write((proxy.file.parent / "elsewhere.toml").read_text())
    event = proxy.client().reload()
    assert event.result is ReloadResult.GUARDED
    assert "upstreams.text.url goes to text.example: expected is a host of 127.0.0.1" in event.problems[0].message


def test_a_bad_url_is_refused_with_its_line(proxy: Proxy) -> None:
    event = proxy.text_at("127.0.0.1:8080")
    assert event.result is ReloadResult.VALIDATION_FAILED
    (problem,) = event.problems
    assert (problem.key, str(problem.location)) == ("upstreams.text.url", f"{proxy.file}:2:7")
    assert {each.status for each in proxy.from_both("/text/")} == {200}


def test_a_key_is_rotated_with_both_valid_meanwhile_and_no_request_cut_off(proxy: Proxy) -> None:
    old, new = proxy.key("acme"), proxy.key("acme.next")
    original = proxy.file.read_text()
    proxy.write(original.replace('["${file:keys/acme}"]', '["${file:keys/acme.next}", "${file:keys/acme}"]'))
    assert proxy.get("/text/", key=new).status == 401
    both = proxy.client().reload()
    assert both.result is ReloadResult.SUCCESS
    assert {proxy.get("/text/", key=key).document["tenant"] for key in (old, new)} == {"acme"}

    proxy.stubs["text"].proceed.clear()
    stream = proxy.begin("/text/stream?lines=2", key=old)
    stream.readline()
    proxy.write(original.replace("keys/acme}", "keys/acme.next}"))
    dropped = proxy.client().reload()
    assert dropped.result is ReloadResult.SUCCESS
    assert [proxy.get("/text/", key=key).status for key in (old, new, old, new)] == [401, 200, 401, 200]
    proxy.stubs["text"].proceed.set()
    assert stream.read() == b"line 2 from text\n"
    shown = f"{both}{dropped}{proxy.log()}"
    assert not any(key in shown for key in (old, new))
    assert "tenants.acme.keys" in str(both.changes)


def test_lower_limits_hold_at_once_against_what_was_used_before(proxy: Proxy) -> None:
    assert {each.status for each in proxy.from_both("/text/", "delta")} == {200}
    limited = 'upstreams = ["text"]\nlimits = { per_second = 0.001, burst = 1 }\n'
    proxy.write(proxy.file.read_text().replace('upstreams = ["text"]\n', limited))
    assert proxy.client().reload().result is ReloadResult.SUCCESS
    assert {each.status for each in proxy.from_both("/text/", "delta")} == {429}
