"""Every query has an answer, and every effect of the core is carried out: what is added to a union is not forgotten."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import get_args

import pytest

from confcast.errors import Problem
from confcast.owner.core import effects as fx
from confcast.owner.core.machine import Committed, Core, OperatorState, Rules, Window
from confcast.owner.loop import event_loop
from confcast.owner.loop.present_status import Present
from confcast.owner.loop.queries import QUERIES, answer_to, ask_for
from confcast.owner.loop.questions import QUESTIONS, OpenQuestion
from confcast.owner.store.journal import Journal, VersionRow
from confcast.wire.messages import (
    Answer,
    Differences,
    DiffRequest,
    ExplainRequest,
    NewsRequest,
    Operation,
    Query,
    Reload,
    Request,
    Stats,
    StatsRequest,
    ToOwner,
    Who,
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(tmp_path / "journal")) as made:
        yield made


def idle(core: Core) -> Present:
    return Present(core.operator, (), core.phase(), "")


def test_no_query_is_without_an_answer(journal: Journal):
    def answered(kind: type[Query]) -> bool:
        try:
            answer = answer_to(kind(7), journal, core, rules, idle(core), {})
        except AssertionError:
            return False
        return isinstance(answer, Answer) and answer.id == 7

    rules = Rules(schema=b"schema")
    core = Core(rules)
    assert [kind.__name__ for kind in QUERIES if not answered(kind)] == []


def test_what_may_be_asked_is_a_reload_an_operation_a_query_a_question_or_for_news():
    assert {*get_args(Request)} == {Reload, *get_args(Operation), *QUERIES, *QUESTIONS, NewsRequest}
    assert [kind.__name__ for kind in (*QUERIES, *QUESTIONS) if kind not in get_args(ToOwner)] == []


def kept(journal: Journal, *rows: tuple[int, bytes, bytes]) -> None:
    for number, schema, content in rows:
        journal.record(VersionRow(number, content.ljust(16), schema, content, 0.0))


def test_a_question_gets_the_contents_that_it_names(journal: Journal):
    kept(journal, (1, b"schema", b"one"), (2, b"schema", b"two"))
    rules = Rules(schema=b"schema")
    core = Core(rules, committed=Committed(2, b"two", b"two"))
    question = ask_for(DiffRequest(7, 1, "sources"), journal, core, rules)
    assert isinstance(question, OpenQuestion)
    assert question.contents == {"running": b"two", 1: b"one"}
    question = ask_for(ExplainRequest(7, "a"), journal, core, rules)
    assert isinstance(question, OpenQuestion)
    assert list(question.contents.items()) == [(2, b"two"), (1, b"one")]


def test_a_version_of_another_schema_says_which_fields_differ(journal: Journal):
    journal.describe(b"before", {"a": "int", "b": "str"})
    kept(journal, (1, b"before", b"one"), (2, b"schema", b"two"))
    rules = Rules(schema=b"schema", fields={"a": "str", "b": "str", "c": "int"})
    core = Core(rules, committed=Committed(2, b"two", b"two"))
    text = "version 1 is of another schema (a: int then, str now; c: absent then, int now): it can't be compared"
    assert ask_for(DiffRequest(7, 1), journal, core, rules) == Differences(7, problems=(Problem("", text),))
    question = ask_for(ExplainRequest(7, "a"), journal, core, rules)
    assert isinstance(question, OpenQuestion)
    assert list(question.contents) == [2]


def test_what_is_to_be_confirmed_is_told(journal: Journal):
    rules, now = Rules(schema=b"schema"), time.monotonic()
    window = Window(1, deadline=now + 600, opened=now, who=Who(0, 7, "confcast"), reason="a port")
    core = Core(rules, committed=Committed(3, b"three", b"three"), operator=OperatorState(window=window))
    asked = (journal, core, rules, idle(core), {})
    stats = answer_to(StatsRequest(7, True), *asked)
    assert isinstance(stats, Stats)
    assert stats.stats["provisional"] == "confirm"
    assert stats.stats["deadline"] == stats.stats["window"]["until"] == pytest.approx(time.time() + 600, abs=5)
    assert stats.stats["window"]["since"] == pytest.approx(time.time(), abs=5)
    told = {name: stats.stats["window"][name] for name in ("fallback", "who", "reason")}
    assert told == {"fallback": 1, "who": {"uid": 0, "pid": 7, "command": "confcast", "actor": ""}, "reason": "a port"}
    assert stats.status is not None
    assert (stats.status.provisional, stats.status.deadline) == ("confirm", stats.stats["deadline"])


def test_a_version_that_is_not_kept_is_said(journal: Journal):
    rules = Rules(schema=b"schema")
    answer = ask_for(DiffRequest(7, 5), journal, Core(rules), rules)
    assert isinstance(answer, Differences)
    assert "version 5 in the journal" in answer.problems[0].message


def test_no_effect_of_the_core_is_without_its_deed():
    assert [kind.__name__ for kind in get_args(fx.Effect) if kind not in event_loop._PERFORM] == []
    assert [kind.__name__ for kind in event_loop._PERFORM if kind not in get_args(fx.Effect)] == []
