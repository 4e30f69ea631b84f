"""Questions that wait for the thread that loads: one at a time, each with its deadline, and not too many."""

from __future__ import annotations

from typing import Any

import pytest

from confcast import ConfigError, ConfigLoader
from confcast.errors import Problem
from confcast.owner.loop.questions import MOST, Answered, OpenQuestion, Questions, answer_to, refusal
from confcast.wire.messages import (
    Change,
    Described,
    Differences,
    DiffRequest,
    Explained,
    ExplainRequest,
    SchemaRequest,
    ShowRequest,
)
from tests.support.settings import Limits


def asked(number: int) -> OpenQuestion:
    return OpenQuestion(0, DiffRequest(number))


def test_one_is_worked_on_at_a_time_in_their_order() -> None:
    questions = Questions(10.0)
    assert questions.next() is None
    for pipe in (1, 2):
        assert questions.add(pipe, asked(pipe), 0.0) is None
    first = questions.next()
    assert first is not None
    assert first.question == DiffRequest(1)
    assert questions.next() is None
    answer = Differences(1, (Change("a", 1, 2),))
    assert questions.answered(Answered(first.number, answer)) == (1, answer)
    second = questions.next()
    assert second is not None
    assert second.question == DiffRequest(2)


def test_each_has_a_deadline_from_when_it_was_asked_also_one_that_waits() -> None:
    questions = Questions(10.0)
    questions.add(1, asked(1), 0.0)
    questions.add(2, OpenQuestion(0, ExplainRequest(5, "a")), 1.0)
    first = questions.next()
    assert first is not None
    assert questions.deadline() == 10.0
    assert questions.expired(9.9, "") == []
    why = "not answered within 10 s (load_timeout)"
    assert questions.expired(10.0, "") == [(1, Differences(1, problems=(Problem("", why),)))]
    why += "; a load waits for app:check"
    assert questions.expired(11.0, "app:check") == [(2, Explained(5, problems=(Problem("", why),)))]
    assert questions.deadline() is None


def test_the_next_waits_until_a_thread_that_hung_is_free() -> None:
    questions = Questions(10.0)
    questions.add(1, asked(1), 0.0)
    first = questions.next()
    assert first is not None
    questions.expired(10.0, "")
    questions.add(2, asked(2), 10.0)
    assert questions.next() is None
    assert questions.answered(Answered(first.number, Differences(1))) is None
    second = questions.next()
    assert second is not None
    assert second.question == DiffRequest(2)


def test_not_too_many_wait() -> None:
    questions = Questions(10.0)
    for number in range(MOST):
        assert questions.add(1, asked(number), 0.0) is None
    why = f"{MOST} other questions wait for the config owner: ask again later"
    assert questions.add(1, asked(99), 0.0) == Differences(99, problems=(Problem("", why),))


def test_a_key_that_is_too_long_is_not_looked_for() -> None:
    loader: ConfigLoader[Any] = ConfigLoader(Limits)
    content = loader._codec.encode(Limits())
    with pytest.raises(ConfigError, match="at most 1000 characters, and 100 parts") as caught:
        answer_to(OpenQuestion(1, ShowRequest(1, "x" * 1_000_000), {"running": content}), loader, loader.load)
    assert len(caught.value.problems[0].key) <= 1000


def test_the_schema_is_described_without_a_load() -> None:
    loader: ConfigLoader[Any] = ConfigLoader(Limits, "is-not-there.toml")
    answer = answer_to(OpenQuestion(1, SchemaRequest(5, "high")), loader, loader.load)
    assert isinstance(answer, Described)
    assert (answer.id, [each.key for each in answer.fields]) == (5, ["high"])
    with pytest.raises(ConfigError, match="the schema has no such key; did you mean high"):
        answer_to(OpenQuestion(1, SchemaRequest(6, "hihg")), loader, loader.load)
    assert refusal(SchemaRequest(7), "no") == Described(7, problems=(Problem("", "no"),))


def test_a_repr_shows_nothing_of_it() -> None:
    question = OpenQuestion(1, ExplainRequest(1, "keys.hunter2"), {1: b"hunter2"}, b"hunter2")
    assert "hunter" not in repr(question) + repr(question.question)
