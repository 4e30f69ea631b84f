"""The play: every way to reload a server that is serving, and every way to break the reload.

Each act does one thing, waits for what the config owner says became of it, and then until every worker has answered
a request that was sent afterwards. An act *holds* when the outcome is the one that it must be.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import NamedTuple

from confcast import ReloadEvent, ReloadResult
from confcast.examples.leindex.demo.owner import Outcome, Owner
from confcast.examples.leindex.demo.server import Server
from confcast.examples.leindex.demo.stage import Stage
from confcast.examples.leindex.demo.traffic import Traffic
from confcast.examples.leindex.demo.verdict import Barrier, Killed

_BURST = 20


class Play:
    """Everything an act can touch, and what it leaves for the verdict."""

    def __init__(self, stage: Stage, server: Server, traffic: Traffic, owner: Owner) -> None:
        self.stage = stage
        self.server = server
        self.traffic = traffic
        self.owner = owner
        self.killed: list[Killed] = []
        self.called: list[Barrier] = []

    def barriers(self) -> list[Barrier]:
        """What was known when: from the owner's events, and from the answers to calls."""
        applied = [outcome for outcome in self.owner.outcomes if outcome.event]
        return self.called + [Barrier(outcome.known_at, outcome.event.version) for outcome in applied]

    def expect(self, result: ReloadResult, since: int) -> Outcome | None:
        """The first event of that result; or, when a success is due, the first that puts it out of reach."""
        spoiling = {ReloadResult.PARTIAL, ReloadResult.REJECTED} if result is ReloadResult.SUCCESS else set()
        return self.owner.wait(lambda event: event.result in {result, *spoiling}, since)


class Scene(NamedTuple):
    """What came of an act.

    Attributes:
        outcome: The event; None when none came in time.
        expected: The result that it must have.
        acted_at: When it was done, in seconds since 1970.
        notes: What else there is to see.
    """

    outcome: Outcome | None
    expected: ReloadResult
    acted_at: float
    notes: tuple[str, ...] = ()

    @property
    def held(self) -> bool:
        """Whether it came out as it must."""
        return self.outcome is not None and self.outcome.event.result is self.expected

    @property
    def milliseconds(self) -> float | None:
        """From the deed to the last worker that applied the new version; None when there is none."""
        if self.outcome is None or not self.outcome.event:
            return None
        event = self.outcome.event
        return max(0.0, (event.timestamp - self.acted_at) * 1000 + event.duration_ms)


Act = Callable[[Play], Scene]


def hup(play: Play) -> Scene:
    """HUP with a valid change."""
    since = len(play.owner.outcomes)
    play.stage.edit(total_budget_mb=4096)
    return _hup(play, ReloadResult.SUCCESS, since)


def edit(play: Play) -> Scene:
    """The file edited, nothing else."""
    since = len(play.owner.outcomes)
    play.stage.edit(cache_ttl_seconds=120)
    acted_at = time.time()
    outcome = play.expect(ReloadResult.SUCCESS, since)
    return Scene(outcome, ReloadResult.SUCCESS, acted_at, ("the watcher waits 50 ms for the file to rest",))


def call(play: Play) -> Scene:
    """The file edited, then a call from a worker."""
    since = len(play.owner.outcomes)
    acted_at = time.time()
    play.stage.edit(parallel_workers=8)
    answer = play.server.post("/reload")
    if answer["status"] == 200:
        play.called.append(Barrier(time.monotonic(), int(str(answer["reloaded_version"]))))
    outcome = play.expect(ReloadResult.SUCCESS, since)
    told = f"worker {answer['pid']} called reload(): {answer.get('result')}, version {answer.get('reloaded_version')}"
    return Scene(outcome, ReloadResult.SUCCESS, acted_at, (told,))


def invalid(play: Play) -> Scene:
    """Two wrong values and HUP."""
    since = len(play.owner.outcomes)
    play.stage.spoil(total_budget_mb=12, parallel_workers="true")
    return _hup(play, ReloadResult.VALIDATION_FAILED, since)


def deleted(play: Play) -> Scene:
    """The file deleted and HUP."""
    since = len(play.owner.outcomes)
    play.stage.delete()
    return _hup(play, ReloadResult.FILE_NOT_FOUND, since)


def restored(play: Play) -> Scene:
    """The file restored, with a change."""
    since = len(play.owner.outcomes)
    play.stage.edit(cache_ttl_seconds=180)
    acted_at = time.time()
    return Scene(play.expect(ReloadResult.SUCCESS, since), ReloadResult.SUCCESS, acted_at)


def worker_killed(play: Play) -> Scene:
    """A worker killed with -9, a change and HUP."""
    since = len(play.owner.outcomes)
    pid = min(play.traffic.workers_since(time.monotonic() - 1))
    killed_at = time.monotonic()
    _kill(pid)
    play.killed.append(Killed(pid, killed_at, time.monotonic()))
    play.stage.edit(batch_size=60)
    scene = _hup(play, ReloadResult.SUCCESS, since)
    return scene._replace(notes=(f"worker {pid} was killed; gunicorn starts another, on the newest version",))


def owner_killed(play: Play) -> Scene:
    """The owner killed with -9, then a change."""
    since = len(play.owner.outcomes)
    pid = play.owner.pid
    _kill(pid)
    play.stage.edit(cache_ttl_seconds=240)
    acted_at = time.time()
    outcome = play.expect(ReloadResult.SUCCESS, since)
    notes = (f"owner {pid} was killed; owner {play.owner.pid} went on from its journal",) if outcome else ()
    return Scene(outcome, ReloadResult.SUCCESS, acted_at, notes)


def vetoed(play: Play) -> Scene:
    """A worker vetoes a change."""
    since = len(play.owner.outcomes)
    play.server.post("/veto?reason=this+worker+refuses:+a+drill")
    play.stage.edit(estimated_mb=128)
    return _hup(play, ReloadResult.REJECTED, since)


def agreed(play: Play) -> Scene:
    """The same again; nobody vetoes."""
    refused = [number for number, (event, _) in enumerate(play.owner.outcomes) if event.result is ReloadResult.REJECTED]
    return _hup(play, ReloadResult.SUCCESS, since=max(refused, default=-1) + 1)


def burst(play: Play) -> Scene:
    """Twenty changes in one second."""
    since = len(play.owner.outcomes)
    begun, last = time.monotonic(), 300 + _BURST
    for number in range(1, _BURST + 1):
        play.stage.edit(cache_ttl_seconds=300 + number)
        acted_at = time.time()
        play.server.reload_signal()
        while time.monotonic() < begun + number / _BURST:
            play.owner.poll()
            time.sleep(0.005)
    outcome = play.owner.wait(lambda event: bool(event) and _sets(event, "performance.cache_ttl_seconds", last), since)
    versions = {event.version for event, _ in play.owner.outcomes[since:] if event}
    return Scene(outcome, ReloadResult.SUCCESS, acted_at, (f"{len(versions)} versions; the last change is live",))


ACTS: tuple[Act, ...] = (
    hup,
    edit,
    call,
    invalid,
    deleted,
    restored,
    worker_killed,
    owner_killed,
    vetoed,
    agreed,
    burst,
)


def _hup(play: Play, expected: ReloadResult, since: int) -> Scene:
    acted_at = time.time()
    play.server.reload_signal()
    outcome = play.expect(expected, since)
    return Scene(outcome, expected, acted_at)


def _kill(pid: int) -> None:
    """Kill the process, and return when it is gone: its parent has taken note."""
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.001)
    raise TimeoutError(f"process {pid} is still there 10 s after SIGKILL")


def _sets(event: ReloadEvent, key: str, value: int) -> bool:
    return any(change.key == key and change.new == value for change in event.changes)
