"""The acts: every way to reload a server that is serving, and every way to break the reload.

Each act does one thing and waits for the outcome that the config owner reports. An act *holds* when that outcome has
the result that it must have. What a person types is typed: as a command, in a process; of a command that changes
nothing, the exit code is what must hold.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from confcast import Canary, OwnerUnavailable, ReloadEvent, ReloadResult
from confcast.examples.leindex.demo.load import Load, versions_by_user
from confcast.examples.leindex.demo.server import KILLS, WORKERS, Server, lives, wait
from confcast.examples.leindex.demo.verdict import Barrier, Killed
from confcast.worker.client.connection_per_call import AddressClient

_BURST = 20
_SOME_USERS = Canary("25%", seconds=2, by="entity", min_requests=20)
_SWITCHING = 0.25


class Outcome(NamedTuple):
    """An event, and the time.monotonic() at which this process had it."""

    event: ReloadEvent
    known_at: float


class Play:
    """All that an act can use, and what the acts record for the verdict.

    The owner is asked by a client, and may die and be replaced meanwhile. Rejected: `initialize_reload_manager()`, the
    usual way to ask it (it attaches a replica, for which every reload would wait).

    Attributes:
        outcomes: The outcomes that the owner has reported, oldest first.
        acted_at: When the last edit was made, the last HUP sent or the last command typed, in seconds since 1970.
        exit: The exit code of the last command.
    """

    def __init__(self, server: Server, load: Load) -> None:
        self.server = server
        self.load = load
        self.outcomes: list[Outcome] = []
        self.killed: list[Killed] = []
        self.called: list[Barrier] = []
        self.acted_at = 0.0
        self.exit = 0
        self._owner = AddressClient(str(server.address()), "app")
        self.poll()
        self._seen = len(self.outcomes)

    def barriers(self) -> list[Barrier]:
        """The moments at which a version was known to be applied: by the owner's events, and by answers to calls."""
        return self.called + [Barrier(known_at, event.version) for event, known_at in self.outcomes if event]

    def owner_pid(self) -> int:
        """The owner's process. Raises OwnerUnavailable."""
        pid: int = self._owner.get_stats()["owner_pid"]
        return pid

    def poll(self) -> None:
        """Add the owner's new events to the outcomes; adds none while no owner answers."""
        try:
            history = self._owner.get_event_history()
        except OwnerUnavailable:
            return
        now, last = time.monotonic(), self.outcomes[-1].event.timestamp if self.outcomes else 0.0
        self.outcomes += [Outcome(event, now) for event in reversed(history) if event.timestamp > last]

    def edit(self, valid: bool = True, /, **values: int | str) -> None:
        """Edit the configuration file."""
        self.server.edit(valid, **values)
        self.acted_at = time.time()

    def hup(self, valid: bool = True, /, **values: int | str) -> None:
        """Edit the configuration file, if values are given, and send HUP to the master."""
        if values:
            self.edit(valid, **values)
        self.acted_at = time.time()
        self.server.process.send_signal(signal.SIGHUP)

    def type(self, *arguments: str) -> Note:
        """Run this command of `confcast`; the note is what was typed, and what it printed."""
        self.acted_at = time.time()
        done = subprocess.run(  # noqa: S603  # our own interpreter, our own arguments
            [sys.executable, "-m", "confcast", *arguments, "--address", str(self.server.address())],
            cwd=self.server.folder,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        self.exit = done.returncode
        shown = [each for each in (done.stdout + done.stderr).splitlines() if not each.strip()[:1].isdigit()]
        typed = f"$ confcast {' '.join(arguments)}"
        return lambda: "\n".join([typed, *(each for each in shown if not each.lstrip().startswith("PID "))])

    def try_out(self, canary: Canary, /, **values: int | str) -> ReloadEvent:
        """Edit the configuration file, and call for a trial before the watcher has seen the file rest."""
        self.edit(**values)
        return self._owner.reload(canary=canary)

    def kill(self, pid: int) -> Killed:
        """Kill the process, and return when its parent has reaped it."""
        killed_at = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        if not wait(lambda: not lives(pid), 10):
            raise RuntimeError(f"process {pid} is still there 10 s after SIGKILL")
        return Killed(pid, killed_at, time.monotonic())

    def wait(self, act: Act) -> Outcome | None:
        """Wait for the act's outcome: the first event that has its result, or excludes a success; None after 10 s."""
        if act.expected is None:
            return None
        ends = {act.expected}
        if act.expected is ReloadResult.SUCCESS:
            ends |= {ReloadResult.PARTIAL, ReloadResult.REJECTED}

        def found() -> Outcome | None:
            self.poll()
            news = self.outcomes[self._seen :]
            return next((each for each in news if each.event.result in ends and act.accept(each.event)), None)

        outcome = wait(found, 10)
        self._seen = self.outcomes.index(outcome) + 1 if outcome else len(self.outcomes)
        return outcome


def _edit(play: Play) -> Note:
    play.edit(cache_ttl_seconds=120)
    return lambda: "the watcher waits 50 ms for the file to rest"


def _call(play: Play) -> Note:
    play.edit(parallel_workers=8)
    status, answer = play.server.ask("POST", "/reload")
    result, version = answer.get("result"), answer.get("reloaded_version", 0)
    if status == 200:
        play.called.append(Barrier(time.monotonic(), version))
    return lambda: f"worker {answer['pid']} called reload(): {result}, version {version}"


def _delete(play: Play) -> None:
    play.server.config.unlink()
    play.hup()


def _kill_worker(play: Play) -> Note:
    pid = min(play.load.workers_since(time.monotonic() - 1))
    play.killed.append(play.kill(pid))
    play.hup(batch_size=60)
    return lambda: f"worker {pid} was killed; gunicorn starts another, on the newest version"


def _kill_owner(play: Play) -> Note:
    pid = play.owner_pid()
    play.kill(pid)
    play.edit(cache_ttl_seconds=240)
    return lambda: f"owner {pid} was killed; owner {play.owner_pid()} went on from its journal"


def _veto(play: Play) -> None:
    play.server.ask("POST", "/veto?reason=this+worker+refuses:+a+drill")
    play.hup(estimated_mb=128)


def _burst(play: Play) -> Note:
    begun, since = time.monotonic(), len(play.outcomes)
    for number in range(1, _BURST + 1):
        play.hup(cache_ttl_seconds=300 + number)
        while time.monotonic() < begun + number / _BURST:
            play.poll()
            time.sleep(0.005)

    def note() -> str:
        versions = {event.version for event, _ in play.outcomes[since:] if event}
        return f"{len(versions)} versions; the last change is live"

    return note


def _check_a_proposal(play: Play) -> Note:
    text = play.server.config.read_text(encoding="utf-8")
    proposed = re.sub(r"(?m)^(\s*batch_size: *)\S+", r"\1many", text)
    (play.server.folder / "proposed.yaml").write_text(proposed, encoding="utf-8")
    return play.type("check", f"{play.server.config.name}=proposed.yaml")


def _dry_run(play: Play) -> Note:
    play.server.ask("POST", "/veto?reason=this+worker+would+refuse+it:+a+drill")
    return play.type("check", "--set", "performance.batch_size=70")


def _kill_by_configuration(play: Play) -> Note:
    died = _who_died(play)
    play.edit(False, batch_size=KILLS)
    return died


def _kill_a_canary(play: Play) -> Note:
    wait(lambda: len(play.load.workers_since(time.monotonic() - 1)) == WORKERS, 10)
    died = _who_died(play)
    typed = play.type("reload", "--canary", "1", "--for", "10s")
    return lambda: f"{typed()}\n{died()}; the others never ran it"


def _who_died(play: Play) -> Note:
    """Who dies from now on. It is asked for before the change: a worker may be dead before the command has ended."""
    begun = time.monotonic()

    def note() -> str:
        seen = play.server.first | {answer.pid for answer in list(play.load.answers)} - {0}
        died = sorted({pid for pid in seen if not lives(pid)} - {death.pid for death in play.killed})
        play.killed += [Killed(pid, begun, time.monotonic()) for pid in died]
        return f"died of this configuration: worker {' '.join(map(str, died)) or 'none'}"

    return note


def _try_with_some_users(play: Play) -> Note:
    wait(lambda: len(play.load.workers_since(time.monotonic() - 1)) == WORKERS, 10)
    for seconds in range(400, 410):  # the watcher may see the file first: then another edit is tried
        event = play.try_out(_SOME_USERS, cache_ttl_seconds=seconds)
        if event.result is ReloadResult.ON_TRIAL:
            break
    begun = time.monotonic() + _SWITCHING

    def note() -> str:
        seen = versions_by_user(play.load.since(begun))
        tried = sum(versions[0] == event.version for versions in seen.values())
        back = sum(versions != sorted(versions) for versions in seen.values())
        if back:
            raise RuntimeError(f"{back} users were answered by the version before after the one on trial")
        return f"{tried} of {len(seen)} users had version {event.version} from the beginning; none went back"

    return note


Note = Callable[[], str]


class Act(NamedTuple):
    """One act: a function, which may return another for a note after the outcome, and the result that it must have.

    `expected` is None for a command that leaves no event: then `exit` is the exit code that it must have.
    """

    title: str
    deed: Callable[[Play], Note | None]
    expected: ReloadResult | None = ReloadResult.SUCCESS
    accept: Callable[[ReloadEvent], bool] = lambda event: True
    exit: int = 0


ACTS = (
    Act("HUP with a valid change", lambda play: play.hup(total_budget_mb=4096)),
    Act("The file edited, nothing else", _edit),
    Act("The file edited, then a call from a worker", _call),
    Act(
        "Two wrong values and HUP",
        lambda play: play.hup(False, total_budget_mb=12, parallel_workers="true"),
        ReloadResult.VALIDATION_FAILED,
    ),
    Act("The file deleted and HUP", _delete, ReloadResult.FILE_NOT_FOUND),
    Act("The file restored, with a change", lambda play: play.edit(cache_ttl_seconds=180)),
    Act("A worker killed with -9, a change and HUP", _kill_worker),
    Act("The owner killed with -9, then a change", _kill_owner),
    Act("A worker vetoes a change", _veto, ReloadResult.REJECTED),
    Act("The same again; no worker vetoes", lambda play: play.hup()),
    Act("Twenty changes in one second", _burst, accept=lambda event: 300 + _BURST in {c.new for c in event.changes}),
    Act("Where does a value come from?", lambda play: play.type("explain", "performance.cache_ttl_seconds"), None),
    Act("A proposed file, tried and refused", _check_a_proposal, None, exit=1),
    Act("A dry run that one worker would veto", _dry_run, None, exit=1),
    Act(
        "One value, set for two seconds",
        lambda play: play.type("set", "performance.batch_size=70", "--ttl", "2s", "--reason", "load"),
        accept=lambda event: event.origin == "set",
    ),
    Act("It ends by itself", lambda play: None, accept=lambda event: event.origin == "expiry"),
    Act(
        "Back to the version before, and held",
        lambda play: play.type("rollback", "--reason", "a drill"),
        accept=lambda event: event.origin == "rollback",
    ),
    Act("The file edited: it waits", lambda play: play.edit(cache_ttl_seconds=360), ReloadResult.HELD),
    Act(
        "The files are followed again",
        lambda play: play.type("resume", "--reason", "morning"),
        accept=lambda event: event.origin == "resume",
    ),
    Act(
        "A change to confirm within two seconds",
        lambda play: play.type("set", "performance.batch_size=80", "--confirm-within", "2s"),
        accept=lambda event: event.confirm_by is not None,
    ),
    Act("Nobody does: it is undone by itself", lambda play: None, ReloadResult.UNDONE),
    Act("A change of which each worker dies", _kill_by_configuration, ReloadResult.UNDONE),
    Act("The same, tried in one worker", _kill_a_canary, ReloadResult.UNDONE),
    Act("A trial with a quarter of the users", _try_with_some_users, accept=lambda event: bool(event.notes)),
)
