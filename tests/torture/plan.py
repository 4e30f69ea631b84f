"""What the nemesis will do in a run: a list of steps, which comes of the seed alone.

A step names its victim by role and rank, and a version by how far back it lies, so that the same steps can be done to
another run, whose pids and numbers differ. What ends something (a process goes on, a cut file gets its rest, the disk
has room again) is a step of its own, and names the one that began it.

A plan is a row of phases. Each has its own weights, and its own rate: a system that is only ever under fire never comes
to the states that lie behind its rest. So after a phase of edits there is one in which the file is written once, and
nothing else is done for some seconds; and every fourth phase breaks nothing.

Rejected: to draw each step when it is due (what is drawn would depend on how long others took, and no seed would repeat
a run), and one weight for each act (the rare ones would meet only a system that is busy with the frequent ones).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import msgspec

from tests.torture.broken import KINDS

Scalar = str | int | float | bool | None


class Terrain(msgspec.Struct, frozen=True, kw_only=True):
    """What of a site a plan depends on.

    Attributes:
        workers: How many there are.
        roles: The processes that may be killed and stopped, beside the master.
        hup: Whether a HUP to the master reloads.
        master_survives: Whether the site goes on after its master's end: somebody starts it again.
        doors: By which verbs are called.
        root: Whether the owner can read what it has no right to read.
        silence: Seconds after which a worker that does not answer is passed over.
        harms: What a content may do where it runs.
        fleet: Whether an engine is published to.
        deaths_apart: Seconds between two deaths of workers: a server that takes more for a crash loop ends.
        phases: The phases of the plan, by name; none: all of them, and between them some in which little is done.
    """

    workers: int = 4
    roles: tuple[str, ...] = ("owner", "worker", "admin")
    hup: bool = True
    master_survives: bool = False
    doors: tuple[str, ...] = ("client", "cli", "admin")
    root: bool = False
    silence: float = 2.0
    harms: tuple[str, ...] = ("kills", "sick", "fails")
    fleet: bool = False
    deaths_apart: float = 0.0
    phases: tuple[str, ...] = ()


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One act.

    Attributes:
        at: When, in seconds from the run's beginning.
        act: Its name: a method of the acts.
        role, rank: The victim, if it is a process: the rank-th of that role, counted on from the first after the last.
        arguments: What else it needs.
    """

    at: float
    act: str
    role: str = ""
    rank: int = 0
    arguments: dict[str, Scalar] = {}


class Phase(msgspec.Struct, frozen=True):
    """Steps a second, and which: names of `MAKERS`, with weights."""

    rate: float  # 0: one, and no more
    weights: dict[str, int]


AT_THE_START = 2
"""The number of the content that is reloaded as soon as the first workers have attached; that of the first is 1."""

READS = {"read": 1}
EDITS = {
    "write": 8,
    "broken": 4,
    "paused": 2,
    "renamed": 1,
    "deleted": 1,
    "unreadable": 1,
    "back": 2,
    "same": 1,
    "guarded": 2,
    "publish": 4,
}
VERBS = {"reload": 6, "set": 5, "unset": 2, "rollback": 3, "confirm": 2, "resume": 3, "check": 2, "wait": 1, "read": 4}
TRIALS = {
    "trial": 6,
    "window": 4,
    "confirm": 2,
    "rollback": 1,
    "resume": 1,
    "write": 3,
    "harmful": 2,
    "vetoed": 1,
    "probed": 1,
}
KILLS = {"kill": 5, "replaced": 1, "terminate": 1, "stopped": 5, "hups": 2, "take_over": 1}
DISKS = {"full_disk": 3, "tear_journal": 1, "remove_files": 2}

PHASES = {
    "still": Phase(0.0, {"write": 1, "left_alone": 1}),
    "quiet": Phase(1.0, {**READS, "write": 1}),
    "edits": Phase(4.0, {**EDITS, "harmful": 2, "vetoed": 3}),
    "verbs": Phase(5.0, {**VERBS, "write": 3, "vetoed": 1}),
    "trials": Phase(1.5, TRIALS),
    "kills": Phase(2.5, {**KILLS, "write": 4, "reload": 2, "broken": 1}),
    "replacements": Phase(1.0, {"replaced": 3, "write": 1, "reload": 1}),
    "disks": Phase(2.0, {**DISKS, "write": 3, "reload": 2, "set": 1, "kill": 1}),
    "everything": Phase(6.0, {**EDITS, **VERBS, **TRIALS, **KILLS, **DISKS}),
}
_FIERCE = tuple(name for name in PHASES if name not in ("quiet", "still"))
_SHORTEST, _LONGEST, _STILL = 2.0, 6.0, 6.0
"""Seconds of a phase, and of one in which nothing is done but one write."""
_RESUMES = 0.8
"""How likely a phase begins by following the file again: while a version is held, hardly anything else happens."""
_ALONE = 7.0
"""Seconds in which nobody writes the file again: somewhat more than a harmful content may be served."""
_AFTER_THE_OTHERS = 1.0
"""Seconds in which what was begun before a phase without acts is mostly over."""
_STOPS_THE_MASTER = 0.1
_STOPS = (0.05, 0.2, 0.5, 1.0)
_REASON = "the nemesis"
_NEEDS_A_RESTART = 0.15
"""How likely a content has another value of the key that needs a restart."""
GUARD = "empties:marks"
"""The name of the site's guard."""
EARLY = "as soon as it has attached"
"""The reason of a change that comes while a worker may still import."""
SIZES = (0, 4, 80, 2000)
"""Lines of padding: frames below and above what one write to a pipe takes at once, and above what a pipe holds."""


def plan(seed: int, seconds: float, terrain: Terrain | None = None) -> list[Step]:
    """The steps of a run of so many seconds, in their order. The same arguments give the same steps."""
    planner = _Planner(seed, terrain or Terrain())
    for begins, ends, phase in _phases(planner.dice, seconds, planner.terrain.phases):
        if begins and (phase.rate == 0.0 or planner.dice.random() < _RESUMES):
            planner.follow_again(begins)
        if phase.rate == 0.0:
            planner.draw(begins + _AFTER_THE_OTHERS, phase)
            continue
        at = begins + planner.dice.expovariate(phase.rate)
        while at < ends:
            planner.draw(at, phase)
            at += planner.dice.expovariate(phase.rate)
    return sorted(planner.steps, key=lambda step: step.at)


def _phases(dice: random.Random, seconds: float, only: tuple[str, ...]) -> Iterator[tuple[float, float, Phase]]:
    at, left, name = 0.0, list[str](), ""
    count, among = 0, only or _FIERCE
    while at < seconds:
        if not left:  # each comes before one comes again
            left = dice.sample(among, len(among))
        name = "still" if name == "edits" else "quiet" if count % 4 == 1 and not only else left.pop()
        ends = min(seconds, at + (_STILL if name == "still" else dice.uniform(_SHORTEST, _LONGEST)))
        yield at, ends, PHASES[name]
        at, count = ends, count + 1


class _Planner:
    """Draws steps. What a method of `MAKERS` makes begins at the time that it is given, and not before.

    Attributes:
        steps: What has been drawn.
    """

    def __init__(self, seed: int, terrain: Terrain) -> None:
        self.dice, self.terrain, self.steps = random.Random(seed), terrain, list[Step]()
        self._serial = AT_THE_START  # the site has begun with the ones up to it
        self._contents = list[dict[str, Scalar]]()
        self._file_is_free = self._disk_is_free = self._next_death = self._probe_is_free = 0.0
        self._pairs = 0

    def draw(self, at: float, phase: Phase) -> None:
        """Something of this phase, at this time."""
        names = [name for name in phase.weights if self._possible(name)]
        MAKERS[self.dice.choices(names, [phase.weights[name] for name in names])[0]](self, at)

    def _possible(self, name: str) -> bool:
        terrain = self.terrain
        needs = {
            "hups": terrain.hup,
            "publish": terrain.fleet,
            "take_over": terrain.master_survives,
            "replaced": "worker" in terrain.roles and "client" in terrain.doors,
            "back": bool(self._contents),
        }
        return needs.get(name, True)

    def _add(self, at: float, act: str, role: str = "", rank: int = 0, **arguments: Scalar) -> None:
        step = Step(at=round(at, 3), act=act, role=role, rank=rank, arguments=arguments)
        self.steps.append(step)

    def _pair(self) -> int:
        self._pairs += 1
        return self._pairs

    def _number(self) -> int:
        self._serial += 1
        return self._serial

    def _size(self) -> int:
        return self.dice.choices(SIZES, (6, 3, 2, 1))[0]

    # ---- the file

    def _file(self, at: float, act: str, busy: float = 0.0, **arguments: Scalar) -> float:
        """An act on the file, once it is free; it then is not for `busy` seconds more. When that is."""
        at = max(at, self._file_is_free)
        self._add(at, act, **arguments)
        self._file_is_free = at + busy
        return at

    def write(self, at: float, veto: str = "", harm: str = "", busy: float = 0.0, **more: Scalar) -> None:
        how = self.dice.choices(("replace", "rewrite", "data"), (4, 2, 2))[0]
        traits: dict[str, Scalar] = {"serial": self._number(), "veto": veto, "harm": harm, "padding": self._size()}
        if self.dice.random() < _NEEDS_A_RESTART:
            more["listens"] = self.dice.choice((2, 3))
        traits |= more
        self._contents.append(traits)
        self._file(at, "write", busy, how=how, **traits)

    def vetoed(self, at: float) -> None:
        self.write(at, veto=self.dice.choice(("all", "some")))

    def harmful(self, at: float) -> None:
        self.write(at, harm=self.dice.choice(self.terrain.harms))

    def left_alone(self, at: float) -> None:
        """A harmful content that no other one follows, before it is taken back for sure."""
        self.write(at, harm=self.dice.choice(self.terrain.harms), busy=_ALONE)

    def back(self, at: float) -> None:
        """To an earlier content: the latest ones more often."""
        among = self._contents[-self.dice.choice((1, 2, 3, 10)) :]
        self._file(at, "write", how=self.dice.choice(("replace", "rewrite", "data")), **self.dice.choice(among))

    def guarded(self, at: float) -> None:
        """A content that a guard is to refuse; by some it is allowed, soon or at once, and then is not empty again."""
        self.write(at, empty=True)
        if self.dice.random() < 0.5:
            self._call(self._file_is_free + self.dice.choice((0.0, 0.5)), "reload", allow=GUARD, reason=_REASON)
            self.write(self._file_is_free + 1.0)

    def same(self, at: float) -> None:
        self._file(at, "touch")

    def broken(self, at: float) -> None:
        kind, how = self.dice.choice(KINDS), self.dice.choice(("replace", "rewrite", "data"))
        self._file(at, "break_file", kind=kind, serial=self._number(), padding=self._size(), how=how)

    def paused(self, at: float) -> None:
        """A valid content in two writes, with a pause; with `kept_open`, the writer keeps the file open meanwhile."""
        pause, pair = self.dice.choice((0.02, 0.2, 0.7)), self._pair()
        traits = {"serial": self._number(), "veto": "", "harm": "", "padding": self._size()}
        kept_open = self.dice.random() < 0.6
        at = self._file(at, "cut", busy=pause + 0.01, pair=pair, kept_open=kept_open, **traits)
        self._add(at + pause, "complete", pair=pair)

    def renamed(self, at: float) -> None:
        pause, pair = self.dice.choice((0.01, 0.2, 0.6)), self._pair()
        at = self._file(at, "rename_away", busy=pause + 0.01, pair=pair)
        self._add(at + pause, "rename_back", pair=pair)

    def deleted(self, at: float) -> None:
        pause = self.dice.choice((0.01, 0.3))
        self.write(self._file(at, "delete", busy=pause) + pause)

    def unreadable(self, at: float) -> None:
        """A folder in its place, or, where that is of any use, no right to read it; then a valid content."""
        how = "folder" if self.terrain.root else self.dice.choice(("folder", "mode"))
        self.write(self._file(at, "make_unreadable", busy=0.3, how=how) + 0.3)

    def publish(self, at: float) -> None:
        self._add(at, "publish", number=self._number())

    def probed(self, at: float) -> None:
        """A content, while the probe says no: for moments, or for longer than a probation lasts."""
        at, seconds, pair = max(at, self._probe_is_free), self.dice.choice((0.5, 5.0)), self._pair()
        self._add(at, "probe_says_no", pair=pair)
        self.write(at + 0.01)
        self._add(at + seconds, "probe_says_yes", pair=pair)
        self._probe_is_free = at + seconds + 0.01

    # ---- processes

    def _victim(self) -> tuple[str, int]:
        roles = self.terrain.roles
        role = self.dice.choices(roles, [3 if role in ("owner", "worker") else 1 for role in roles])[0]
        return role, self.dice.randrange(self.terrain.workers) if role == "worker" else 0

    def kill(self, at: float, signal: str = "KILL") -> None:
        role, rank = ("master", 0) if self._takes_the_master() else self._victim()
        if role == "worker" and at < self._next_death:
            role, rank = "owner", 0
        elif role == "worker":
            self._next_death = at + self.terrain.deaths_apart
        self._add(at, "kill", role, rank, signal=signal)
        if role in ("admin", "gateway", "engine", "master"):  # a worker's and an owner's next one comes by itself
            self._add(at + self.dice.choice((0.1, 0.5, 1.5)), "start_again", role)

    def replaced(self, at: float) -> None:
        """A worker dies, and a change comes in the moment in which its next one has attached, and imports yet."""
        if at < self._next_death:
            self.kill(at)
            return
        self._next_death = at + self.terrain.deaths_apart
        if self.dice.random() < 0.3:
            self._call(at, "reload", only=("client",), once_replaced=True, reason=EARLY)
        else:
            content: dict[str, Scalar] = {"serial": self._number(), "veto": "", "harm": ""}
            self._call(at, "set", only=("client",), once_replaced=True, ttl=1.0, reason=EARLY, **content)
        self._add(at, "kill", "worker", self.dice.randrange(self.terrain.workers), signal="KILL")

    def terminate(self, at: float) -> None:
        self.kill(at, signal="TERM")

    def _takes_the_master(self) -> bool:
        return self.terrain.master_survives and self.dice.random() < 0.15

    def take_over(self, at: float) -> None:
        self._add(at, "take_over", "master")

    def stopped(self, at: float) -> None:
        """A process stands still: for moments, beyond the deadline of who says nothing, or beyond that of a whole vote.

        The master only for moments: what is promised while it can't start an owner is less.
        """
        role, rank = ("master", 0) if self.dice.random() < _STOPS_THE_MASTER else self._victim()
        silence = self.terrain.silence
        beyond = () if role == "master" else (silence + 0.7, 2 * silence + 2.5)
        seconds, pair = self.dice.choice((*_STOPS, *beyond)), self._pair()
        self._add(at, "stop", role, rank, pair=pair)
        self._add(at + seconds, "go_on", role, rank, pair=pair)

    def hups(self, at: float) -> None:
        self._add(at, "hup", "master", count=self.dice.choice((1, 1, 2, 10)))

    # ---- disks

    def full_disk(self, at: float) -> None:
        """The owner can't write beyond so many bytes of a file, for a time."""
        at, seconds, pair = max(at, self._disk_is_free), self.dice.choice((0.1, 0.8, 2.0)), self._pair()
        self._add(at, "fill_disk", "owner", pair=pair, limit=self.dice.choice((0, 64, 4096, 65536)))
        self._add(at + seconds, "free_disk", "owner", pair=pair)
        self._disk_is_free = at + seconds + 0.01

    def tear_journal(self, at: float) -> None:
        how = self.dice.choice(("cut_ahead", "cut_log", "lose_log", "garbage", "delete"))
        self._add(at, "tear_journal", "owner", how=how)

    def remove_files(self, at: float) -> None:
        self._add(at, "remove_files", which=self.dice.choice(("journal", "snapshot", "folder")))

    # ---- calls

    def _call(self, at: float, verb: str, *, only: tuple[str, ...] = (), **arguments: Scalar) -> None:
        """A call by some door, by some of them awaited."""
        among = [door for door in self.terrain.doors if not only or door in only]
        if not among:
            return
        door = self.dice.choices(among, [1 if door == "cli" else 6 for door in among])[0]
        given = {name: value for name, value in arguments.items() if value is not None}
        if door == "client" and self.dice.random() < 0.3:
            given["awaited"] = True
        self._add(at, "call", door=door, verb=verb, **given)

    def _maybe(self, chance: float, *values: Scalar) -> Scalar:
        return self.dice.choice(values) if self.dice.random() < chance else None

    def _expect(self) -> Scalar:
        return self._maybe(0.3, "seen", "seen", "seen", "before")

    def reload(self, at: float) -> None:
        how: dict[str, Scalar] = {"expect": self._expect(), "confirm_within": self._maybe(0.15, 1.0, 2.5)}
        how |= {"wait_observers": self._maybe(0.15, 0.5), "timeout": self._maybe(0.1, 1.0, 4.0)}
        if self.dice.random() < 0.1:
            how |= {"force": True, "confirm_within": None}
        only = ("client",) if how["wait_observers"] or how["timeout"] else ()
        for _ in range(self.dice.choice((1, 1, 1, 3))):
            self._call(at, "reload", only=only, reason=_REASON, **how)
        if self.dice.random() < 0.1:
            self._call(at, "reload_config", only=("client",))

    def trial(self, at: float) -> None:
        """A content that is tried first: the reload is asked for at once, before the watcher has seen the file."""
        self.write(at, harm=self.dice.choices(("", *self.terrain.harms), (6, *(1 for _ in self.terrain.harms)))[0])
        by = self.dice.choice(("worker", "entity"))
        size: Scalar = self.dice.choice(("25%", "50%")) if by == "entity" else self.dice.choice((1, 2, "25%"))
        how: dict[str, Scalar] = {"canary_by": by, "canary_size": size, "canary_seconds": self.dice.choice((0.7, 2.0))}
        how |= {"canary_min_requests": self.dice.choice((0, 5, 50, 100_000))}
        how |= {"canary_inconclusive": self.dice.choice(("undo", "promote"))}
        how |= {"confirm_within": self._maybe(0.2, 1.0)}
        self._call(self._file_is_free, "reload", reason=_REASON, **how)

    def window(self, at: float) -> None:
        within = self.dice.choice((0.5, 1.5, 3.0))
        if self.dice.random() < 0.5:
            self._set(at, confirm_within=within)
        else:
            self._call(at, "reload", confirm_within=within, reason=_REASON)
            self.write(at + 0.05)
        if self.dice.random() < 0.4:
            self._call(
                at + within * self.dice.choice((0.3, 0.95, 1.0, 1.1)), "confirm", version=self._maybe(0.5, "seen")
            )

    def set(self, at: float) -> None:
        self._set(at, confirm_within=self._maybe(0.1, 1.0), expect=self._expect())

    def _set(self, at: float, **how: Scalar) -> None:
        """A whole content above the file's, for a time, or one key that no content has."""
        ends = self.dice.choice((0.3, 1.0, 2.0))
        if self.dice.random() < 0.6:
            content: dict[str, Scalar] = {"serial": self._number(), "veto": self._maybe(0.2, "all", "some") or ""}
            content["harm"] = self._maybe(0.1, *self.terrain.harms) or ""
            if self.dice.random() < 0.7:
                how["ttl"] = ends
            else:
                self._call(at + ends, "unset", keys="serial left right veto harm", reason=_REASON)
        else:
            content = {"tuned": self._number()}
            how["ttl"] = self._maybe(0.5, ends)
        self._call(at, "set", reason=_REASON, **content, **how)

    def unset(self, at: float) -> None:
        keys = self.dice.choice(("tuned", "serial left right veto harm"))
        self._call(at, "unset", keys=keys, reason=_REASON, expect=self._expect())

    def rollback(self, at: float) -> None:
        """Back; and, mostly, on again some time later."""
        back = self._maybe(0.5, 0, 1, 2, 5)
        self._call(at, "rollback", back=back, expect=self._expect(), reason=_REASON)
        if self.dice.random() < 0.8:
            self.follow_again(at + self.dice.choice((0.1, 0.6, 2.0)))

    def resume(self, at: float) -> None:
        self._call(at, "resume", expect=self._expect(), reason=_REASON)

    def follow_again(self, at: float) -> None:
        """End a hold, whichever version runs."""
        self._call(at, "resume", reason=_REASON)

    def confirm(self, at: float) -> None:
        self._call(at, "confirm", version=self._maybe(0.5, "seen"), reason=_REASON)

    def check(self, at: float) -> None:
        """A dry run: of the sources, of values, or of a text that stands for the file's."""
        kind = self.dice.choice(("", "values", "files"))
        given: dict[str, Scalar] = {} if not kind else {"what": kind, "serial": self._number()}
        if kind:
            given["veto"] = self._maybe(0.3, "all", "some") or ""
        self._call(at, "check", **given)

    def wait(self, at: float) -> None:
        self._call(at, "wait", only=("client", "cli"), version=self._maybe(0.5, "seen"), timeout=3.0)

    def read(self, at: float) -> None:
        """A question that changes nothing, or nothing but the list of what was."""
        everywhere = ("status", "versions", "workers", "stats", "history", "diff", "explain", "config", "schema")
        verb = self.dice.choice((*everywhere, "show", "progress", "exec", "events"))
        if self.dice.random() < 0.02:
            verb = "clear_history"
        self._call(at, verb, only=DOORS_OF.get(verb, ()), **self._details(verb))

    def _details(self, verb: str) -> dict[str, Scalar]:
        side = self.dice.choice((0, 1, 3, "running", "sources"))
        details: dict[str, Scalar] = {"explain": "left", "show": "serial"}
        return {"key": details[verb]} if verb in details else {"a": side, "b": "sources"} if verb == "diff" else {}


DOORS_OF: dict[str, tuple[str, ...]] = {
    "clear_history": ("client",),
    "config": ("admin",),
    "events": ("admin",),
    "exec": ("cli",),
    "progress": ("client",),
    "schema": ("admin", "cli"),
    "show": ("cli",),
    "stats": ("client", "admin"),
    "workers": ("client", "admin"),
}
"""The doors of the verbs that not every door has."""

MAKERS: dict[str, Callable[[_Planner, float], None]] = {
    name: getattr(_Planner, name) for name in sorted({name for phase in PHASES.values() for name in phase.weights})
}
"""What a phase may draw."""
