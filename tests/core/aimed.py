"""A schedule that aims at one cell of the owner's table: something stands, something begins, and then an input comes.

What stands is provisional, on trial or held; what begins has the owner in one of its states; the input is one of those
that chance seldom brings there: what a worker has said before, the end of a load that was given up, a deadline that
does not count any more, somebody who connects or dies. The seed picks all of them, so each meets each, about equally
often, and the same is judged as in a schedule by chance: every step, and what is there at rest.

Rejected: more disturbances for `chance.py`. Each makes all others rarer, and every seed does something else then, also
one that is known to find a bug.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from confcast.owner.core import effects as fx
from confcast.owner.core.machine import ProposalState
from confcast.wire.canary import Canary
from confcast.wire.messages import Check, Confirm, Counts, Reload, Resume, Rollback, Set, Unhealthy, Unset
from tests.core import trial_disturbances as trials
from tests.core.chance import CONTENTS, SILENT, begin, move
from tests.core.parts import OwnerProcess, Pipe, Process
from tests.core.simulation import World
from tests.core.trial_disturbances import another, goes_on, living

LONG = 600.0
"""Seconds that no wait of the owner's lasts: what is provisional for so long stays so until somebody ends it."""

CANARIES = (Canary(1, seconds=LONG, min_requests=6), Canary("30%", seconds=LONG, by="entity", min_requests=3))

Act = Callable[["Aim"], None]


class Aim:
    """One such schedule, and the words in which it is written."""

    def __init__(self, world: World, random: Random) -> None:
        self.world = world
        self.random = random
        self.kept: list[tuple[OwnerProcess, fx.Input]] = []  # what an owner will hear later than it could

    def one_of(self, options: Sequence[Any]) -> Any:
        return self.random.choice(options)

    @property
    def some_process(self) -> Process | None:
        return self.one_of(living(self.world) or [None])

    @property
    def newest(self) -> int:
        return max(self.world.journal.rows, default=0)

    def changes(self) -> None:
        """The sources have something that does not run."""
        self.world.sources = another(self.world, self.one_of(CONTENTS))

    def asks(self, kind: type, **asked: Any) -> Pipe | None:
        return self.world.ask(kind, **asked)

    def goes_on(self, until: Callable[[], object]) -> None:
        goes_on(self.world, until)
        self.world.oracle.check()

    def rests(self) -> None:
        """Nothing is under way any more, and nobody who may speak has anything to say."""
        world = self.world
        for _ in range(4):
            self.goes_on(lambda: world.first_move() is None and (world.owner is None or self.is_in(ProposalState.IDLE)))

    def is_in(self, state: ProposalState) -> bool:
        """Whether the owner is there, and may hear an input."""
        owner = self.world.owner
        return owner is not None and owner.core.state is state and not owner.effects

    def has_performed(self) -> bool:
        """Whether an owner lives, which has now carried out what it had to."""
        while self.world.owner is not None and self.world.owner.effects:
            self.world.perform()
        return self.world.owner is not None

    def hears(self, pipe: Pipe | None, most: int = 1) -> None:
        """The owner is handed what was sent on this pipe, so many messages, before all else."""
        for _ in range(most):
            if pipe is None or not pipe.up or not self.has_performed() or not pipe.owner_open:
                return
            self.world._receive(pipe)

    def takes(self, given: fx.Input) -> None:
        if self.has_performed():
            self.world._feed(given)

    def keeps(self, given: fx.Input) -> None:
        """The owner would hear this now, and will hear it later."""
        assert self.world.owner is not None
        self.world.owner.inputs.remove(given)
        self.kept.append((self.world.owner, given))


# ---- what stands


def is_settled(aim: Aim) -> None:
    """Unless all that is new is on probation in this world."""


def is_new(aim: Aim) -> None:
    aim.changes()
    aim.asks(Reload, force=True)


def is_in_a_window(aim: Aim) -> None:
    aim.changes()
    aim.asks(Reload, confirm_within=LONG, force=True)


def is_on_trial(aim: Aim) -> None:
    aim.changes()
    aim.asks(Reload, canary=aim.one_of(CANARIES), confirm_within=aim.one_of((0.0, 0.0, LONG)))


def is_on_trial_and_the_canaries_are_not_heard(aim: Aim) -> None:
    is_on_trial(aim)
    aim.goes_on(lambda: aim.world.journal.operator.trial is not None)
    aim.goes_on(lambda: aim.world.journal.operator.trial is None or trials._are_to_try(aim.world))
    for each in trials._are_to_try(aim.world):
        assert each.pipe is not None
        each.pipe.late = True


def is_promoted(aim: Aim) -> None:
    aim.asks(Confirm)


def is_held(aim: Aim) -> None:
    aim.asks(Rollback, version=aim.one_of((None, None, aim.newest, min(aim.world.journal.rows, default=0))))


def is_set(aim: Aim) -> None:
    aim.asks(Set, values={"k": aim.one_of("abc")}, ttl=aim.one_of((None, LONG)))


def is_waited_for(aim: Aim) -> None:
    """Somebody waits for observers, which take their time."""
    for each in living(aim.world):
        each.lingers = True
    aim.changes()
    aim.asks(Reload, wait_observers=LONG, force=True)


def is_lost_with_a_number_that_is_given_out_again(aim: Aim) -> None:
    """The journal goes back to a window that is over by now, and the first who connects knows of nothing newer."""
    is_in_a_window(aim)
    aim.rests()
    first = next(iter(living(aim.world)), None)
    if first is not None:
        first.stopped = True
        is_new(aim)
        aim.rests()
        first.stopped = False
    aim.world.kill_owner()
    aim.world.time_passes(LONG)
    aim.world.journal_goes_back()
    aim.world.next_write = aim.one_of(("ok", "absent"))  # what is to bring the number past what is known of it


STANDS: tuple[tuple[Act, ...], ...] = (
    (is_settled,),
    *((is_new,),) * 3,
    (is_in_a_window,),
    (is_on_trial,),
    (is_on_trial_and_the_canaries_are_not_heard,),
    (is_held,),
    (is_held, is_set),
    (is_lost_with_a_number_that_is_given_out_again,),
    *((is_in_a_window, is_on_trial),) * 3,
    (is_in_a_window, is_on_trial_and_the_canaries_are_not_heard),
    *((is_on_trial_and_the_canaries_are_not_heard, is_promoted),) * 2,
    (is_on_trial_and_the_canaries_are_not_heard, is_promoted, is_held),
)


# ---- what is kept back, to come later


def some_worker_is_not_heard(aim: Aim) -> None:
    """From now on what it says comes late; perhaps it refuses what is new to it, and its functions take time."""
    process = aim.some_process
    if process is not None and process.pipe is not None and process.pipe.received:
        process.pipe.late = True
        process.slow = aim.one_of((True, False))
        if process.held is not None and aim.one_of((True, False)):
            process.refuses |= {*CONTENTS} - {process.held.digest[:1]}


def an_owner_gathers(aim: Aim) -> None:
    """On a journal that was made anew; that its time is over, which another deadline may say first, comes later."""
    world = aim.world
    world.lose_journal()
    world.kill_owner()
    world.start_owner()
    aim.goes_on(lambda: world.first_move() is None)
    if world.owner is not None and any(timer.timer is fx.Timer.GATHER for timer in world.owner.timers):
        world.next_deadline()
        for given in [each for each in world.owner.inputs if isinstance(each, fx.Wake)]:
            aim.keeps(given)


def a_worker_reads_what_is_not_seen_to_have_left(aim: Aim) -> None:
    """So it gets nothing more, also when what it has read is called off. Meanwhile the application may change."""
    world, process = aim.world, aim.some_process
    aim.changes()
    kind, asked = aim.one_of(((Reload, {"force": True}), (Reload, {"canary": aim.one_of(CANARIES)}), (Check, {})))
    aim.asks(kind, **asked)
    if process is None or process.pipe is None:
        return
    left = fx.Drained((process.pipe.number,))
    process.refuses ^= {aim.one_of((*CONTENTS, world.sources, world.sources))}
    for more in range(aim.one_of((1, 1, 2, 3)), 0, -1):
        aim.goes_on(lambda: world.owner is not None and left in world.owner.inputs)
        if world.owner is None or left not in world.owner.inputs:
            return
        aim.keeps(left)
        if more > 1:
            what_was_kept_comes(aim)
    aim.goes_on(lambda: world.first_move() is None)
    process.refuses ^= {aim.one_of(CONTENTS)}
    process.altered = aim.one_of((True, False))


def a_load_lasts(aim: Aim) -> None:
    trials._a_load_lasts(aim.world, check=aim.one_of((True, False)))


# ---- what begins


def the_sources_change(aim: Aim) -> None:
    aim.changes()
    aim.world.trigger(aim.one_of(("signal", "watch")))


def somebody_asks(aim: Aim) -> None:
    aim.changes()
    kind, asked = aim.one_of(_BEGIN)
    aim.asks(kind, **asked)


def somebody_expects_something_else(aim: Aim) -> None:
    """Answered at once, so a dry run gives way to nothing that lasts."""
    aim.asks(aim.one_of((Reload, Resume, Rollback)), expect=4711)


def somebody_goes_back(aim: Aim) -> None:
    rows = aim.world.journal.rows
    aim.asks(Rollback, version=aim.one_of([None, *rows]))


def somebody_confirms(aim: Aim) -> None:
    """What is committed, or what is on trial."""
    aim.asks(Confirm, version=aim.one_of((0, aim.newest)))


def a_probe_says_no(aim: Aim) -> None:
    _a_probe(aim, before=0)


_BEGIN: tuple[tuple[type, dict[str, Any]], ...] = (
    (Reload, {}),
    (Reload, {"force": True}),
    (Reload, {"confirm_within": LONG, "force": True}),
    (Reload, {"canary": CANARIES[0]}),
    (Check, {}),
    (Check, {"values": {"k": "a"}}),
    (Set, {"values": {"k": "b"}}),
    (Set, {"values": {"k": "c"}}),
    (Unset, {"keys": ("k",)}),
    (Resume, {}),
)
BEGINS: tuple[Act, ...] = (
    is_settled,
    the_sources_change,
    *(somebody_asks,) * 4,
    *(somebody_goes_back,) * 3,
    *(somebody_confirms,) * 2,
    *(somebody_expects_something_else,) * 2,
    a_probe_says_no,
)


# ---- the input that comes


def what_was_said_before(aim: Aim) -> None:
    """By each who was not heard: one message, or some, or all of them; and it is heard again, or not."""
    for pipe in [each for each in aim.world.open_pipes if each.late]:
        aim.hears(pipe, aim.one_of((1, 1, 2, 3, 9)))
        pipe.late = aim.one_of((True, False))


def what_was_kept_comes(aim: Aim) -> None:
    kept, aim.kept = aim.kept, []
    for owner, given in kept:
        if aim.has_performed() and aim.world.owner is owner:
            aim.world._feed(given)


def the_load_that_lasted_ends(aim: Aim) -> None:
    if aim.has_performed():
        trials._load_ends(aim.world)


def a_worker_comes_back(aim: Aim) -> None:
    if (process := aim.some_process) is not None and aim.has_performed():
        trials._comes_back(aim.world, process)


def a_worker_says(aim: Aim) -> None:
    """Something that it may say at any time, of what runs or of another version; or what no worker says twice."""
    process = aim.some_process
    if process is not None and process.held is not None:
        version = process.held.version + aim.one_of((0, 0, -1, 4711))
        said = aim.one_of((process.hello(), Unhealthy(version, "slow"), Counts(version, 100, 90)))
        aim.world.says(process, said)
        aim.hears(process.pipe, 9)


def somebody_connects(aim: Aim) -> None:
    other: dict[str, Any] = aim.one_of(({}, {"schema": b"another"}, {"protocol": 99}))
    process = aim.world.start_worker(**other)
    aim.world.connect(process)
    aim.hears(process.pipe)


def a_worker_ends(aim: Aim) -> None:
    """It dies, says Goodbye or loses its pipe."""
    process, how = aim.some_process, aim.one_of(("fails", "dies", "leaves", "loses its pipe"))
    if process is None or not aim.has_performed():
        return
    pipe = process.pipe
    if how == "leaves":
        aim.world.leave(process)
        aim.hears(pipe, 9)
    elif how == "loses its pipe":
        aim.world.break_pipe(process, lose_frames=True)
        if pipe is not None and pipe.owner_open and not pipe.up:
            aim.world._end(pipe)
    else:
        aim.world.kill(process, failed="was killed by signal 9" if how == "fails" else "")
        if aim.world.owner is not None and process.pid in aim.world.owner.watched:
            aim.world._bury(process.pid)


def its_observers_have_run(aim: Aim) -> None:
    for each in living(aim.world):
        each.lingers = False
        if each.asked and each.pipe is not None:
            aim.world.observers_have_run(each)
            aim.hears(each.pipe, 9)


def a_probe_says_no_to_another(aim: Aim) -> None:
    _a_probe(aim, before=1)


def _a_probe(aim: Aim, *, before: int) -> None:
    """It was begun by the loop, which knows of no write before the core does."""
    if aim.world.owner is not None:
        aim.takes(fx.Probed(aim.world.owner.core.committed.version - before, "503"))


def deadlines_come(aim: Aim) -> None:
    """Those that the owner has set, the first ones, or all of what is provisional."""
    if aim.has_performed():
        trials._all_deadlines_come(aim.world) if aim.one_of((True, False, False)) else aim.world.next_deadline()
    while aim.has_performed() and aim.world.owner is not None and aim.world.owner.inputs:
        aim.world._take(aim.world.owner.inputs[0])


def somebody_asks_right_then(aim: Aim) -> None:
    """By a name, or for what does not run any more."""
    kind, asked = aim.one_of(_BEGIN)
    expect = {} if kind in (Check, Confirm) else {"expect": aim.one_of((None, 4711))}
    aim.hears(aim.asks(kind, **(asked | expect)), 2)


def a_next_generation_comes(aim: Aim) -> None:
    aim.takes(fx.HandsOver(on=True))


def the_master_goes(aim: Aim) -> None:
    aim.takes(fx.MasterGone())


COMES: tuple[Act, ...] = (
    *(a_worker_comes_back,) * 2,
    *(a_worker_says,) * 2,
    *(somebody_connects,) * 2,
    *(a_worker_ends,) * 2,
    *(deadlines_come,) * 2,
    *(somebody_asks_right_then,) * 2,
    *(a_probe_says_no_to_another,) * 2,
    a_next_generation_comes,
    the_master_goes,
)


# ---- the whole


_KEPT_BACK = (
    (is_waited_for, its_observers_have_run, 0.4),
    (some_worker_is_not_heard, what_was_said_before, 0.4),
    (some_worker_is_not_heard, what_was_said_before, 0.4),
    (a_worker_reads_what_is_not_seen_to_have_left, what_was_kept_comes, 0.3),
)
"""What, how it comes later, and how often it is so."""


def _stands(aim: Aim) -> list[Act]:
    """Something; and before it, or amid it, something is kept back. Returns what that is when it comes."""
    acts, later = [*aim.one_of(STANDS)], []
    for act, comes, often in _KEPT_BACK:
        if aim.random.random() < often:
            acts.insert(aim.random.randint(0, len(acts)), act)
            later.append(comes)
    if aim.random.random() < 0.1:
        acts.insert(0, an_owner_gathers)  # nothing of what stood before would be left
        later.append(what_was_kept_comes)
    for act in acts:
        act(aim)
        aim.rests()
    if aim.random.random() < 0.4:
        a_load_lasts(aim)
        later.append(the_load_that_lasted_ends)
    late = any(pipe.late for pipe in aim.world.open_pipes)
    return [*later, what_was_said_before] if late else later


def _happens(aim: Aim) -> None:
    """What stands, what begins, and what comes then."""
    later = _stands(aim)
    aim.world.next_check_fails = aim.world.next_check_fails or aim.random.random() < 0.2
    _what_begins(aim, later)(aim)
    state = aim.one_of((*ProposalState,))
    if {what_was_kept_comes, the_load_that_lasted_ends} & {*later} and aim.random.random() < 0.3:
        state = ProposalState.STAGING  # in which the latter comes least often
    aim.goes_on(lambda: aim.is_in(state))
    aim.one_of(later if later and aim.random.random() < 0.7 else COMES)(aim)
    aim.world.oracle.check()


def _what_begins(aim: Aim, later: list[Act]) -> Act:
    """Any of it; often what needs no load beside one that lasts, and no other proposal in a trial with a window."""
    operator, chance = aim.world.journal.operator, aim.random.random()
    if operator.trial is not None and operator.window is not None and chance < 0.4:
        return somebody_confirms
    if the_load_that_lasted_ends in later and chance < 0.3:
        return somebody_goes_back
    act: Act = aim.one_of(BEGINS)
    return act


def run_aimed(seed: int) -> World:
    """The world after it; as `run_by_chance` of `chance.py`."""
    random = Random(seed)
    world = begin(random.choice(SILENT), random.randint(2, 4), None, random.choice((0.0, 20.0)))
    world.journal.forgets = random.random() < 0.7  # else what was good once is not tried again
    aim = Aim(world, random)
    try:
        aim.rests()
        for _ in range(random.randint(1, 4)):
            _happens(aim)
            for _ in range(random.choice((0, 3, 20))):
                move(world, random.randrange(1000))
            world.start_owner()
        what_was_kept_comes(aim)  # nothing is lost
        world.come_to_rest()
    except BaseException as error:
        error.add_note(f"in run_aimed({seed})")
        raise
    return world
