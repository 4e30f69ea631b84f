"""The event stream: each change is told as it comes, a client that comes back misses none, and nobody asks for none."""

from __future__ import annotations

import contextlib

import pytest

from confcast.admin.following import event_id
from tests.integration.admin.conftest import Site
from tests.support.admin import Event, Events
from tests.support.leaks import is_running
from tests.support.owners import kill_the_owner
from tests.support.settings import write
from tests.support.waiting import eventually


def test_it_begins_with_the_status_and_tells_each_change(site: Site) -> None:
    with site.api("read").events() as events, site.api().events() as others:
        assert events.next("hello").data == others.next("hello").data
        before = site.manager.version
        assert site.manager.set({"limits.high": 50}, reason="a test")
        for each in (events, others):
            told = each.next("reload")
            assert (told.data["version"], told.data["reason"]) == (before + 1, "a test")
            assert told.id == event_id(site.manager.get_event_history(1)[0])
            status = each.until("status", lambda data: data["version"] == before + 1)
            assert [worker["version"] for worker in status.data["workers"]][-2:] == [before + 1] * 2


def test_a_worker_that_comes_or_goes_is_told(site: Site) -> None:
    with site.api("read").events() as events:
        before = {each["pid"] for each in events.next("hello").data["workers"]}
        site.workers[0].ask("close")
        without = events.until("status", lambda data: len(data["workers"]) == len(before) - 1)
        assert before - {each["pid"] for each in without.data["workers"]} == {site.workers[0].pid}
        site.workers[0].ask("attach", site.manager.address)
        again = events.until("status", lambda data: len(data["workers"]) == len(before))
        assert {each["pid"] for each in again.data["workers"]} == before


def test_who_comes_back_gets_what_was_missed_and_no_more(site: Site) -> None:
    with site.api("read").events() as events:
        events.next("hello")
        assert site.manager.set({"limits.high": 50})
        last = events.next("reload").id
    assert site.manager.set({"limits.high": 60}, reason="missed")
    assert site.manager.set({"limits.high": 70}, reason="missed, too")
    with site.api("read").events(last) as events:
        assert events.next("hello", "reload", "gap").kind == "hello"
        assert site.manager.set({"limits.high": 80}, reason="the next")
        assert [events.next("reload").data["reason"] for _ in range(3)] == ["missed", "missed, too", "the next"]
    with site.api("read").events("4711") as events:
        assert events.next("reload", "gap").kind == "gap"


def test_it_says_that_the_owner_is_gone_and_back(site: Site) -> None:
    with site.api("read").events() as events:
        events.next("hello")
        dead = kill_the_owner(site.manager)
        assert events.next("owner").data == {"state": "gone"}
        eventually(lambda: site.manager.owner_pid not in (0, dead), "the next owner")
        assert events.next("owner").data == {"state": "back"}
        assert events.until("status", lambda data: data["owner_pid"] != dead).data["owner_restarts"] > 0


def until_its_end(events: Events) -> list[Event]:
    """All that comes until the stream ends."""
    found = []
    with contextlib.suppress(EOFError):
        while True:
            found.append(events.next("reload", "status"))
    return found


def test_a_token_that_is_taken_away_loses_its_stream(site: Site) -> None:
    """At the next thing that would be sent to it."""

    def phase(event: Event) -> tuple[str | None, int]:
        return event.data.get("phase"), event.data["version"]

    content = site.server.tokens.read_text()
    with site.api("read").events() as events:
        at_rest = phase(events.next("hello"))
        site.server.tokens.write_text("".join(line for line in content.splitlines(True) if " read " not in line))
        try:
            write(site.config, 3)
            assert site.manager.reload()
            assert [each for each in until_its_end(events) if phase(each) != at_rest] == []
        finally:
            site.server.tokens.write_text(content)


def test_an_admin_that_is_killed_costs_the_owner_nothing_and_its_successor_goes_on(site: Site) -> None:
    with site.api("read").events() as events:
        events.next("hello")
        assert site.manager.set({"limits.high": 50})
        last = events.next("reload").id
        pid, owner = site.server.pid, site.manager.owner_pid
        site.server.kill()
        assert not is_running(pid)
        with pytest.raises((EOFError, ConnectionError)):
            events.next("never")
    assert site.manager.set({"limits.high": 60}, reason="meanwhile")
    assert site.manager.owner_pid == owner
    site.server.start()
    with site.api("read").events(last) as events:
        assert events.next("reload").data["reason"] == "meanwhile"
