"""Which outcome an event means for the content of a source that follows; with as much of a core as that takes."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from confcast import Problem, ReloadEvent, ReloadResult, WorkerStatus
from confcast.config.sources.following import Outcome
from confcast.owner.core.effects import RecordEvent, Subject
from confcast.owner.core.machine import Hold, ProposalState
from confcast.owner.loop.outcomes import LONGEST_REASON, Outcomes
from confcast.owner.watch.followed_reads import Read
from tests.support.waiting import LONG

ONE, TWO, THREE = b"1" * 16, b"2" * 16, b"3" * 16
SUCCESS, UNCHANGED, REJECTED = ReloadResult.SUCCESS, ReloadResult.UNCHANGED, ReloadResult.REJECTED
UNDONE, ON_TRIAL, HELD = ReloadResult.UNDONE, ReloadResult.ON_TRIAL, ReloadResult.HELD


class Reads:
    """What loads have read, by their number."""

    def __init__(self) -> None:
        self.latest = 0
        self.found: dict[int, Read] = {}

    def of(self, load: int) -> Read:
        return self.found.get(load, Read())


class Bench:
    """One source, whose content a test's loads read, and what it is told."""

    def __init__(self) -> None:
        self.reads: Any = Reads()
        self.told: list[Outcome] = []
        self.outcomes = Outcomes(self.reads, lambda index, outcome: self.told.append(outcome))
        self.lagging: list[WorkerStatus] = []
        self.declined = False
        self.core: Any = SimpleNamespace(
            state=ProposalState.IDLE,
            committed=SimpleNamespace(version=0),
            operator=SimpleNamespace(hold=None, trial=None),
            rules=SimpleNamespace(probation=20.0),
            roster=_Roster(self),
            provisional_until=0.0,
            is_settled=True,
        )
        self._loads = 0

    def reads_now(self, content: bytes, *, counts: bool = True) -> int:
        """The number of a load that has read this."""
        self._loads += 1
        self.reads.found[self._loads] = Read({-1: content}, counts)
        self.reads.latest = self._loads
        return self._loads

    def event(self, result: ReloadResult, version: int, *, load: int = 0, says: str = "", **subject: int) -> list[str]:
        """Have this told; the states that the source is told."""
        if result not in (ON_TRIAL, HELD, REJECTED):
            self.core.committed.version = version
        problems = [Problem("", says)] if says else []
        event = ReloadEvent(
            timestamp=0.0,
            result=result,
            origin="watch",
            version=version,
            previous_version=version - 1,
            problems=problems,
            error_message=says or None,
        )
        before = len(self.told)
        self.outcomes.on_event(RecordEvent(event, Subject(load, **subject)), self.core)
        return [each.state for each in self.told[before:]]

    def load(self, content: bytes, result: ReloadResult, version: int, **more: Any) -> list[str]:
        return self.event(result, version, load=self.reads_now(content), **more)

    def follow(self) -> list[str]:
        """After an input without an event."""
        before = len(self.told)
        self.outcomes.follow(self.core)
        return [each.state for each in self.told[before:]]


class _Roster:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def __iter__(self) -> Any:
        return iter([1, 2])

    def lagging(self, version: int) -> list[WorkerStatus]:
        return self._bench.lagging

    def is_declined(self, version: int) -> bool:
        return self._bench.declined


@pytest.fixture
def bench() -> Bench:
    """The first content is committed, and good."""
    bench = Bench()
    assert bench.load(ONE, SUCCESS, 1) == ["good"]
    return bench


def test_a_long_reason_is_cut(bench: Bench) -> None:
    assert bench.load(TWO, REJECTED, 1, says="no " * 1000) == ["refused"]
    assert len(bench.told[-1].reason) == LONGEST_REASON


def test_what_was_undone_by_a_proposal_of_its_own_is_known_by_its_number(bench: Bench) -> None:
    bench.core.provisional_until = time.monotonic() + LONG
    assert bench.load(TWO, SUCCESS, 2) == ["applied"]
    bench.core.provisional_until = 0.0
    assert bench.event(UNDONE, 3, says="it died", undoes=2, puts_back=1) == ["undone"]
    assert (bench.told[-1].fingerprint, bench.told[-1].version) == (TWO, 3)
    assert bench.load(ONE, UNCHANGED, 3) == ["good"]


def test_what_was_set_on_top_and_is_undone_leaves_the_content_as_it_was(bench: Bench) -> None:
    bench.event(SUCCESS, 2)
    assert bench.event(UNDONE, 3, undoes=2, puts_back=1) == ["good"]


def test_a_promotion_is_known_by_its_trials_load_or_number(bench: Bench) -> None:
    bench.core.operator.trial = SimpleNamespace(deadline=time.monotonic() + 60.0)
    load = bench.reads_now(TWO)
    assert bench.event(ON_TRIAL, 2, load=load) == ["applied"]
    assert 75.0 < bench.told[-1].good_in <= 80.0
    assert bench.event(ON_TRIAL, 2) == ["applied"]
    bench.core.operator.trial = None
    del bench.reads.found[load]
    assert bench.event(SUCCESS, 2, load=load) == ["good"]
    assert bench.told[-1].fingerprint == TWO


def test_an_override_on_trial_says_nothing_of_the_content(bench: Bench) -> None:
    assert bench.event(ON_TRIAL, 2) == []
    assert bench.event(SUCCESS, 2) == []
    bench.core.operator.hold = Hold(2, 0.0)
    assert bench.follow() == []


def test_workers_that_have_what_runs_and_do_not_answer_are_not_said_to_lack_it(bench: Bench) -> None:
    """They hang in the vote on what was refused."""
    bench.lagging = [WorkerStatus(1, 1, "late", "judge has run for 3 s")]
    assert bench.load(ONE, ReloadResult.UNCHANGED, 1) == ["partial"]
    assert bench.told[-1].reason == "1 of 2 workers have it, and do not answer: judge has run for 3 s"
    bench.lagging = []
    assert bench.follow() == ["good"]


def test_what_runs_is_good_once_it_is_neither_provisional_nor_late_nor_declined(bench: Bench) -> None:
    bench.lagging, bench.declined = [WorkerStatus(1, 1, "late")], True
    bench.core.provisional_until = time.monotonic() + LONG
    assert bench.load(TWO, ReloadResult.PARTIAL, 2) == ["partial"]
    assert bench.told[-1].reason == "1 of 2 workers have not applied it"
    assert bench.follow() == []
    bench.lagging = []
    assert bench.follow() == []
    bench.declined = False
    assert bench.follow() == ["applied"]
    bench.core.provisional_until = 0.0
    bench.core.state = ProposalState.STAGING
    assert bench.follow() == []
    bench.core.state = ProposalState.IDLE
    assert bench.follow() == ["good"]
    assert bench.follow() == []


def test_a_value_that_is_set_is_to_blame_if_it_is_refused(bench: Bench) -> None:
    assert bench.event(REJECTED, 1, load=bench.reads_now(TWO, counts=False)) == []
    assert bench.event(SUCCESS, 2, load=bench.reads_now(TWO, counts=False)) == ["good"]


def test_a_held_host_says_so_also_where_the_history_says_nothing(bench: Bench) -> None:
    bench.core.operator.hold = Hold(1, 0.0)
    assert bench.load(TWO, HELD, 1) == ["held"]
    bench.reads_now(THREE)
    assert bench.follow() == ["held"]
    assert bench.follow() == []
    bench.reads_now(ONE)
    assert bench.follow() == []


def test_a_hold_of_a_boot_is_no_persons(bench: Bench) -> None:
    bench.core.operator.hold = Hold(1, 0.0, boot=True)
    bench.reads_now(TWO)
    assert bench.follow() == []


def test_what_a_person_takes_back_is_held(bench: Bench) -> None:
    bench.load(TWO, SUCCESS, 2)
    bench.core.operator.hold = Hold(1, 0.0)
    assert bench.event(SUCCESS, 3, puts_back=1) == ["held"]
    assert bench.told[-1].fingerprint == TWO


def test_a_reissue_changes_nothing(bench: Bench) -> None:
    assert bench.event(SUCCESS, 7, puts_back=1) == []
    assert bench.load(ONE, UNCHANGED, 7) == ["good"]


def test_of_very_many_versions_the_latest_are_known(bench: Bench) -> None:
    for version in range(2, 300):
        bench.load(b"%016d" % version, SUCCESS, version)
    assert len(bench.outcomes._of_version) == 64
    assert bench.event(UNDONE, 300, undoes=2, puts_back=1) == []
