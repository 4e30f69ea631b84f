"""The nemesis: it does each step once, puts a run's numbers in the place of words, and says whether there was rest."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from confcast import Change, OwnerUnavailable, Status
from confcast.wire.messages import Held, Override, VersionInfo, WorkerStatus
from tests.support.waiting import eventually
from tests.torture import content
from tests.torture.history import Act, Call, Calm, Recorder, Written, read
from tests.torture.nemesis import Nemesis, resolved
from tests.torture.options import Options
from tests.torture.plan import AT_THE_START, EARLY, Step, Terrain
from tests.torture.site import Site

RESUMES: dict[str, Any] = {"door": "client", "verb": "resume"}
AT_REST = Status(version=3, workers=[WorkerStatus(7, 3, "current")])


class StubClient:
    """A client of a system whose states a test says, one after another; the last one stays."""

    def __init__(self, *states: Status) -> None:
        self.states, self.asked = list(states), list[str]()
        self.differs = list[Change]()
        self.returns = threading.Event()

    def status(self) -> Status:
        if not self.states:
            raise OwnerUnavailable("nobody answers")
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def diff(self) -> list[Change]:
        return self.differs

    def unset(self, keys: list[str], **_: Any) -> None:
        self.asked.append(f"unset {keys}")

    def resume(self, **_: Any) -> None:
        self.asked.append("resume")

    def reload(self, **_: Any) -> None:
        self.asked.append("reload")

    def workers(self) -> list[object]:
        self.returns.wait()
        return []

    def get_stats(self) -> dict[str, Any]:
        if not self.states:
            raise OwnerUnavailable("nobody answers")
        return {"version": 12, "trial": None}

    def versions(self) -> list[VersionInfo]:
        return [VersionInfo(number, 0.0, "", "", None, "", True, True) for number in (12, 11, 10)]


class StubSite:
    """As much of a site as the nemesis asks for."""

    admin = fleet = None
    options = Options(workers=1)
    master = 1
    found_by = ("--pid", "1")

    def __init__(self, folder: Path, client: StubClient) -> None:
        self.config, self.runtime, self.state = folder / "app.toml", folder / "runtime", folder / "state"
        self.client = client
        self.config.write_text(content.text(1))

    def processes(self) -> dict[str, list[int]]:
        return {"worker": [7], "owner": []}

    def terrain(self) -> Terrain:
        return Terrain(roles=("owner", "worker"))


class Stage:
    """A nemesis of a site with this client, and what it has recorded."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.recorder = folder, Recorder(folder, "test")

    def nemesis(self, client: StubClient, **how: Any) -> Nemesis:
        return Nemesis(cast(Site, StubSite(self.folder, client)), self.recorder, **how)

    def recorded(self, kind: type[Any]) -> list[Any]:
        return [each for each in read(self.folder) if isinstance(each, kind)]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.recorder.close()


def write(serial: int, at: float = 0.0) -> Step:
    traits = {"serial": serial, "veto": "", "harm": "", "padding": 0, "how": "replace"}
    return Step(at=at, act="write", arguments=traits)


def test_each_step_is_done_in_its_turn_and_the_last_content_has_a_number_of_its_own(stage: Stage) -> None:
    nemesis = stage.nemesis(StubClient(AT_REST))
    nemesis.run([write(5), write(9, at=0.01), write(7, at=0.02)])
    assert nemesis.calm(1.0)
    assert [each.serial for each in stage.recorded(Written)] == [5, 9, 7, 10]
    assert len(stage.recorded(Calm)) == 1


def test_a_step_that_is_no_act_is_an_error(stage: Stage) -> None:
    with pytest.raises(LookupError):
        stage.nemesis(StubClient(AT_REST)).run([Step(at=0.0, act="wave")])


def test_the_owner_tells_before_it_is_killed(stage: Stage) -> None:
    told = list[str]()
    nemesis = stage.nemesis(StubClient(AT_REST), tell=lambda: told.append("history"))
    nemesis.run([Step(at=0.0, act="kill", role="owner", arguments={"signal": "KILL"})])
    assert told == ["history"]
    assert [each.ok for each in stage.recorded(Act)] == [False]  # there is none


OVERRIDDEN = Override(key="tuned", value=1, since=0.0)


@pytest.mark.parametrize(
    "before",
    [
        Status(version=3, provisional="probation", workers=AT_REST.workers),
        Status(version=3, phase="loading", workers=AT_REST.workers),
        Status(version=3, disk="differs", workers=AT_REST.workers),
        Status(version=3, workers=[WorkerStatus(7, 2, "behind")]),
        Status(version=3),
    ],
    ids=["probation", "loading", "differs", "behind", "no worker"],
)
def test_rest_is_waited_for(before: Status, stage: Stage) -> None:
    client = StubClient(before, AT_REST)
    assert stage.nemesis(client).calm(5.0)
    assert not stage.nemesis(StubClient(before)).calm(0.0)


def test_what_waits_for_another_server_is_no_unrest(stage: Stage) -> None:
    """A server that has begun on another value of a key that needs a restart never has the last content's."""
    listens = Change("listens", "2", "1")
    client = StubClient(Status(version=3, workers=AT_REST.workers, pending=[listens]))
    client.differs = [listens]
    assert stage.nemesis(client).calm(5.0)
    client.differs = [listens, Change("serial", "1", "2")]
    assert not stage.nemesis(client).calm(0.0)


def test_what_a_person_has_begun_is_ended_and_nothing_else(stage: Stage) -> None:
    held = Status(version=3, held=Held(2, 0.0), workers=AT_REST.workers)
    tuned = Status(version=3, overrides=[OVERRIDDEN], workers=AT_REST.workers)
    for state, asked in ((held, ["resume"]), (tuned, ["unset ['tuned']"]), (AT_REST, [])):
        client = StubClient(state, AT_REST)
        assert stage.nemesis(client).calm(5.0)
        assert client.asked == asked
    assert [each.verb for each in stage.recorded(Call)] == ["resume", "unset"]


def test_a_system_that_never_rests_is_recorded_as_that(stage: Stage) -> None:
    assert not stage.nemesis(StubClient()).calm(0.0)
    assert [(each.name, each.ok) for each in stage.recorded(Act)] == [("never_at_rest", False)]
    assert not stage.recorded(Calm)


def test_a_caller_who_has_no_answer_long_after_its_deadline_is_recorded_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.torture.nemesis._LATER", -100.0)
    client = StubClient(AT_REST)
    nemesis = stage.nemesis(client)
    nemesis.run([Step(at=0.0, act="call", arguments={"door": "client", "verb": "workers"})])
    assert nemesis.calm(1.0)
    client.returns.set()
    (call,) = stage.recorded(Call)
    assert (call.verb, call.answered, call.error) == ("workers", False, "the call has not returned")


# ---- who has just attached

REPLACED = Status(version=3, workers=[WorkerStatus(8, 3, "current")])


def test_the_first_content_is_reloaded_as_soon_as_all_workers_have_attached(stage: Stage) -> None:
    client = StubClient(Status(version=3), Status(version=3, workers=[WorkerStatus(7, 0, "starting")]), AT_REST)
    with stage.nemesis(client).greeting():
        eventually(lambda: client.asked, "a reload")
    assert client.asked == ["reload"]
    assert [each.serial for each in stage.recorded(Written)] == [AT_THE_START]
    assert [(each.verb, each.arguments["reason"]) for each in stage.recorded(Call)] == [("reload", EARLY)]


def test_a_site_that_does_not_come_is_not_greeted(stage: Stage) -> None:
    with pytest.raises(AssertionError, match="it has ended"), stage.nemesis(StubClient()).greeting():
        raise AssertionError("it has ended")
    assert not stage.recorded(Written)


def test_a_change_waits_for_the_worker_that_takes_anothers_place(stage: Stage) -> None:
    client = StubClient(AT_REST, Status(version=3), AT_REST, REPLACED)
    stage.nemesis(client).run([Step(at=0.0, act="call", arguments={**RESUMES, "once_replaced": True})])
    eventually(lambda: stage.recorded(Call), "the call")
    assert (client.asked, client.states) == (["resume"], [REPLACED])


def test_it_comes_without_one_at_last(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.torture.nemesis._REPLACED", 0.02)
    client = StubClient(AT_REST)
    stage.nemesis(client).run([Step(at=0.0, act="call", arguments={**RESUMES, "once_replaced": True})])
    eventually(lambda: stage.recorded(Call), "the call")
    assert client.asked == ["resume"]


# ---- a run's numbers


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"expect": "seen"}, {"expect": 12}),
        ({"expect": "before"}, {"expect": 11}),
        ({"version": "seen"}, {"version": 12}),
        ({"back": 1}, {"version": 11}),
        ({"back": 7}, {"version": 10}),
        ({"a": 0, "b": "sources"}, {"a": 12, "b": "sources"}),
        ({"ttl": 0.3}, {"ttl": 0.3}),
    ],
)
def test_words_become_numbers(given: dict[str, Any], found: dict[str, Any]) -> None:
    assert resolved(cast(Any, StubClient(AT_REST)), given) == found


def test_where_nobody_answers_less_is_asked_for() -> None:
    given = {"expect": "seen", "version": "seen", "back": 1, "a": 0, "b": "sources", "ttl": 0.3}
    assert resolved(cast(Any, StubClient()), given) == {"a": "running", "b": "sources", "ttl": 0.3}
