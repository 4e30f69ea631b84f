"""Which verb has sent a request."""

from __future__ import annotations

from typing import get_args

from confcast import Replica
from confcast.wire.messages import Request, StatsRequest
from confcast.worker.client import verb_names


def test_each_request_has_a_verb_and_each_verb_an_awaitable_form():
    assert set(verb_names._VERBS) == set(get_args(Request))
    without = {verb for verb in verb_names._VERBS.values() if not hasattr(Replica, f"a{verb}")}
    assert without == {"show", "schema", "configuration", "news", "measured"}, "those of programs of our own"


def test_a_request_s_verb():
    assert verb_names.verb_of(StatsRequest) == "get_stats"
    assert verb_names.verb_of(lambda number: StatsRequest(number, True)) == "status"
    assert hasattr(Replica, "astatus")
