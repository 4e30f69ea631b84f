"""The client verbs: what an answer, another answer and no answer become, and a client's one connection a question."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from confcast import Canary
from confcast.errors import ConfcastError, ConfigError, OwnerUnavailable, Problem
from confcast.wire.framing import Deframer, frame
from confcast.wire.messages import (
    Answer,
    Change,
    ClearHistory,
    Confirm,
    Differences,
    DiffRequest,
    Done,
    Explained,
    ExplainRequest,
    Explanation,
    Hello,
    History,
    HistoryRequest,
    Install,
    Message,
    Outcome,
    Refused,
    Reload,
    ReloadEvent,
    ReloadResult,
    Request,
    Set,
    Stats,
    StatsRequest,
    Status,
    VersionInfo,
    Versions,
    VersionsRequest,
    Who,
    Workers,
    WorkersRequest,
    decode_to_owner,
    encode,
)
from confcast.wire.options import Options
from confcast.worker.client.connection_per_call import AddressClient
from confcast.worker.client.verbs import Verbs
from tests.support.links import control_socket
from tests.support.waiting import DEADLINE, in_thread

EVENT = ReloadEvent(timestamp=1.0, result=ReloadResult.SUCCESS, version=2)
KEPT = VersionInfo(2, 1.0, "d" * 32, "call", Who(0, 7, "app"), "", True, True)


class Asked(Verbs):
    """Gives an answer that was laid down, and keeps what it was asked."""

    def __init__(self, answer: Answer | None) -> None:
        self.answer = answer
        self.requests: list[tuple[Request, float]] = []

    def _ask(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        self.requests.append((make(1), timeout))
        return self.answer


def test_a_reload_gives_the_owner_s_event() -> None:
    verbs = Asked(Outcome(1, EVENT))
    assert verbs.reload(timeout=3.0) is EVENT
    assert verbs.reload_config() is ReloadResult.SUCCESS
    assert verbs.requests == [(Reload(1, "call"), 3.0), (Reload(1, "call"), 71.0)]


def test_a_reload_and_a_change_carry_guards_and_canary() -> None:
    verbs, canary = Asked(Outcome(1, EVENT)), Canary("25%", seconds=timedelta(minutes=1))
    verbs.reload(3.0, allow=["shrinks:upstreams"], canary=canary)
    verbs.set({"limits.api": 1}, allow=(name for name in ["touches:limits"]), timeout=3.0)
    assert verbs.requests == [
        (Reload(1, "call", allow=("shrinks:upstreams",), canary=canary), 3.0),
        (Set(1, {"limits.api": 1}, allow=("touches:limits",)), 3.0),
    ]


def test_a_reload_that_was_to_be_tried_and_was_committed_at_once_says_so() -> None:
    def notes(made: ReloadEvent, **how: Any) -> list[str]:
        return Asked(Outcome(1, made)).reload(3.0, canary=Canary(1), **how).notes

    made = msgspec.structs.replace(EVENT, previous_version=1)
    (note,) = notes(made)
    assert note.startswith("it was committed at once, without a trial: its content was good before, or")
    said = msgspec.structs.replace(made, notes=["it was to be tried first, and no worker lives"])
    assert notes(said) == said.notes
    assert notes(msgspec.structs.replace(made, result=ReloadResult.ON_TRIAL)) == []
    assert notes(msgspec.structs.replace(made, previous_version=2)) == []
    (note,) = notes(msgspec.structs.replace(made, previous_version=2, result=ReloadResult.UNCHANGED))
    assert note.startswith("nothing is on trial: this content is committed already")
    assert notes(made, force=True, reason="at once") == []


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"allow": "shrinks:upstreams"}, r"allow='shrinks:upstreams': a list of guards is expected, as \['shrinks"),
        ({"allow": [7]}, "allow: 7 is no name of a guard"),
        ({"canary": True}, r"canary=True: a Canary is expected, such as Canary\('25%', seconds=60\)"),
        ({"canary": "25%"}, "canary='25%': a Canary is expected"),
    ],
)
def test_guards_and_canaries_that_are_none_are_refused_before_anything_is_sent(how: dict[str, Any], words: str) -> None:
    verbs = Asked(Outcome(1, EVENT))
    with pytest.raises(TypeError, match=words):
        verbs.reload(3.0, **how)
    assert verbs.requests == []


def test_a_reload_without_an_answer_is_an_event_that_is_false_and_says_unknown() -> None:
    event = Asked(None).reload(timeout=0.25)
    assert not event
    assert event.result is ReloadResult.OWNER_UNAVAILABLE
    assert event.error_message == str(event.problems[0])
    assert "of 0.25 s" in event.error_message
    assert "unknown" in event.error_message
    assert Asked(None).reload_config() is ReloadResult.OWNER_UNAVAILABLE


@pytest.mark.parametrize("result", list(ReloadResult))
def test_an_outcome_is_true_when_what_was_asked_for_runs(result: ReloadResult) -> None:
    runs = result in (ReloadResult.SUCCESS, ReloadResult.UNCHANGED, ReloadResult.PARTIAL)
    assert bool(result) is runs
    assert bool(ReloadEvent(timestamp=1.0, result=result)) is runs
    assert result.value == result.name.lower()


@pytest.mark.parametrize(
    ("call", "request_", "answer", "value"),
    [
        (lambda verbs: verbs.get_stats(), StatsRequest(1), Stats(1, {"version": 7}), {"version": 7}),
        (lambda verbs: verbs.status(), StatsRequest(1, True), Stats(1, {}, Status(version=7)), Status(version=7)),
        (lambda verbs: verbs.is_reload_in_progress(), StatsRequest(1), Stats(1, {"reload_in_progress": True}), True),
        (lambda verbs: verbs.is_reload_in_progress(), StatsRequest(1), Stats(1, {"reload_in_progress": False}), False),
        (lambda verbs: verbs.get_event_history(), HistoryRequest(1, None), History(1, [EVENT]), [EVENT]),
        (lambda verbs: verbs.get_event_history(limit=0), HistoryRequest(1, 0), History(1, []), []),
        (lambda verbs: verbs.clear_history(), ClearHistory(1), Done(1), None),
        (lambda verbs: verbs.workers(), WorkersRequest(1), Workers(1, []), []),
        (lambda verbs: verbs.versions(), VersionsRequest(1, None), Versions(1, [KEPT]), [KEPT]),
        (lambda verbs: verbs.versions(limit=0), VersionsRequest(1, 0), Versions(1, []), []),
    ],
)
def test_each_other_verb_gives_what_the_answer_holds_and_raises_without_one(
    call: Callable[[Verbs], Any], request_: Request, answer: Answer, value: Any
) -> None:
    verbs = Asked(answer)
    assert call(verbs) == value
    assert verbs.requests == [(request_, 5.0)]
    with pytest.raises(OwnerUnavailable, match="did not answer within 5 s"):
        call(Asked(None))


def test_an_owner_of_an_earlier_build_has_no_status() -> None:
    with pytest.raises(OwnerUnavailable, match=r"of an earlier build, which has no status\(\): restart its server"):
        Asked(Stats(1, {"version": 7})).status()


EXPLAINED = Explanation(key="a", value=1, origin="app.toml:1:5")


@pytest.mark.parametrize(
    ("call", "request_", "answer", "value"),
    [
        (lambda verbs: verbs.explain("a"), ExplainRequest(1, "a"), Explained(1, EXPLAINED), EXPLAINED),
        (lambda verbs: verbs.diff(), DiffRequest(1), Differences(1), []),
        (lambda verbs: verbs.diff(3), DiffRequest(1, 3), Differences(1, (Change("a", 1, 2),)), [Change("a", 1, 2)]),
        (lambda verbs: verbs.diff("sources", 3), DiffRequest(1, "sources", 3), Differences(1), []),
    ],
)
def test_a_question_has_the_time_of_a_reload_and_raises_what_the_owner_found(
    call: Callable[[Verbs], Any], request_: Request, answer: Answer, value: Any
) -> None:
    verbs = Asked(answer)
    assert call(verbs) == value
    assert verbs.requests == [(request_, Options().answers_within)]
    wrong = (Problem("a", "is wrong", "app.toml:1:1"),)
    with pytest.raises(ConfigError) as caught:
        call(Asked(Explained(1, problems=wrong) if isinstance(answer, Explained) else Differences(1, problems=wrong)))
    assert caught.value.problems == list(wrong)
    with pytest.raises(OwnerUnavailable, match="did not answer within 71 s"):
        call(Asked(None))


@pytest.mark.parametrize("side", [0, -1, True, "now", 1.0, None])
def test_what_can_not_be_compared_is_refused_before_it_is_asked(side: Any) -> None:
    verbs = Asked(Differences(1))
    for call in (lambda: verbs.diff(side), lambda: verbs.diff("running", side)):
        with pytest.raises(ValueError, match="a version's number, 'running' or 'sources' is expected"):
            call()
    assert verbs.requests == []


@pytest.mark.parametrize(
    ("call", "request_"),
    [
        (lambda verbs: verbs.reload(confirm_within=600), Reload(1, confirm_within=600.0)),
        (lambda verbs: verbs.reload(confirm_within=timedelta(minutes=10)), Reload(1, confirm_within=600.0)),
        (lambda verbs: verbs.reload(), Reload(1)),
        (lambda verbs: verbs.set({"a": 1}, confirm_within=0.5), Set(1, {"a": 1}, confirm_within=0.5)),
        (lambda verbs: verbs.set({"a": 1}, ttl=timedelta(hours=1)), Set(1, {"a": 1}, ttl=3600.0)),
        (lambda verbs: verbs.confirm(), Confirm(1)),
        (lambda verbs: verbs.confirm(12, reason="looked"), Confirm(1, 12, "looked")),
    ],
)
def test_a_window_is_asked_for_in_seconds_and_confirmed_by_number(
    call: Callable[[Verbs], ReloadEvent], request_: Request
) -> None:
    opened = msgspec.structs.replace(EVENT, confirm_by=2e9)
    verbs = Asked(Outcome(1, opened))
    assert call(verbs) is opened
    assert verbs.requests == [(request_, Options().answers_within)]
    unknown = call(Asked(None))
    assert unknown.result is ReloadResult.OWNER_UNAVAILABLE
    assert "is unknown" in (unknown.error_message or "")


def test_a_change_that_opened_no_window_says_so() -> None:
    """An owner of an earlier build skips what it does not know, and would keep the change for ever."""
    verbs = Asked(Outcome(1, EVENT))
    for event in (verbs.reload(confirm_within=600), verbs.set({"a": 1}, confirm_within=600)):
        assert event
        assert [note for note in event.notes if note.startswith("no window was opened")] == event.notes != []
    assert verbs.reload().notes == verbs.set({"a": 1}).notes == []
    refused = msgspec.structs.replace(EVENT, result=ReloadResult.REJECTED)
    assert Asked(Outcome(1, refused)).reload(confirm_within=600) is refused


def test_a_confirmation_has_a_deadline_like_any_other_verb() -> None:
    verbs = Asked(Outcome(1, EVENT))
    verbs.confirm(timeout=3.0)
    assert verbs.requests == [(Confirm(1), 3.0)]


@pytest.mark.parametrize(
    "given", [0, -1.0, float("nan"), float("inf"), "10m", True, timedelta(0), timedelta(days=-1), 4e8, timedelta.max]
)
def test_what_is_no_duration_is_refused_by_its_name_before_anybody_is_asked(given: Any) -> None:
    verbs = Asked(Outcome(1, EVENT))
    calls: dict[str, Callable[[], object]] = {
        "confirm_within=": lambda: verbs.reload(confirm_within=given),
        "confirm_within": lambda: verbs.set({"a": 1}, confirm_within=given),
        "ttl=": lambda: verbs.set({"a": 1}, ttl=given),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match=f"{name}.*a number of seconds above 0 is expected, or a timedelta, of at"):
            call()
    assert verbs.requests == []


@pytest.mark.parametrize("version", [0, -1, True, "12", 1.0])
def test_what_is_no_version_can_not_be_confirmed(version: Any) -> None:
    verbs = Asked(Outcome(1, EVENT))
    with pytest.raises(ValueError, match="the number of a version is expected"):
        verbs.confirm(version)
    assert verbs.requests == []


def test_another_verb_s_answer_is_no_answer() -> None:
    with pytest.raises(OwnerUnavailable):
        Asked(Done(1)).get_stats()


# ---- a client, and an owner that the test plays


class Owner:
    """Answers one connection at a time with the bytes laid down, and keeps what it received."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self.client = AddressClient(listening.getsockname(), "app")

    def serve(self, *answers: Message, raw: bytes = b"", close: bool = True) -> Callable[[], list[Message]]:
        data = raw or b"".join(frame(encode(answer)) for answer in answers)

        def run() -> list[Message]:
            connection, _ = self._listening.accept()
            with connection:
                connection.settimeout(DEADLINE)
                deframer, received = Deframer(), []
                while len(received) < 2:
                    received += [decode_to_owner(body) for body in deframer.feed(connection.recv(65536))]
                for at in range(0, len(data), 7):
                    connection.sendall(data[at : at + 7])
                if not close:
                    connection.recv(1)  # until the client has gone
                return received

        return in_thread(run)


@pytest.fixture
def owner() -> Iterator[Owner]:
    with control_socket() as listening:
        listening.settimeout(DEADLINE)
        yield Owner(listening)


def test_a_client_says_what_it_is_and_asks_in_one_go(owner: Owner) -> None:
    served = owner.serve(Stats(1, {"version": 7}))
    assert owner.client.get_stats() == {"version": 7}
    hello, request = served()
    assert isinstance(hello, Hello)
    assert (hello.role, hello.name) == ("client", "app")
    assert request == StatsRequest(1)


def test_what_an_owner_sends_to_workers_alone_is_no_answer(owner: Owner) -> None:
    owner.serve(Install(1, b"d", b"p"), Stats(1, {}))
    with pytest.raises(ConfcastError, match="can't be read; it may run another version of confcast"):
        owner.client.get_stats()


def test_a_refusal_is_raised_in_the_owner_s_words(owner: Owner) -> None:
    owner.serve(Refused("this owner serves the configuration 'web', not 'app'", True))
    with pytest.raises(ConfcastError, match="'web', not 'app'"):
        owner.client.get_stats()


def test_half_an_answer_is_none(owner: Owner) -> None:
    owner.serve(raw=frame(encode(Stats(1, {})))[:-1])
    assert owner.client.ask(StatsRequest, DEADLINE) is None


@pytest.mark.parametrize("raw", [frame(b"\xc1"), b"\xff\xff\xff\xff"], ids=["no message", "length"])
def test_an_answer_that_can_not_be_read_is_not_taken_for_silence(owner: Owner, raw: bytes) -> None:
    owner.serve(raw=raw)
    with pytest.raises(ConfcastError, match="can't be read; it may run another version of confcast"):
        owner.client.ask(StatsRequest, DEADLINE)


def test_an_owner_that_says_nothing_is_waited_for_until_the_deadline_only(owner: Owner) -> None:
    served = owner.serve(raw=b"\0", close=False)
    assert not owner.client.reload(timeout=0.05)
    assert len(served()) == 2


@pytest.mark.parametrize("timeout", [0.0, -1.0])
def test_a_deadline_that_has_passed_already_is_no_error(owner: Owner, timeout: float) -> None:
    event = owner.client.reload(timeout=timeout)
    assert event.result is ReloadResult.OWNER_UNAVAILABLE


def test_where_nobody_listens_there_is_no_answer(owner: Owner) -> None:
    Path(owner.client.address).unlink()
    assert owner.client.ask(StatsRequest, DEADLINE) is None
    assert owner.client.request_reload() is False


def test_telling_waits_for_nothing(owner: Owner) -> None:
    assert owner.client.request_reload()  # nobody has accepted it yet
    heard = owner.serve()()
    assert heard[1] == Reload(1, "signal")


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf"), "5", True])
def test_what_is_no_number_of_seconds_is_refused_before_anybody_is_asked(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"wait_observers=.*: a number of seconds is expected, 0 or more"):
        AddressClient("/nowhere", "app").reload(wait_observers=seconds)


@pytest.mark.parametrize("ttl", [0.0, -1.0, float("nan"), float("inf"), 1e10, timedelta(days=-1), "5", True])
def test_what_is_no_time_of_a_value_is_refused_before_anybody_is_asked(ttl: float) -> None:
    with pytest.raises(ValueError, match=r"ttl=.*: a number of seconds above 0 is expected, .* at most ten years"):
        AddressClient("/nowhere", "app").set({"number": 1}, ttl=ttl)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda client: client.set({"name": "x" * 2_000_000}), "reads at most 1048576: use a file for it"),
        (lambda client: client.set({"name": "secret\udcff"}), "half of a surrogate pair"),
        (lambda client: client.set({"a\udcff": 1}), "half of a surrogate pair"),
        (lambda client: client.unset(["x" * 2_000_000]), "reads at most"),
        (lambda client: client.explain("\udcff"), "half of a surrogate pair"),
        (lambda client: client.reload(reason="\udcff"), "half of a surrogate pair"),
        (lambda client: client.reload(expect="7"), "expect='7': the number of a version"),
        (lambda client: client.set({}, expect=True), "expect=True: the number of a version"),
        (lambda client: client.resume(expect=0), "expect=0: the number of a version"),
        (lambda client: client.rollback(2**70), "version=.*: the number of a version"),
        (lambda client: client.rollback(0), "version=0: the number of a version"),
        (lambda client: client.diff(2**70), "a=.*: the number of a version"),
    ],
)
def test_what_no_owner_takes_is_refused_before_it_is_sent(ask: Callable[[Any], Any], message: str) -> None:
    """The owner would close the pipe: with "unknown" for the caller, and a worker without its owner."""
    with pytest.raises(ValueError, match=message) as caught:
        ask(AddressClient("/nowhere", "app"))
    assert "secret" not in f"{caught.value!r} {caught.value.__cause__!r}"


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda client: client.reload(reason=5), "reason is a int: a text is expected"),
        (lambda client: client.unset([5]), "a key is a int: a text is expected"),
        (lambda client: client.explain(5), "key is a int: a text is expected"),
        (lambda client: client.set({"a": nested(200)}), "nested more than 100 levels deep"),
        (lambda client: client.set({"a": nested(100_000)}), "nested more than 100 levels deep"),
    ],
)
def test_an_argument_of_another_type_is_refused_before_anybody_is_asked(
    ask: Callable[[Any], Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        ask(AddressClient("/nowhere", "app"))


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value
