"""What is known of sources that are asked: who is asked when, and whose answer counts."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, model_validator

from confcast import Command, ConfigError, ConfigLoader, Layer
from confcast.config.sources import polled
from confcast.config.sources.one_load import asked_once
from confcast.config.sources.polled import Told, ask, fault, newest, parsed, poll
from tests.support.waiting import eventually, in_thread

LONG = 1000.0


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polled, "_records", type(polled._records)())


class Asker:
    """Counts how often it was asked, and gives documents with that number."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, before: Told | None) -> Told:
        self.times += 1
        return parsed(f"number = {self.times}".encode(), "toml", "it", allow_empty=False)


def number(told: Told) -> Any:
    return told.given().data["number"]


def test_each_load_asks_anew_and_once() -> None:
    asker = Asker()
    assert number(ask("a", LONG, asker)) == 1
    assert number(ask("a", LONG, asker)) == 2
    with asked_once():
        assert number(ask("a", LONG, asker)) == 3
        with asked_once():
            assert number(ask("a", LONG, asker)) == 3
            assert number(ask("b", LONG, asker)) == 4
        poll("a", LONG, asker)
        assert number(ask("a", LONG, asker)) == 3
    assert number(ask("a", LONG, asker)) == 5


def test_a_load_sees_its_own_answer_though_a_poll_has_found_another_meanwhile() -> None:
    """Else the fingerprint that a failed load counts as attempted would be of content that it has not read."""
    asker = Asker()
    with asked_once():
        first = ask("a", LONG, asker)
        in_thread(lambda: ask("a", LONG, asker))()
        assert polled.fingerprint("a") == first.fingerprint
    assert number(newest("a")) == 2


def test_a_late_answer_never_replaces_that_of_a_later_request() -> None:
    asked, may_answer = threading.Event(), threading.Event()

    def slow(before: Told | None) -> Told:
        asked.set()
        assert may_answer.wait(20)
        return parsed(b"number = 100", "toml", "it", allow_empty=False)

    late = in_thread(lambda: ask("a", LONG, slow))
    assert asked.wait(20)
    ask("a", LONG, Asker())
    may_answer.set()
    assert number(late()) == 100
    assert number(newest("a")) == 1


def test_the_first_poll_waits_for_the_load_of_the_start() -> None:
    asker = Asker()
    assert 0.9 * LONG <= poll("a", LONG, asker) <= 1.1 * LONG
    assert asker.times == 0
    assert poll("b", 1e-9, asker) == poll("b", 1e-9, asker) == 0.0
    assert asker.times >= 1


def test_a_load_puts_the_next_poll_off_and_so_does_who_was_asked() -> None:
    asker = Asker()
    ask("a", LONG, asker)
    assert poll("a", LONG, asker) > 0.8 * LONG
    ask("b", 1e-9, lambda before: Told(b"x", lambda: Layer("b", {}), pause=LONG))
    assert poll("b", 1e-9, asker) > 0.8 * LONG
    assert asker.times == 1


def test_polls_of_what_starts_together_drift_apart() -> None:
    found = {poll(str(number), 10.0, Asker()) for number in range(20)}
    assert max(found) - min(found) > 0.1
    assert all(8.9 < each <= 11.0 for each in found)


def test_what_is_known_is_bounded() -> None:
    for number in range(1000):
        ask(number, LONG, Asker())
    assert len(polled._records) == 256
    assert newest(0) is None
    assert polled.fingerprint(0) == polled.NOT_ASKED
    assert newest(999) is not None


def test_a_fault_is_raised_with_its_reason_and_a_value_s_with_its_keys() -> None:
    with pytest.raises(ConfigError, match="it: is gone") as raised:
        fault("is gone", "it", reason="file_not_found").given()
    assert raised.value.reason == "file_not_found"
    told = parsed(b"a = 1\na = 2", "toml", "it", allow_empty=False)
    for _ in range(2):  # each load gets an error of its own
        with pytest.raises(ConfigError, match="it:2"):
            told.given()
    assert told.layer is None


def test_each_load_gets_data_of_its_own() -> None:
    """A validator before pydantic's may change what it is given."""

    class Renamed(BaseModel):
        number: int

        @model_validator(mode="before")
        @classmethod
        def rename(cls, data: dict[str, Any]) -> dict[str, Any]:
            data["number"] = data.pop("Number")
            return data

    class Outer(BaseModel):
        inner: list[Renamed]

    loader = ConfigLoader(Outer, Command(["echo", '{"inner": [{"Number": 1}]}'], format="json"))
    for _ in range(3):
        assert loader._propose(loader._read()).config.inner[0].number == 1
    told = parsed(b"number = 1", "toml", "it", allow_empty=False)
    layers = [told.given() for _ in range(3)]
    assert len({id(each.data) for each in layers}) == 3
    assert {each.fingerprint for each in layers} == {told.fingerprint}


def test_equal_contents_of_another_format_differ() -> None:
    both = [parsed(b"{}", form, "it", allow_empty=True).fingerprint for form in ("json", "yaml")]  # type: ignore[arg-type]
    assert len(set(both)) == 2


class Slow:
    """A source that is asked only once another one is being asked."""

    def __init__(self, me: threading.Event, other: threading.Event, number: int) -> None:
        self.me, self.other, self.times, self.number = me, other, 0, number

    def _asked_now(self) -> Told:
        return polled.asked(self, LONG, self.how)

    def how(self, before: Told | None) -> Told:
        self.times += 1
        self.me.set()
        assert self.other.wait(20)
        return parsed(f"number = {self.number}".encode(), "toml", "it", allow_empty=False)


def test_the_sources_of_a_load_are_asked_at_the_same_time() -> None:
    events = threading.Event(), threading.Event()
    one, two = Slow(*events, 1), Slow(*events[::-1], 2)
    with asked_once():
        polled.ask_together([one, object(), [], two, one])
        assert [number(ask(each, LONG, each.how)) for each in (one, two)] == [1, 2]
        polled.ask_together([one, two])
        assert (one.times, two.times) == (1, 1)
        assert polled.fingerprint(one) != polled.fingerprint(two)
    eventually(lambda: "confcast-ask" not in [each.name for each in threading.enumerate()], "their end")


def test_outside_of_a_load_and_for_one_source_nothing_is_begun() -> None:
    free = threading.Event()
    free.set()
    one = Slow(threading.Event(), free, 1)
    polled.ask_together([one, Slow(free, free, 2)])
    with asked_once():
        polled.ask_together([one])
    assert one.times == 0


def test_what_asking_raises_reaches_the_load() -> None:
    class Raises(Slow):
        def how(self, before: Told | None) -> Told:
            raise ValueError("it")

    free = threading.Event()
    free.set()
    one, two = Raises(free, free, 1), Slow(free, free, 2)
    with asked_once():
        polled.ask_together([one, two])
        with pytest.raises(ValueError, match="it"):
            ask(one, LONG, one.how)
        assert number(ask(two, LONG, two.how)) == 2


def test_without_threads_each_is_asked_in_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    free = threading.Event()
    free.set()
    both = [Slow(free, free, 1), Slow(free, free, 2)]
    monkeypatch.setattr(threading.Thread, "start", refused)
    with asked_once():
        polled.ask_together(both)
        assert [number(ask(each, LONG, each.how)) for each in both] == [1, 2]


def test_a_loader_asks_all_at_the_same_time(tmp_path: Path) -> None:
    """Two that take as long as a load may would end it together."""

    def waits_for(other: Path, mine: Path, number: int) -> Command:
        script = f"touch {mine}; while ! test -e {other}; do sleep 0.01; done; echo number = {number}"
        return Command(["/bin/sh", "-c", script], timeout=20)

    one, two = tmp_path / "one", tmp_path / "two"
    loader = ConfigLoader("tests.support.number:Settings", waits_for(two, one, 1), waits_for(one, two, 2))
    assert loader.load().config.number == 2


def test_a_loader_asks_once_though_the_files_beside_it_change(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    changes = f"echo x >> {runs}; echo '# more' >> {tmp_path}/app.toml; echo '# more' >> {tmp_path}/b.toml; echo"
    source = Command(["/bin/sh", "-c", f"{changes} 'number = 5'"])
    (tmp_path / "app.toml").write_text("number = 1\n")
    (tmp_path / "b.toml").write_text("number = 2\n")
    loader = ConfigLoader("tests.support.number:Settings", tmp_path / "app.toml", tmp_path / "b.toml", source)
    assert loader.load().config.number == 5
    assert runs.read_text() == "x\n"
