"""Rollouts by chance: fleets, faults, controllers that die or work at once, persons; and what has to hold in each.

A schedule is a seed. The clock, the engine and the hosts are those of the simulation, so that minutes take no time.
"""

from __future__ import annotations

import random

import msgspec
import pytest

from confcast.fleet.head import Head, Rollout, chosen, is_meant
from confcast.fleet.reports import BEAT, SEEN_WITHIN, Report, Seen, State
from confcast.fleet.rollout.machine import LOST_AFTER, Machine, Promote, StandDown, Stop, Wait, Widen, begun, next_stage
from confcast.fleet.rollout.stages import is_last
from confcast.fleet.rollout.tally import tally

STABLE, NEXT = "a" * 64, "b" * 64
SCHEDULES, MANY = 80, 3000
LONGEST = 4000.0


class Host:
    """A host: what it makes of `next`, and what it has told the engine last."""

    def __init__(self, world: World, number: int) -> None:
        self.id, self.world, self.draw = f"host-{number}", world, world.draw
        self.labels = {"ring": "canary"} if self.draw.random() < 0.1 else {}
        self.makes: State | str = self._makes()
        self.probation = self.draw.choice([0.0, 2.0, 20.0])
        self.delay = self.draw.uniform(0.01, 1.0)
        self.cut = False  # off the engine
        self.report = Report(self.id, STABLE, state="good", labels=self.labels)
        self.heard = 0.0
        self.good_since = 0.0
        self.due: list[tuple[float, Report]] = []
        self.head: Head | None = None
        self.loads = ("", "")

    def _makes(self) -> str:
        faulty = self.world.faulty
        bad = ["refused", "undone", "partial", "fault", "silent", "never good", "dies", "held"]
        return self.draw.choice(bad) if self.draw.random() < faulty else "good"

    def tick(self, now: float) -> None:
        if self.cut:
            return
        head = self.world.head
        if head is not None and head != self.head:
            self.head = head
            self._load(now, head)
        while self.due and self.due[0][0] <= now:
            _, self.report = self.due.pop(0)
            self.heard = now
            if (self.report.digest, self.report.state) == (NEXT, "good") and not self.good_since:
                self.good_since = now  # a restart may be over before anybody has looked
        if now - self.heard > BEAT:
            self.heard = now

    def restart(self, now: float) -> None:
        """Begin anew, with what its head chooses."""
        if self.report.state == "good" and self.report.digest == NEXT and not self.cut:
            self.report, self.heard, self.loads = msgspec.structs.replace(self.report, state="loading"), now, ("", "")
            self.head = None

    def _load(self, now: float, head: Head) -> None:
        digest = chosen(head, self.id, self.labels)
        if (digest, head.salt) == self.loads:
            return
        self.loads = digest, head.salt
        at, good_at = now + self.delay, now + self.delay + self.probation
        said = Report(self.id, digest, head.salt, "applied", labels=self.labels, good_in=self.probation)
        good = msgspec.structs.replace(said, state="good")
        if digest == STABLE:
            self.due = [(at, good)]
        elif self.makes == "good":
            self.due = [(at, said), (good_at, good)]
        elif self.makes == "undone":
            self.due = [(at, said), (good_at, msgspec.structs.replace(said, state="undone"))]
        elif self.makes in ("refused", "partial", "fault", "held"):
            self.due = [(at, msgspec.structs.replace(said, state=self.makes))]
        elif self.makes == "never good":
            self.due = [(at, said)]
        elif self.makes == "dies":
            self.due, self.cut = [], True
        else:
            self.due = []

    def seen(self, now: float) -> Seen:
        return Seen(self.report, now - self.heard, self.world.has_streams and not self.cut)


def _is_there(seen: Seen) -> bool:
    return seen.connected or seen.age <= SEEN_WITHIN


class Controller:
    """Reads, and decides at its next turn: others may have written meanwhile."""

    def __init__(self, world: World) -> None:
        assert world.head is not None
        self.world, self.machine = world, Machine(world.head)
        self.read: tuple[Head | None, dict[str, Seen]] | None = None
        self.over = False
        self.stage: Head | None = None
        self.had = set[str]()  # the hosts that it has seen in the present stage

    def turn(self, now: float) -> None:
        world = self.world
        if self.over or world.is_down:
            self.read = None
            return
        if self.read is None:
            self.read = world.head, world.seen(now)
            return
        (head, hosts), self.read = self.read, None
        self.note(head, hosts)
        decision = self.machine.step(now, head, hosts)
        if isinstance(decision, Wait):
            return
        if isinstance(decision, StandDown):
            self.over = True
            return
        if head == world.head:  # the compare-and-swap
            world.write(now, decision, hosts)
            lost = self.had - {host for host, each in hosts.items() if _is_there(each)}
            assert isinstance(decision, Stop) or len(lost) <= world.rollout.max_refused, "passed without them"
        self.over = isinstance(decision, Promote | Stop)

    def note(self, head: Head | None, hosts: dict[str, Seen]) -> None:
        if head is None or head.rollout is None:
            return
        if head != self.stage:
            self.stage, self.had = head, set()
        there = {host: each for host, each in hosts.items() if _is_there(each)}
        self.had |= {host for host, each in there.items() if is_meant(head, host, each.report.labels)}


class World:
    """One schedule."""

    def __init__(self, seed: int) -> None:
        self.draw = draw = random.Random(seed)
        self.faulty = draw.choice([0.0, 0.0, 0.02, 0.3])
        self.hosts = [Host(self, each) for each in range(draw.choice([0, 1, 2, 5, 12, 30]))]
        self.rollout = Rollout(
            draw.choice([("1 host", "10%", "100%"), ("50%", "100%"), ("100%",), ("2 hosts", "5 hosts", "50%", "100%")]),
            rings=draw.choice([(), (), ("ring=canary",)]),
            bake=draw.choice([1.0, 10.0, 60.0]),
            min_acks=draw.choice([1, 3, 20]),
            max_refused=draw.choice([0, 0, 2]),
            max_lag=draw.choice([3.0, 5.0, 30.0]),
        )
        self.head: Head | None = None
        self.is_down = False
        self.by_person = False
        self.has_reason = self.faulty > 0.0  # something has happened that a rollout may be stopped for
        self.has_streams = draw.random() < 0.5  # behind gateways
        self.hidden: dict[str, float] = {}  # hosts whose gateway is being restarted, and until when
        self.changes: list[tuple[float, str]] = []
        for host in self.hosts:
            host.heard = -draw.uniform(0.0, BEAT) if draw.random() < 0.95 else -10 * SEEN_WITHIN
        here = self.seen(0.0)
        self.head = begun(STABLE, NEXT, self.rollout, "salt", 1, here)
        self.check_size(here, self.head, 0)

    def seen(self, now: float) -> dict[str, Seen]:
        """What the engine has of the hosts."""
        return {host.id: host.seen(now) for host in self.hosts if self.hidden.get(host.id, 0.0) <= now}

    # ---- what has to hold

    def write(self, now: float, decision: Widen | Promote | Stop, hosts: dict[str, Seen]) -> None:
        before, after = self.head, decision.head
        assert before is not None
        assert before.rollout is not None
        if isinstance(decision, Stop):
            assert (after.stable, after.next, after.percent, after.rings) == (STABLE, None, 0.0, ())
            assert self.has_reason, f"stopped for no reason: {decision.detail}"
        elif isinstance(decision, Widen) and after.rollout is not None and after.rollout.stage == before.rollout.stage:
            assert not any(is_meant(before, host, each.report.labels) for host, each in hosts.items())
            self.check_size(hosts, after, 0)
        else:
            self.check_proven(now, before, hosts)
            if isinstance(decision, Widen):
                assert after.rollout is not None
                assert after.rollout.stage == before.rollout.stage + 1, "no stage is skipped"
                assert before.percent <= after.percent
                assert set(before.rings) <= set(after.rings)
                self.check_size(hosts, after, self.meant(before, hosts))
            else:
                assert is_last(before.rollout, before.rollout.stage)
                assert (after.stable, after.next) == (NEXT, None)
        self.head = after
        self.changes.append((now, type(decision).__name__))

    def check_proven(self, now: float, head: Head, hosts: dict[str, Seen]) -> None:
        """The count, counted once more; and its bake time, by when the hosts themselves were good."""
        assert head.rollout is not None
        rollout = head.rollout
        meant = [
            each for each in hosts.values() if is_meant(head, each.report.host, each.report.labels) and _is_there(each)
        ]
        about = [each for each in meant if (each.report.digest, each.report.salt) == (NEXT, "salt")]
        good = [each for each in about if each.report.state == "good"]
        bad = [each for each in about if each.report.state in ("refused", "undone", "fault")]
        assert len(about) == len(meant), "a host of the fleet has not answered"
        assert not [each for each in about if each.report.state == "partial"]
        assert len(bad) <= rollout.max_refused
        lost = [each for each in meant if self.has_streams and not each.connected and each not in bad]
        needed = max(1, min(rollout.min_acks, len(meant) - len(bad) - len(lost)))
        assert len(good) >= needed
        since = self.changes[-1][0] if self.changes else 0.0
        assert now - since >= rollout.bake, "no bake was skipped"
        ids = {each.report.host for each in good}
        since = sorted(host.good_since for host in self.hosts if host.id in ids)[needed - 1]
        assert now - since >= rollout.bake, "the bake begins at the last good that the stage needs"

    def meant(self, head: Head, hosts: dict[str, Seen]) -> int:
        return sum(is_meant(head, host, each.report.labels) and _is_there(each) for host, each in hosts.items())

    def check_size(self, hosts: dict[str, Seen], head: Head, had: int) -> None:
        """No more hosts than the stage has, or had before, or than its rings have."""
        assert head.rollout is not None
        there = list(filter(_is_there, hosts.values()))
        in_rings = sum(
            any(f"{key}={value}" in head.rings for key, value in each.report.labels.items()) for each in there
        )
        stage = head.rollout.stage
        text = "0 hosts" if stage < 0 else head.rollout.stages[stage]
        number = float(text.split("%", maxsplit=1)[0].split(" ", maxsplit=1)[0])
        goal = max(1, int(number * len(there) / 100)) if text.endswith("%") else int(number)
        assert self.meant(head, hosts) <= max(goal, had, in_rings)

    # ---- the schedule

    def run(self) -> None:
        controllers = [Controller(self) for _ in range(self.draw.choice([1, 1, 2]))]
        now = 0.0
        while now < LONGEST and not all(each.over for each in controllers):
            now += self.draw.choice([0.05, 0.25, 0.25, 0.5])
            for host in self.hosts:
                host.tick(now)
            self.draw.shuffle(controllers)
            for each in controllers:
                each.turn(now)
            if self.draw.random() < 0.02 and self.hosts:
                self.draw.choice(self.hosts).restart(now)
            if self.draw.random() < 0.02:
                controllers = self.disturbed(now, controllers)
        self.settle(now)

    def disturbed(self, now: float, controllers: list[Controller]) -> list[Controller]:
        kind = self.draw.choice(["die", "down", "cut", "back", "hide", "hide", "hide", "confirm", "person"])
        self.has_reason |= kind == "cut"
        if kind == "die" and self.head is not None and self.head.rollout is not None:
            return [*controllers[1:], Controller(self)]
        if kind == "down":
            self.is_down = not self.is_down
        if kind == "hide":
            until = now + self.draw.choice([1.0, 3.0, 50.0])
            self.hidden = {host.id: until for host in self.hosts if self.draw.random() < 0.5}
            self.has_reason |= until - now > LOST_AFTER
        if kind in ("cut", "back"):
            for host in self.hosts:
                if self.draw.random() < 0.5 and host.makes != "dies":
                    host.cut = kind == "cut"
        if kind in ("confirm", "person") and self.draw.random() < 0.1:
            self.person(now, kind)
        return controllers

    def person(self, now: float, kind: str) -> None:
        head = self.head
        if head is None or head.rollout is None:
            return
        if kind == "person":
            self.head = Head("c" * 64, salt="a person's", rev=head.rev + 1)
            self.by_person = True
        elif not is_last(head.rollout, head.rollout.stage):
            self.head = next_stage(head, tally(head, self.seen(now)))
            self.changes.append((now, "confirm"))

    def settle(self, now: float) -> None:
        """Everybody hears of the last head: then all have what it says."""
        self.is_down = False
        for _ in range(200):
            now += 0.5
            for host in self.hosts:
                host.cut = host.cut and host.makes == "dies"
                host.tick(now)
        assert self.head is not None
        kinds = [kind for _, kind in self.changes]
        if self.by_person:
            assert (self.head.stable, self.head.next) == ("c" * 64, None), "a person's publish wins"
        elif "Stop" in kinds:
            assert kinds[-1] == "Stop"
            for host in self.hosts:
                assert chosen(self.head, host.id, host.labels) == STABLE
                assert host.cut or host.report.digest == STABLE
        elif "Promote" in kinds:
            assert kinds[-1] == "Promote"
            assert self.head.stable == NEXT


def test_schedules_by_chance_and_each_end_is_reached():
    worlds = [schedule(seed) for seed in range(SCHEDULES)]
    last = [world.changes[-1][1] if world.changes else "nothing" for world in worlds]
    for end in ("Promote", "Stop", "nothing"):
        assert last.count(end) > 3, last
    assert any(world.by_person for world in worlds)
    assert any(kind == "confirm" for world in worlds for _, kind in world.changes)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_many_schedules_by_chance():
    for each in range(SCHEDULES, SCHEDULES + MANY):
        schedule(each)


def schedule(seed: int) -> World:
    world = World(seed)
    try:
        world.run()
    except AssertionError as error:
        error.add_note(f"seed {seed}, changes {world.changes}")
        raise
    return world
