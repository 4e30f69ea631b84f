"""One scrape at a time asks an owner; whatever becomes of the question, there is an answer within the deadline."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from confcast import Client, NotAttached, OwnerUnavailable, Replica
from confcast.metrics import Collector
from confcast.metrics.asking import Asking
from confcast.wire.messages import Done, Measured, MetricsRequest
from tests.support.number import Settings
from tests.support.waiting import DEADLINE, LONG, eventually, in_thread


class Asked(Client):
    """Knows an owner that answers what `answers` returns."""

    def __init__(self, answers: Callable[[], Any], name: str = "shop") -> None:
        super().__init__(name=name)
        self.answers = answers
        self.questions = 0

    def _owner(self) -> Any:
        return self

    def _ask(self, make: Callable[[int], Any], timeout: float) -> Any:
        self.questions += 1
        assert isinstance(make(1), MetricsRequest)
        return self.answers()


def answer(version: int = 5) -> Measured:
    return Measured(1, "shop", version, "d1935t")


def raising(error: BaseException) -> Callable[[], Any]:
    def answers() -> Any:
        raise error

    return answers


def test_an_answer_is_as_of_now() -> None:
    asking = Asking(Asked(answer), LONG)
    assert asking.reading() == ("shop", answer(), True, 0.0)


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        (lambda: None, "it has not answered within 600 s, or is of an earlier build"),
        (lambda: Done(1), "it has not answered within 600 s, or is of an earlier build"),
        (raising(OwnerUnavailable("no config owner listens")), "no config owner listens"),
        (raising(NotAttached("replica 'shop' is not attached")), "replica 'shop' is not attached"),
        (raising(ConnectionResetError(104, "reset")), "[Errno 104] reset"),
        (
            raising(OwnerUnavailable("no owner named 'shop'. What runs here:\n  'till', process 4711")),
            "no owner named 'shop'",
        ),
        (raising(KeyError("a bug")), "KeyError: 'a bug'"),
    ],
    ids=["silent", "another answer", "no owner", "not attached", "reset", "others run", "a bug"],
)
def test_a_question_without_an_answer_leaves_the_last_one_and_is_logged_once(
    answers: Callable[[], Any], why: str, caplog: Any
) -> None:
    client = Asked(answers)
    asking = Asking(client, LONG)
    with caplog.at_level(logging.INFO, "confcast.metrics"):
        assert asking.reading() == ("shop", None, False, 0.0)
        client.answers = answer
        assert asking.reading().is_up
        client.answers = answers
        for _ in range(3):
            reading = asking.reading()
            assert (reading.answer, reading.is_up) == (answer(), False)
            assert 0.0 < reading.age < DEADLINE
    silent = f"the config owner of 'shop' gives no metrics: {why}"
    assert [each.getMessage() for each in caplog.records] == [
        silent,
        "the config owner of 'shop' gives metrics again",
        silent,
    ]


def test_an_owner_that_is_known_by_its_address_is_logged_by_the_name_that_it_has_told(caplog: Any) -> None:
    client = Asked(answer, "app")
    asking = Asking(client, LONG)
    assert asking.reading().is_up
    client.answers = raising(OwnerUnavailable("it is gone"))
    asking.reading()
    assert caplog.messages == ["the config owner of 'shop' gives no metrics: it is gone"]


def test_scrapes_at_the_same_time_share_a_question() -> None:
    gate = threading.Event()
    client = Asked(lambda: answer() if gate.wait(DEADLINE) else None)
    asking = Asking(client, DEADLINE)
    first = in_thread(asking.reading)
    eventually(lambda: client.questions == 1, "the first question")
    others = [in_thread(asking.reading) for _ in range(10)]
    gate.set()
    assert all(each().is_up for each in (first, *others))
    assert client.questions < 10


def test_a_scrape_that_shares_a_question_waits_no_longer_than_its_own_deadline() -> None:
    gate = threading.Event()
    client = Asked(lambda: answer() if gate.wait(DEADLINE) else None)
    asking = Asking(client, 0.05)
    first = in_thread(asking.reading)
    eventually(lambda: client.questions == 1, "the first question")
    assert asking.reading() == ("shop", None, False, 0.0)
    gate.set()
    assert first().is_up
    assert asking.reading().is_up


def test_a_child_shares_no_question_with_its_parent() -> None:
    gate = threading.Event()
    client = Asked(lambda: answer() if gate.wait(DEADLINE) else None)
    asking = Asking(client, LONG)
    first = in_thread(asking.reading)
    eventually(lambda: client.questions == 1, "the parent's question")
    child = os.fork()
    if not child:  # the parent's question is under way here for ever, and its thread does not exist
        client.answers = answer
        os._exit(0 if asking.reading().is_up else 1)
    status = os.waitpid(child, 0)[1]
    gate.set()
    assert first().is_up
    assert os.waitstatus_to_exitcode(status) == 0


def test_several_owners_are_asked_at_the_same_time() -> None:
    both = threading.Barrier(2)

    def meets() -> Measured | None:
        both.wait(DEADLINE)
        return answer()

    collector = Collector([Asked(meets), Asked(meets, "other")])
    assert [each.is_up for each in collector.readings()] == [True, True]


def test_where_no_thread_can_be_started_they_are_asked_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    collector = Collector([Asked(answer), Asked(answer, "other")])
    monkeypatch.setattr(threading.Thread, "start", start)
    assert [each.is_up for each in collector.readings()] == [True, True]


def test_nothing_is_asked_before_a_scrape() -> None:
    from prometheus_client import CollectorRegistry

    client = Asked(answer)
    registry = CollectorRegistry(auto_describe=True)
    collector = Collector(client)
    registry.register(collector)
    assert client.questions == 0
    assert registry.get_sample_value("confcast_config_version", {"config": "shop"}) == 5
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        registry.register(Collector(client))
    registry.unregister(collector)


def test_a_registry_makes_only_what_was_asked_for() -> None:
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(Collector(Asked(answer)))
    found = generate_latest(registry.restricted_registry(["confcast_held", "confcast_reload_duration_seconds_count"]))  # type: ignore[arg-type]
    names = {line.partition("{")[0] for line in found.decode().splitlines() if not line.startswith("#")}
    assert names == {"confcast_held", "confcast_reload_duration_seconds_count"}


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"client": "shop"}, TypeError),
        ({"client": [Asked(answer), 7]}, TypeError),
        ({"client": 7}, TypeError),
        ({"client": []}, ValueError),
        ({"timeout": 0}, ValueError),
        ({"timeout": -1.0}, ValueError),
        ({"timeout": "2"}, ValueError),
        ({"timeout": float("nan")}, ValueError),
        ({"timeout": float("inf")}, ValueError),
    ],
    ids=str,
)
def test_what_can_not_be_asked_is_refused(given: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Collector(**given)


def test_a_replica_that_is_not_attached_has_no_numbers() -> None:
    (reading,) = Collector(Replica(Settings, name="unit")).readings()
    assert reading == ("unit", None, False, 0.0)


def test_an_override_of_a_unit_test_has_no_numbers(settings: Replica[Settings], fake: Any) -> None:
    began = time.monotonic()
    (reading,) = Collector(settings).readings()
    assert reading == ("unit", None, False, 0.0)
    assert time.monotonic() - began < DEADLINE


def test_a_collector_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'confcast\[metrics\]'"):
        Collector()
