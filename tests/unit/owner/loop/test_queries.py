"""Every query has an answer, and every effect of the core is carried out: what is added to a union is not forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import get_args

import pytest

from confcast.owner.core import effects as fx
from confcast.owner.core.machine import Core, Rules
from confcast.owner.loop import event_loop
from confcast.owner.loop.queries import QUERIES, answer_to
from confcast.owner.loop.questions import QUESTIONS
from confcast.owner.store.journal import Journal
from confcast.wire.messages import Answer, Operation, Query, Reload, Request, ToOwner


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(tmp_path / "journal")) as made:
        yield made


def test_no_query_is_without_an_answer(journal: Journal):
    def answered(kind: type[Query]) -> bool:
        try:
            answer = answer_to(kind(7), journal, core, rules, {})
        except AssertionError:
            return False
        return isinstance(answer, Answer) and answer.id == 7

    rules = Rules(schema=b"schema")
    core = Core(rules)
    assert [kind.__name__ for kind in QUERIES if not answered(kind)] == []


def test_what_may_be_asked_is_a_reload_an_operation_a_query_or_a_question():
    assert {*get_args(Request)} == {Reload, *get_args(Operation), *QUERIES, *QUESTIONS}
    assert [kind.__name__ for kind in (*QUERIES, *QUESTIONS) if kind not in get_args(ToOwner)] == []


def test_no_effect_of_the_core_is_without_its_deed():
    assert [kind.__name__ for kind in get_args(fx.Effect) if kind not in event_loop._PERFORM] == []
    assert [kind.__name__ for kind in event_loop._PERFORM if kind not in get_args(fx.Effect)] == []
