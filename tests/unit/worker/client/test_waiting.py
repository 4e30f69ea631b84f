"""When a wait is over, and what it tells, from what an owner has answered: no owner and no process here."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from confcast.errors import OwnerUnavailable
from confcast.wire.messages import Answer, ReloadEvent, ReloadResult, Request, VersionInfo, Who
from confcast.worker.client import waiting
from confcast.worker.client.verbs import Verbs
from confcast.worker.client.waiting import Within, event_of, is_over, wait_for


def event(version: int, result: ReloadResult = ReloadResult.SUCCESS, previous: int | None = None) -> ReloadEvent:
    before = version - 1 if previous is None else previous
    return ReloadEvent(timestamp=1.0, result=result, version=version, previous_version=before)


def kept(version: int, *, good: bool = True, origin: str = "call") -> VersionInfo:
    return VersionInfo(version, 2.0, "d", origin, Who(0, 7), "why", good, True)


class Owner:
    """Gives these totals one after the other, the last one for ever; an exception is raised."""

    def __init__(
        self, *stats: Any, events: tuple[ReloadEvent, ...] = (), versions: tuple[VersionInfo, ...] = ()
    ) -> None:
        self.stats, self.events, self.kept = list(stats), events, versions

    def get_stats(self) -> dict[str, Any]:
        given = self.stats.pop(0) if len(self.stats) > 1 else self.stats[0]
        if isinstance(given, Exception):
            raise given
        return dict(zip(("version", "phase", "window", "trial", "probation"), given, strict=False))

    def get_event_history(self, limit: int | None = None) -> list[ReloadEvent]:
        return list(self.events)

    def versions(self, limit: int | None = None) -> list[VersionInfo]:
        return list(self.kept)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_FIRST", 0.0)


@pytest.mark.parametrize(
    ("version", "runs", "phase", "over"),
    [
        (None, 3, "idle", True),
        (None, 3, "loading", False),
        (None, 3, "committing", False),
        (3, 3, "committing", False),
        (3, 3, "idle", True),
        (3, 3, "staging", True),
        (3, 4, "committing", False),  # perhaps its undo
        (3, 4, "staging", True),
        (3, 5, "committing", True),
        (3, 2, "idle", False),
        (3, 2, "recording", False),
    ],
)
def test_a_version_is_settled_once_its_barrier_is_closed(
    version: int | None, runs: int, phase: str, over: bool
) -> None:
    assert is_over({"version": runs, "phase": phase}, version) is over


WINDOW = {"fallback": 2}


@pytest.mark.parametrize(
    ("version", "runs", "over"), [(None, 3, False), (3, 3, False), (3, 4, False), (2, 4, True), (1, 3, True)]
)
def test_what_is_to_be_confirmed_is_not_over_and_what_the_end_would_not_undo_is(
    version: int | None, runs: int, over: bool
) -> None:
    assert is_over({"version": runs, "phase": "idle", "window": WINDOW}, version) is over
    assert is_over({"version": runs, "phase": "idle", "window": None}, version)


def test_it_waits_for_the_window_s_end_and_gives_what_undid_the_version() -> None:
    undone = ReloadEvent(
        timestamp=1.0,
        result=ReloadResult.UNDONE,
        version=5,
        previous_version=4,
        origin="undo",
        evidence=["nobody confirmed version 4 within 600 s"],
    )
    versions = (kept(5, origin="undo"), kept(4, good=False), kept(3, good=False), kept(2))
    events = (undone, event(4), event(3), event(2))
    for version in (3, 4, None):
        owner = Owner((4, "idle", WINDOW), (5, "committing", None), (5, "idle", None), events=events, versions=versions)
        assert wait_for(owner, version, 9.0) is undone
    assert event_of(2, list(versions), list(events)) == event(2)


TRIAL = {"version": 4}
PROBATION = {"fallback": 3}
ON_TRIAL = event(4, ReloadResult.ON_TRIAL)


@pytest.mark.parametrize("version", [4, None])
def test_it_waits_for_the_end_of_a_trial_and_of_the_probation_after_it(version: int | None) -> None:
    stats = [(3, "idle", None, TRIAL), (4, "committing", None, None, PROBATION), (4, "idle", None, None, PROBATION)]
    owner = Owner(*stats, (4, "idle"), events=(event(4), ON_TRIAL, event(3)), versions=(kept(4), kept(3)))
    assert wait_for(owner, version, 9.0) == event(4)
    assert owner.stats == [(4, "idle")]


def test_what_was_undone_on_trial_is_told_by_its_undo() -> None:
    undone = event(5, ReloadResult.UNDONE, previous=4)
    versions = (kept(5, origin="undo"), kept(3))
    stats = [(3, "idle", None, TRIAL), (5, "committing"), (5, "idle")]
    owner = Owner(*stats, events=(undone, ON_TRIAL, event(3)), versions=versions)
    assert wait_for(owner, 4, 9.0) is undone
    assert owner.stats == [(5, "idle")], "while its barrier is open, the undo is in no history"
    assert event_of(3, list(versions), [undone, ON_TRIAL, event(3)]) == event(3)


def test_what_a_person_took_back_on_trial_is_undone_and_says_by_which_version() -> None:
    back = ReloadEvent(timestamp=2.0, result=ReloadResult.SUCCESS, origin="rollback", version=5, previous_version=3)
    found = event_of(4, [kept(5), kept(3)], [event(6), back, ON_TRIAL, event(3)])
    assert found.result is ReloadResult.UNDONE
    assert found.error_message == "version 4 was on trial, and was taken back: version 5 put back what ran before"


def test_what_was_undone_in_its_probation_is_told_by_its_undo() -> None:
    undone = event(5, ReloadResult.UNDONE, previous=4)
    versions = [kept(5, origin="undo"), kept(4, good=False), kept(3)]
    assert event_of(4, versions, [undone, event(4), event(3)]) is undone


def test_the_last_event_of_a_version_that_was_confirmed_is_its_confirmation() -> None:
    made = event(2)
    confirmed = ReloadEvent(timestamp=2.0, result=ReloadResult.SUCCESS, origin="confirm", version=2, previous_version=2)
    later = event(2, ReloadResult.UNCHANGED, previous=2)
    assert event_of(2, [kept(2)], [later, confirmed, made]) is confirmed
    assert event_of(2, [kept(2)], [later, made]) is made


def test_a_version_that_was_confirmed_is_not_undone_by_the_end_of_a_later_window() -> None:
    undone = ReloadEvent(timestamp=1.0, result=ReloadResult.UNDONE, version=5, previous_version=4)
    versions = [kept(5, origin="undo"), kept(4, good=False), kept(3), kept(2)]
    assert event_of(3, versions, [undone, event(4), event(3)]) == event(3)
    assert event_of(4, versions, [undone, event(4), event(3)]) is undone


def test_a_version_that_another_one_replaced_before_it_was_confirmed_is_no_worker_s_refusal() -> None:
    opened = ReloadEvent(timestamp=1.0, result=ReloadResult.SUCCESS, version=3, previous_version=2, confirm_by=2e9)
    assert event_of(3, [kept(4), kept(3, good=False), kept(2)], [event(4), opened]) is opened


def test_it_waits_until_it_is_over_and_gives_the_event_of_the_version() -> None:
    owner = Owner((2, "staging"), (2, "recording"), (3, "committing"), (3, "idle"), events=(event(3), event(2)))
    assert wait_for(owner, 3, 9.0) == event(3)
    assert owner.stats == [(3, "idle")]


def test_without_a_version_the_newest_event_is_given_a_refusal_too() -> None:
    refused = event(2, ReloadResult.REJECTED, previous=2)
    too_late = event(2, ReloadResult.CONFLICT, previous=2)  # it has tried nothing
    assert wait_for(Owner((2, "loading"), (2, "idle"), events=(too_late, refused, event(2))), None, 9.0) is refused


def test_an_empty_history_leaves_the_version_that_runs() -> None:
    found = wait_for(Owner((7, "idle")), None, 9.0)
    assert (found.result, found.version, found.previous_version) == (ReloadResult.UNCHANGED, 7, 7)


@pytest.mark.parametrize(
    ("version", "stats", "why"),
    [
        (None, (2, "loading"), "after 0 s the owner is still loading"),
        (2, (2, "committing"), "after 0 s version 2 is not settled"),
        (5, (2, "idle"), "after 0 s version 5 does not exist; version 2 runs"),
        (None, (3, "idle", WINDOW), "after 0 s version 3 is still to be confirmed: confirm() keeps it"),
        (3, (3, "idle", WINDOW), "after 0 s version 3 is still to be confirmed: confirm() keeps it"),
        (5, (3, "idle", WINDOW), "after 0 s version 5 does not exist; version 3 runs"),
        (None, (3, "idle", None, TRIAL), "after 0 s version 4 is still on trial: confirm() commits it"),
        (4, (3, "idle", None, TRIAL), "after 0 s version 4 is still on trial: confirm() commits it"),
        (4, (4, "idle", None, None, PROBATION), "after 0 s version 4 is still on probation"),
    ],
)
def test_what_is_not_over_in_time_is_unknown_and_says_why(version: int | None, stats: Any, why: str) -> None:
    found = wait_for(Owner(stats), version, 0)
    assert (found.result, found.error_message) == (ReloadResult.OWNER_UNAVAILABLE, why)


def test_an_owner_that_is_gone_is_told_and_not_raised() -> None:
    found = wait_for(Owner((2, "loading"), OwnerUnavailable("it has ended")), None, 9.0)
    assert (found.result, found.error_message) == (ReloadResult.OWNER_UNAVAILABLE, "it has ended")


def test_a_version_whose_event_was_dropped_is_told_by_what_is_kept() -> None:
    found = event_of(3, [kept(4), kept(3)], [])
    assert (found.result, found.version, found.reason, found.origin) == (ReloadResult.SUCCESS, 3, "why", "call")
    assert event_of(3, [kept(3, good=False)], []).result is ReloadResult.PARTIAL


def test_a_version_that_a_worker_declined_later_is_partial() -> None:
    assert event_of(3, [kept(3, good=False)], [event(3)]).result is ReloadResult.PARTIAL


def test_a_version_that_was_taken_back_is_refused_and_one_that_is_gone_as_well() -> None:
    undone = event_of(3, [kept(4, origin="undo"), kept(3, good=False)], [event(3)])
    assert not undone
    assert undone.error_message == "version 3 was taken back: version 4 put back what ran before"
    gone = event_of(3, [kept(60)], [event(60)])
    assert (gone.result, gone.error_message) == (
        ReloadResult.VALIDATION_FAILED,
        "version 3 is gone: it is not kept any more",
    )


@pytest.mark.parametrize(
    ("version", "timeout"), [(0, 1.0), ("3", 1.0), (True, 1.0), (3, -1), (3, float("inf")), (3, None)]
)
def test_what_is_no_version_or_no_time_is_refused(version: Any, timeout: Any) -> None:
    with pytest.raises(ValueError, match="is expected"):
        wait_for(Owner((3, "idle")), version, timeout)


@pytest.mark.parametrize(("timeout", "asked"), [(0.0, 1.0), (3.0, 4.0), (30.0, 5.0)])
def test_an_owner_that_does_not_answer_is_asked_for_no_longer_than_the_wait(timeout: float, asked: float) -> None:
    """A wait of three seconds over an owner's death took six: the question that was under way had its own five."""
    seconds: list[float] = []

    class Silent(Verbs):
        def _ask(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
            seconds.append(timeout)
            return None

    assert Silent().wait(timeout=timeout).result is ReloadResult.OWNER_UNAVAILABLE
    assert seconds == [pytest.approx(asked, abs=0.1)]


def test_the_answers_after_the_end_share_the_second_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, asked = [100.0], []
    monkeypatch.setattr(waiting, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def answer(kind: type[Any], make: Callable[[int], Any], seconds: float) -> Any:
        asked.append(seconds)
        clock[0] += 2.0
        return SimpleNamespace(stats={}, events=[], versions=[])

    within = Within(answer, 3.0)
    assert (within.get_stats(), within.get_event_history(), within.versions()) == ({}, [], [])
    assert asked == pytest.approx([4.0, 2.0, 0.05])
