"""The event stream: each change is told as it comes, a client that comes back misses none, and nobody asks for none."""

from __future__ import annotations

import pytest

from confcast.admin.following import event_id
from tests.integration.admin.conftest import Site
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
        count = len(events.next("hello").data["workers"])
        site.workers[0].ask("close")
        events.until("status", lambda data: len(data["workers"]) == count - 1)
        site.workers[0].ask("attach", site.manager.address)
        events.until("status", lambda data: len(data["workers"]) == count)


def test_who_comes_back_gets_what_was_missed_and_no_more(site: Site) -> None:
    with site.api("read").events() as events:
        events.next("hello")
        assert site.manager.set({"limits.high": 50})
        last = events.next("reload").id
    assert site.manager.set({"limits.high": 60}, reason="missed")
    assert site.manager.set({"limits.high": 70}, reason="missed, too")
    with site.api("read").events(last) as events:
        assert events.next("hello", "reload", "gap").kind == "hello"
        assert [events.next("reload").data["reason"] for _ in range(2)] == ["missed", "missed, too"]
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


def test_a_token_that_is_taken_away_loses_its_stream(site: Site) -> None:
    """At the next thing that would be sent to it."""
    content = site.server.tokens.read_text()
    with site.api("read").events() as events:
        events.next("hello")
        site.server.tokens.write_text("".join(line for line in content.splitlines(True) if " read " not in line))
        try:
            write(site.config, 3)
            assert site.manager.reload()
            with pytest.raises(EOFError):
                events.next("never")
        finally:
            site.server.tokens.write_text(content)


def test_an_admin_that_is_killed_costs_the_owner_nothing_and_its_successor_goes_on(site: Site) -> None:
    with site.api("read").events() as events:
        events.next("hello")
        assert site.manager.set({"limits.high": 50})
        last = events.next("reload").id
        pid = site.server.pid
        site.server.kill()
        assert not is_running(pid)
        with pytest.raises((EOFError, ConnectionError)):
            events.next("never")
    assert site.manager.set({"limits.high": 60}, reason="meanwhile")
    site.server.start()
    with site.api("read").events(last) as events:
        assert events.next("reload").data["reason"] == "meanwhile"
